"""New arrivals: recently created items that nobody has bought. They are scored by their text alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from retrieval.collaborative.scoring import Weighting, gather, history_matrix

if TYPE_CHECKING:
    from features.data.histories import Histories
    from retrieval.two_tower.retriever import TwoTowerRetriever

NEIGHBOURS = 20  # nearest texts of an arrival; buyers of their items may like it


@dataclass(frozen=True)
class Arrivals:
    """Scorer of arrivals by their similarity to what the user bought. Implements `ItemScorer`.

    Attributes
    ----------
    near : float32 csr (n_items, n_items)
        Cosine from an item to each arrival that has the item's text among its `NEIGHBOURS` nearest.
    """

    near: sp.csr_array

    @property
    def n_items(self) -> int:
        return self.near.shape[0]

    @classmethod
    def of(cls, towers: TwoTowerRetriever, arrivals: np.ndarray) -> Arrivals:
        """Find the nearest texts of the items `arrivals`, int64 (m,)."""
        n = len(towers.text_of)
        texts, cosine = towers.index.search(towers.vectors[towers.text_of[arrivals]], NEIGHBOURS)  # (m, NEIGHBOURS)
        arrival, place = np.nonzero((texts >= 0) & (cosine > 0))
        by_text = (cosine[arrival, place], (texts[arrival, place], arrivals[arrival]))
        table = sp.coo_array(by_text, shape=(len(towers.vectors), n), dtype=np.float32).tocsr()
        return cls(table[towers.text_of])

    def scores(self, users: Histories) -> np.ndarray:
        """Return the sum of cosines to what the user bought, float32 (b, n_items); 0 for other items."""
        return (history_matrix(users, self.n_items, Weighting()) @ self.near).toarray()

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        return gather(self.scores(users), rows)
