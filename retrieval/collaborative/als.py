"""Matrix factorisation by alternating least squares (ALS).

Only item factors are stored. Users are folded in from their history, as in `retrieval.collaborative.item_weights`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import save
from threadpoolctl import threadpool_limits

from features.storage.arrays import arrays_of
from retrieval.collaborative.scoring import Weighting, history_matrix, log_matrix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from implicit.als import AlternatingLeastSquares

    from features.data.histories import Histories
    from features.data.interactions import Interactions


class ALSConfig(BaseModel):
    """Parameters of implicit-feedback matrix factorisation; the confidence of an entry is 1 + alpha * weight."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weighting: Weighting = Weighting(count="log")
    factors: int = Field(default=64, ge=1)
    iterations: int = Field(default=15, ge=1)
    l2: float = Field(default=0.05, gt=0)
    alpha: float = Field(default=1.0, gt=0)
    seed: int = 0

    def confidence(self, matrix: sp.csr_array) -> sp.csr_matrix:
        """Return the confidence of each entry, in the form that implicit expects."""
        return sp.csr_matrix((1 + self.alpha * matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _solver(config: ALSConfig) -> AlternatingLeastSquares:
    from implicit.als import AlternatingLeastSquares

    # implicit runs its own threads, and warns if BLAS does so too: together they take many times longer.
    with threadpool_limits(1, "blas"):
        return AlternatingLeastSquares(
            factors=config.factors, regularization=config.l2, iterations=config.iterations, random_state=config.seed, use_gpu=False
        )


@dataclass(frozen=True)
class ALS:
    """Item factors by alternating least squares; users are folded in from their history. Implements `ItemScorer`.

    Attributes
    ----------
    factors : float32 (n_items, d)
        Zero for items without events.
    config : ALSConfig
        Parameters of the fit.

    References
    ----------
    Hu, Koren, Volinsky 2008, "Collaborative filtering for implicit feedback datasets", ICDM.
    """

    factors: np.ndarray
    config: ALSConfig

    @classmethod
    def fit(cls, log: Interactions, config: ALSConfig | None = None) -> ALS:
        """Fit with the solver of implicit on the CPU; the same seed gives the same factors."""
        config = config or ALSConfig()
        matrix = log_matrix(log, config.weighting)
        # Factors start at random, one row a user. Users without events before the cut must not change them.
        matrix = matrix[np.diff(matrix.indptr) > 0]
        solver = _solver(config)
        with threadpool_limits(1, "blas"):
            solver.fit(config.confidence(matrix), show_progress=False)
        factors = np.array(solver.item_factors, dtype=np.float32)
        factors[np.bincount(matrix.indices, minlength=log.n_items) == 0] = 0
        return cls(factors, config)

    @property
    def n_items(self) -> int:
        return len(self.factors)

    @cached_property
    def gram(self) -> np.ndarray:
        """Gram matrix of the item factors with l2 on the diagonal, float64 (d, d)."""
        factors = self.factors.astype(np.float64)
        return factors.T @ factors + self.config.l2 * np.eye(factors.shape[1])

    def user_factors(self, users: Histories) -> np.ndarray:
        """Return user factors float32 (b, d), zero without history.

        They are the least-squares solution for the history with item factors fixed (equation 4 of the paper).
        """
        return users.once(self, "factors", lambda: self._user_factors(users))

    def _user_factors(self, users: Histories) -> np.ndarray:
        matrix = history_matrix(users, self.n_items, self.config.weighting)
        left, right = np.tile(self.gram, (len(users), 1, 1)), np.zeros((len(users), self.factors.shape[1], 1))
        for i in range(len(users)):
            entries = slice(matrix.indptr[i], matrix.indptr[i + 1])
            factors = self.factors[matrix.indices[entries]].astype(np.float64)  # (items of the user, d)
            above = self.config.alpha * matrix.data[entries].astype(np.float64)  # confidence above 1
            left[i] += (factors * above[:, None]).T @ factors
            right[i, :, 0] = (1 + above) @ factors
        return np.linalg.solve(left, right)[..., 0].astype(np.float32)

    def scores(self, users: Histories) -> np.ndarray:
        """See `ItemScorer`."""
        scores = np.empty((len(users), self.n_items), dtype=np.float32)
        # One product a user: BLAS sums a batch in another order, and a list would depend on the rest of the batch.
        for row, factors in zip(scores, self.user_factors(users), strict=True):
            np.matmul(self.factors, factors, out=row)
        return scores

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        scores = np.einsum("bd,bkd->bk", self.user_factors(users), self.factors[np.maximum(rows, 0)])
        return np.where(rows >= 0, scores, 0).astype(np.float32)

    def moved(self, rows: np.ndarray) -> ALS:
        """Return the model over another catalogue.

        Parameters
        ----------
        rows : the row of each of its items in this one, int64 (n_items,); -1 for a new item, whose factors are zero.
        """
        factors = np.zeros((len(rows), self.factors.shape[1]), dtype=np.float32)
        factors[rows >= 0] = self.factors[rows[rows >= 0]]
        return ALS(factors, self.config)

    def to_files(self) -> dict[str, bytes]:
        """Return the factors in safetensors and the configuration in JSON."""
        return {
            "factors.safetensors": save({"factors": self.factors, "gram": self.gram}),
            "config.json": self.config.model_dump_json().encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ALS:
        """Read the files of `to_files`."""
        arrays = arrays_of(files, "factors.safetensors")
        model = cls(arrays["factors"], ALSConfig.model_validate_json(files["config.json"]))
        vars(model)["gram"] = arrays["gram"]  # stored: it takes a pass over the whole catalogue
        return model
