"""Collaborative filtering from the history alone: EASE and item-to-item neighbours (ALS has a module of its own).

All of them score a `Histories`, so a known user, a user who came after the fit and a basket given on the spot are one case. What is
learned is about items; nothing is stored of a user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import scipy.sparse as sp
from safetensors.numpy import save

from features.storage.arrays import arrays_of
from retrieval.collaborative.scoring import BATCH, Weighting, batches, gather, history_matrix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.histories import Histories


@dataclass(frozen=True)
class ItemWeights:
    """A sparse item -> item matrix: an item in the history adds its row, times its weight in the history, to the user's scores.

    Attributes
    ----------
    weights: float32 csr (n_items, n_items), no diagonal. weighting: how a history becomes a vector.
    """

    weights: sp.csr_array
    weighting: Weighting

    @property
    def n_items(self) -> int:
        return self.weights.shape[0]

    def scores(self, users: Histories) -> np.ndarray:
        """See `ItemScorer`."""
        return users.once(self, "scores", lambda: self._scores(users))

    def _scores(self, users: Histories) -> np.ndarray:
        matrix = history_matrix(users, self.n_items, self.weighting)
        scores = np.empty((len(users), self.n_items), dtype=np.float32)
        for i in range(len(users)):
            entries = slice(matrix.indptr[i], matrix.indptr[i + 1])
            # Only the rows of what the user has; the product of two sparse matrices takes several times as long.
            scores[i] = self.weights[matrix.indices[entries]].T @ matrix.data[entries]
        return scores

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        if len(users) <= BATCH:
            return gather(self.scores(users), rows)
        scores = np.zeros(rows.shape, dtype=np.float32)
        for part in batches(len(users)):
            scores[part] = gather(self.scores(users.take(part)), rows[part])
        return scores

    def neighbours(self, row: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The at most k items most strongly tied to `row`, best first: rows int64 (m,), weights float32 (m,)."""
        begin, end = self.weights.indptr[row : row + 2]
        items, weights = self.weights.indices[begin:end].astype(np.int64), self.weights.data[begin:end]
        order = np.lexsort((items, -weights))[:k]
        return items[order], weights[order]

    def strongest(self, users: Histories, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The history item that adds most to the score of each candidate row (b, k).

        Returns
        -------
        source rows int64 (b, k), -1 where no item of the history adds anything; what it adds, float32 (b, k).
        """
        matrix = history_matrix(users, self.n_items, self.weighting)
        sources, added = np.full(rows.shape, -1, dtype=np.int64), np.zeros(rows.shape, dtype=np.float32)
        for i in range(len(users)):
            entries = slice(matrix.indptr[i], matrix.indptr[i + 1])
            held, amount = matrix.indices[entries], matrix.data[entries]
            if not len(held):
                continue
            parts = self._between(held, np.maximum(rows[i], 0)) * amount[:, None]  # (held, k)
            best = parts.argmax(axis=0)
            value = parts[best, np.arange(len(best))]
            tied = (value > 0) & (rows[i] >= 0)
            sources[i], added[i] = np.where(tied, held[best], -1), np.where(tied, value, 0)
        return sources, added

    def _between(self, held: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Weights from some items to some others, float32 (held, k)."""
        wanted, column = np.unique(rows, return_inverse=True)
        place = np.full(self.n_items, -1, dtype=np.int32)
        place[wanted] = np.arange(len(wanted))
        theirs = self.weights[held]
        at = place[theirs.indices]
        hit = np.flatnonzero(at >= 0)
        out = np.zeros((len(held), len(wanted)), dtype=np.float32)
        out[np.searchsorted(theirs.indptr, hit, side="right") - 1, at[hit]] = theirs.data[hit]
        return out[:, column]

    def to_files(self) -> dict[str, bytes]:
        """The matrix in safetensors, the weighting in JSON."""
        arrays = {"data": self.weights.data, "indices": self.weights.indices, "indptr": self.weights.indptr}
        return {"weights.safetensors": save(arrays), "weighting.json": self.weighting.model_dump_json().encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """What `to_files` made."""
        arrays = arrays_of(files, "weights.safetensors")
        n = len(arrays["indptr"]) - 1
        weights = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(n, n))
        return cls(weights, Weighting.model_validate_json(files["weighting.json"]))
