"""EASE: a linear item-item model in closed form, over purchases alone or with the words of items beside them."""

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


WORDS = 10.0  # weight of a word beside a buyer: docs/decisions/094-text-of-reviews.md


class EASEConfig(BaseModel):
    """Parameters of EASE.

    Attributes
    ----------
    weighting : Weighting
        How a history becomes a vector.
    max_items : int
        The fit covers at most so many items, those with most buyers. It holds one (max_items, max_items) float32 matrix
        and takes time in max_items^3.
    min_buyers : int
        Items with fewer buyers are not fitted.
    l2 : float
        Regularisation.
    keep : int
        Weights of an item that remain after pruning, the largest by absolute value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    weighting: Weighting = Weighting(half_life=180)
    max_items: int = Field(default=6000, ge=1)
    min_buyers: int = Field(default=2, ge=1)
    l2: float = Field(default=500.0, gt=0)
    keep: int = Field(default=400, ge=1)


class EASE(ItemWeights):
    """Embarrassingly shallow autoencoder over the items with most buyers, with pruned weights.

    References
    ----------
    Steck 2019, "Embarrassingly shallow autoencoders for sparse data", WWW, arXiv 1905.03375.
    Jeunen, Van Balen, Goethals 2020, "Closed-form models for collaborative filtering with side-information", RecSys.
    """

    @classmethod
    def fit(cls, log: Interactions, config: EASEConfig | None = None, words: sp.csr_array | None = None) -> EASE:
        """Fit in closed form by one Cholesky inverse, then prune each item to its `keep` largest weights.

        Parameters
        ----------
        words : side information, float (n_items, n_words) with rows of unit norm: each word counts like a user who bought
            the items that it describes. Items that it describes are fitted with any number of buyers.
        """
        config = config or EASEConfig()
        matrix = log_matrix(log, config.weighting)
        buyers = np.bincount(matrix.indices, minlength=log.n_items)
        ranked = np.lexsort((np.arange(log.n_items), -buyers))[: config.max_items]
        fitted = buyers >= config.min_buyers
        if words is not None:
            fitted |= np.diff(words.indptr) > 0
            matrix = sp.csr_array(sp.vstack([matrix, (np.sqrt(WORDS) * words.T).astype(np.float32)]))
        items = np.sort(ranked[fitted[ranked]])
        if not len(items):
            return cls(sp.csr_array((log.n_items, log.n_items), dtype=np.float32), config.weighting)
        # One thread gives the same bits on any machine. On a busy machine two wait for each other (31 s, not 5 s).
        with threadpool_limits(1, "blas"):
            inverse = _inverse(_gram(matrix[:, items]), config.l2)
        return cls(_prune(inverse, items, log.n_items, config.keep), config.weighting)


def _gram(matrix: sp.csr_array) -> np.ndarray:
    """Return X'X of a sparse (users, n) matrix, float32 (n, n) in column order.

    It is computed in strips, because the whole takes more memory as a sparse matrix.
    """
    n = matrix.shape[1]
    gram = np.empty((n, n), dtype=np.float32, order="F")
    transposed = matrix.T.tocsr()
    for begin in range(0, n, 512):
        gram[:, begin : begin + 512] = (transposed[begin : begin + 512] @ matrix).toarray().T
    return gram


def _inverse(gram: np.ndarray, l2: float) -> np.ndarray:
    """Invert a symmetric (n, n) Gram matrix plus l2 on the diagonal in place. Only the lower triangle is valid."""
    from scipy.linalg import lapack

    gram[np.diag_indices_from(gram)] += np.float32(l2)
    factor, factor_info = lapack.spotrf(gram, lower=1, clean=0, overwrite_a=1)
    inverse, inverse_info = lapack.spotri(factor, lower=1, overwrite_c=1)
    if factor_info or inverse_info:
        raise ModelError(f"EASE could not invert its {len(gram)} x {len(gram)} matrix with l2 = {l2}: raise l2")
    return inverse


def _prune(inverse: np.ndarray, items: np.ndarray, n_items: int, keep: int) -> sp.csr_array:
    """Return B = -P_ij / P_jj with zero diagonal, float32 csr (n_items, n_items).

    Each row i holds its `keep` largest weights by absolute value.
    """
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
