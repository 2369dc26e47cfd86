"""Item-item models, the base of EASE and ItemKNN: the score of an item is a sum of weights over the history.

They score `Histories`, so a known user, a user who came after the fit and an anonymous basket are one case. Nothing is
stored about users.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    """Sparse item-item matrix: each item of the history adds its row, times its weight. Implements `ItemScorer`.

    Attributes
    ----------
    weights : float32 csr (n_items, n_items)
        From an item of the history to a candidate; no diagonal.
    weighting : Weighting
        How a history becomes a vector.
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
            # Only the rows of the user's items; the product of two sparse matrices takes several times as long.
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
        """Return the items with the largest weights from item `row`, best first.

        Returns
        -------
        rows : int64 (m,), m <= k
        weights : float32 (m,)
        """
        begin, end = self.weights.indptr[row : row + 2]
        items, weights = self.weights.indices[begin:end].astype(np.int64), self.weights.data[begin:end]
        order = np.lexsort((items, -weights))[:k]
        return items[order], weights[order]

    def strongest(self, users: Histories, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the item of the history that adds most to the score of each candidate.

        Parameters
        ----------
        users : Histories
        rows : int64 (b, k)
            Candidates; -1 is padding.

        Returns
        -------
        sources : int64 (b, k)
            Row of the item, -1 where no item of the history adds a positive amount.
        added : float32 (b, k)
            The amount that it adds.
        """
        matrix = history_matrix(users, self.n_items, self.weighting)
        sources, added = np.full(rows.shape, -1, dtype=np.int64), np.zeros(rows.shape, dtype=np.float32)
        for i in range(len(users)):
            entries = slice(matrix.indptr[i], matrix.indptr[i + 1])
            history, amount = matrix.indices[entries], matrix.data[entries]
            if not len(history):
                continue
            parts = self._between(history, np.maximum(rows[i], 0)) * amount[:, None]  # (items of the user, k)
            best = parts.argmax(axis=0)
            value = parts[best, np.arange(len(best))]
            positive = (value > 0) & (rows[i] >= 0)
            sources[i], added[i] = np.where(positive, history[best], -1), np.where(positive, value, 0)
        return sources, added

    def _between(self, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return the weights from items (m,) to items (k,), float32 (m, k)."""
        distinct, inverse = np.unique(targets, return_inverse=True)
        column_of = np.full(self.n_items, -1, dtype=np.int32)
        column_of[distinct] = np.arange(len(distinct))
        weights = self.weights[sources]
        column = column_of[weights.indices]
        hit = np.flatnonzero(column >= 0)
        out = np.zeros((len(sources), len(distinct)), dtype=np.float32)
        out[np.searchsorted(weights.indptr, hit, side="right") - 1, column[hit]] = weights.data[hit]
        return out[:, inverse]

    def moved(self, rows: np.ndarray) -> Self:
        """Return the model over another catalogue, see `moved_weights`."""
        return replace(self, weights=moved_weights(self.weights, rows))

    def to_files(self) -> dict[str, bytes]:
        """Return the matrix in safetensors and the weighting in JSON."""
        arrays = {"data": self.weights.data, "indices": self.weights.indices, "indptr": self.weights.indptr}
        return {"weights.safetensors": save(arrays), "weighting.json": self.weighting.model_dump_json().encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read the files of `to_files`."""
        arrays = arrays_of(files, "weights.safetensors")
        n = len(arrays["indptr"]) - 1
        weights = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(n, n))
        return cls(weights, Weighting.model_validate_json(files["weighting.json"]))


def moved_weights(weights: sp.csr_array, rows: np.ndarray) -> sp.csr_array:
    """Return item-item weights over another catalogue; an item that is new to it has none.

    Parameters
    ----------
    weights : csr (n_before, n_before)
    rows : the row in `weights` of each item of the other catalogue, int64 (n_items,); -1 for a new item.
    """
    n = len(rows)
    if n == weights.shape[0] and np.array_equal(rows, np.arange(n)):
        return weights
    place = np.full(weights.shape[0], -1, dtype=np.int32)
    known = np.flatnonzero(rows >= 0)
    place[rows[known]] = known
    first, second = np.repeat(place, np.diff(weights.indptr)), place[weights.indices]
    stays = (first >= 0) & (second >= 0)
    return sp.coo_array((weights.data[stays], (first[stays], second[stays])), shape=(n, n)).tocsr()
