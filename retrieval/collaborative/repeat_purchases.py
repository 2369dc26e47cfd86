"""Repeat purchases: the items that a user bought before, as candidates."""

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
    """Items of the history by event weights that halve every `REPEAT_HALF_LIFE` days. Implements `Retriever`."""

    n_items: int

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """See `Retriever`."""
        groups = Groups.of(users, users.item, self.n_items, (REPEAT_HALF_LIFE,))
        user, item, weight = groups.key // self.n_items, groups.key % self.n_items, groups.decayed[REPEAT_HALF_LIFE]
        eligible = weight > 0
        if allowed is not None:
            eligible &= allowed[item] if allowed.ndim == 1 else allowed[user, item]
        user, item, weight = user[eligible], item[eligible], weight[eligible]
        order = np.lexsort((item, -weight, user))
        user, item, weight = user[order], item[order], weight[order]
        place = np.arange(len(user)) - np.searchsorted(user, user)
        top = place < k
        rows, scores = np.full((len(users), k), -1, dtype=np.int64), np.full((len(users), k), -np.inf, dtype=np.float32)
        rows[user[top], place[top]], scores[user[top], place[top]] = item[top], weight[top]
        return Candidates(users, rows, scores)
