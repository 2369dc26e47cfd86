"""Items the user bought before, as candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.user_item import Groups
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from features.data.histories import Histories


REPEAT_HALF_LIFE = 90.0  # days


@dataclass(frozen=True)
class RepeatPurchases:
    """What the user bought before, by weight that halves every `REPEAT_HALF_LIFE` days."""

    n_items: int

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """See `Retriever`."""
        held = Groups.of(users, users.item, self.n_items, (REPEAT_HALF_LIFE,))
        user, item, weight = held.key // self.n_items, held.key % self.n_items, held.decayed[REPEAT_HALF_LIFE]
        good = weight > 0
        if allowed is not None:
            good &= allowed[item] if allowed.ndim == 1 else allowed[user, item]
        user, item, weight = user[good], item[good], weight[good]
        order = np.lexsort((item, -weight, user))
        user, item, weight = user[order], item[order], weight[order]
        place = np.arange(len(user)) - np.searchsorted(user, user)
        few = place < k
        rows, scores = np.full((len(users), k), -1, dtype=np.int64), np.full((len(users), k), -np.inf, dtype=np.float32)
        rows[user[few], place[few]], scores[user[few], place[few]] = item[few], weight[few]
        return Candidates(users, rows, scores)
