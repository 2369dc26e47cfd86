"""Collaborative filtering from the history alone: EASE and item-to-item neighbours (ALS has a module of its own).

All of them score a `Histories`, so a known user, a user who came after the fit and a basket given on the spot are one case. What is
learned is about items; nothing is stored of a user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import save
from threadpoolctl import threadpool_limits

from features.errors import ModelError
from features.files import arrays_of
from retrieval.scorers import BATCH, Weighting, batches, gather, history_matrix, log_matrix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.histories import Histories
    from features.interactions import Interactions


class EASEConfig(BaseModel):
    """`max_items` bounds time and memory: the fit holds one (max_items, max_items) float32 matrix and costs max_items^3."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weighting: Weighting = Weighting(half_life=180)
    max_items: int = Field(default=6000, ge=1)
    min_buyers: int = Field(default=2, ge=1)
    l2: float = Field(default=500.0, gt=0)
    keep: int = Field(default=400, ge=1)


class ItemToItemConfig(BaseModel):
    """`measure`: how co-purchases are weighed; `keep`: neighbours an item. One buyer alone makes no two things belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weighting: Weighting = Weighting()
    measure: Literal["cosine", "tfidf", "bm25"] = "cosine"
    min_buyers: int = Field(default=2, ge=1)
    keep: int = Field(default=100, ge=1)


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


class EASE(ItemWeights):
    """Embarrassingly shallow autoencoder (Steck 2019, arXiv 1905.03375), on the items most people bought, pruned."""

    @classmethod
    def fit(cls, log: Interactions, config: EASEConfig | None = None) -> EASE:
        """Closed form, one Cholesky inverse; each item keeps its `keep` strongest weights, by size."""
        config = config or EASEConfig()
        matrix = log_matrix(log, config.weighting)
        buyers = np.bincount(matrix.indices, minlength=log.n_items)
        ranked = np.lexsort((np.arange(log.n_items), -buyers))[: config.max_items]
        items = np.sort(ranked[buyers[ranked] >= config.min_buyers])
        if not len(items):
            return cls(sp.csr_array((log.n_items, log.n_items), dtype=np.float32), config.weighting)
        held = matrix[:, items]
        # One thread: the same bits on any machine; two on a busy one wait for each other (measured: 31 s in place of 5).
        with threadpool_limits(1, "blas"):
            inverse = _inverse(_gram(held), config.l2)
        return cls(_prune(inverse, items, log.n_items, config.keep), config.weighting)


def _gram(matrix: sp.csr_array) -> np.ndarray:
    """X'X of a sparse (users, n) matrix, float32 (n, n) in column order; made in strips, because whole its sparse form is larger."""
    n = matrix.shape[1]
    gram = np.empty((n, n), dtype=np.float32, order="F")
    turned = matrix.T.tocsr()
    for begin in range(0, n, 512):
        gram[:, begin : begin + 512] = (turned[begin : begin + 512] @ matrix).toarray().T
    return gram


def _inverse(gram: np.ndarray, l2: float) -> np.ndarray:
    """Inverse of a symmetric (n, n) Gram matrix plus l2 on the diagonal, in its own memory. Only the lower triangle is right."""
    from scipy.linalg import lapack

    gram[np.diag_indices_from(gram)] += np.float32(l2)
    factor, failed = lapack.spotrf(gram, lower=1, clean=0, overwrite_a=1)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ModelError(f"EASE could not invert its {len(gram)} x {len(gram)} matrix with l2 = {l2}: raise l2")
    return inverse


def _prune(inverse: np.ndarray, items: np.ndarray, n_items: int, keep: int) -> sp.csr_array:
    """B = -P_ij / P_jj without its diagonal, the `keep` largest by size of each row i, over the whole catalogue's rows."""
    n, keep = len(items), min(keep, len(items) - 1)
    diagonal = np.diagonal(inverse).copy()
    rows, columns, data = [], [], []
    for i in range(n):
        weights = np.concatenate([inverse[i, :i], inverse[i:, i]]) / -diagonal
        weights[i] = 0
        columns.append(np.sort(np.argpartition(-np.abs(weights), keep - 1)[:keep]) if keep else np.empty(0, np.int64))
        data.append(weights[columns[-1]])
        rows.append(np.full(keep, items[i]))
    index = (np.concatenate(rows), items[np.concatenate(columns)])
    return sp.coo_array((np.concatenate(data), index), shape=(n_items, n_items), dtype=np.float32).tocsr()


class ItemToItem(ItemWeights):
    """Items bought by the same people, the nearest `keep` an item: cosine over their buyers, by TF-IDF or not, or a dot product by BM25."""

    @classmethod
    def fit(cls, log: Interactions, config: ItemToItemConfig | None = None) -> ItemToItem:
        """The neighbours are found by implicit, without ever holding the whole item x item matrix."""
        from implicit.nearest_neighbours import all_pairs_knn, bm25_weight, normalize, tfidf_weight

        config = config or ItemToItemConfig()
        matrix = log_matrix(log, config.weighting).astype(np.float64)
        matrix.data[np.bincount(matrix.indices, minlength=log.n_items)[matrix.indices] < config.min_buyers] = 0
        matrix.eliminate_zeros()
        # An item that only those bought who bought everything tells nothing: its TF-IDF column is 0 / 0.
        with np.errstate(invalid="ignore"):
            turned = sp.coo_matrix(matrix.T)
            if config.measure == "bm25":
                turned = bm25_weight(turned, K1=1.2, B=0.75)
            else:
                turned = normalize(tfidf_weight(turned) if config.measure == "tfidf" else turned)
            weighted = sp.csr_matrix(turned.T)
        weighted.data = np.nan_to_num(weighted.data)
        # One place more, because the nearest neighbour of an item is itself.
        near = all_pairs_knn(weighted, config.keep + 1, show_progress=False)
        good = (near.row != near.col) & (near.data > 0)
        index = (near.row[good], near.col[good])
        weights = sp.coo_array((near.data[good], index), shape=(log.n_items, log.n_items), dtype=np.float32)
        return cls(weights.tocsr(), config.weighting)
