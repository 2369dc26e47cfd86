"""EASE (Steck 2019): a linear item-item model in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field
from threadpoolctl import threadpool_limits

from features.errors import ModelError
from retrieval.collaborative.item_weights import ItemWeights
from retrieval.collaborative.scoring import Weighting, log_matrix

if TYPE_CHECKING:
    from features.data.interactions import Interactions


class EASEConfig(BaseModel):
    """`max_items` bounds time and memory: the fit holds one (max_items, max_items) float32 matrix and costs max_items^3."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weighting: Weighting = Weighting(half_life=180)
    max_items: int = Field(default=6000, ge=1)
    min_buyers: int = Field(default=2, ge=1)
    l2: float = Field(default=500.0, gt=0)
    keep: int = Field(default=400, ge=1)


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
