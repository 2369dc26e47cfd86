"""New arrivals: items created of late that nobody has bought. Nothing speaks for them but their text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from retrieval.collaborative.scoring import Weighting, gather, history_matrix

if TYPE_CHECKING:
    from features.data.histories import Histories
    from retrieval.two_tower.retriever import TwoTowerRetriever

NEIGHBOURS = 20  # texts nearest to an arrival whose buyers may like it


@dataclass(frozen=True)
class Arrivals:
    """Scores an arrival by how near it is to what the user bought, if that is among its nearest texts. Implements `ItemScorer`.

    Attributes
    ----------
    near: cosine of each item and the arrivals that it is among the nearest to, float32 csr (n_items, n_items).
    """

    near: sp.csr_array

    @property
    def n_items(self) -> int:
        return self.near.shape[0]

    @classmethod
    def of(cls, towers: TwoTowerRetriever, arrivals: np.ndarray) -> Arrivals:
        """For the items `arrivals`, int64 (m,)."""
        n = len(towers.text_of)
        texts, cosine = towers.index.search(towers.vectors[towers.text_of[arrivals]], NEIGHBOURS)  # (m, NEIGHBOURS)
        arrival, place = np.nonzero((texts >= 0) & (cosine > 0))
        by_text = (cosine[arrival, place], (texts[arrival, place], arrivals[arrival]))
        table = sp.coo_array(by_text, shape=(len(towers.vectors), n), dtype=np.float32).tocsr()
        return cls(table[towers.text_of])

    def scores(self, users: Histories) -> np.ndarray:
        """float32 (b, n_items): sum of the cosines to what the user bought, 0 for all that is no arrival near to it."""
        return (history_matrix(users, self.n_items, Weighting()) @ self.near).toarray()

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        return gather(self.scores(users), rows)
