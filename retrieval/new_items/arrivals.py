"""New arrivals: recently created items that nobody has bought, offered to users who bought something near to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.collaborative.scoring import gather

if TYPE_CHECKING:
    from features.data.histories import Histories
    from retrieval.new_items.cold_start import ColdStartScorer

OFFERED = 20  # candidates a user
NEAR = 0.5**8  # summed sharpened cosine from which a text is near to what a user bought: one purchase with a cosine of .5


@dataclass(frozen=True)
class Arrivals:
    """Scorer of arrivals by the probability that the user buys them. Implements `ItemScorer`.

    Attributes
    ----------
    scorer : of all never-sold items.
    new : bool (n_items,), the arrivals.
    """

    scorer: ColdStartScorer
    new: np.ndarray

    @property
    def n_items(self) -> int:
        return len(self.new)

    def scores(self, users: Histories) -> np.ndarray:
        """Return probabilities, float32 (b, n_items); 0 for other items, and for arrivals near to nothing that the user bought."""
        return users.once(self, "scores", lambda: self._scores(users))

    def _scores(self, users: Histories) -> np.ndarray:
        unsold, out = self.scorer.cold_start.unsold, self.scorer.scores(users)
        near = np.zeros(out.shape, dtype=bool)
        near[:, unsold.rows] = (self.scorer.similarity(users) >= NEAR)[:, unsold.group]
        return np.where(near & self.new, out, 0)

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        return gather(self.scores(users), rows)
