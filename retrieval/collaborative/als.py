"""Alternating least squares over histories: one more model of what people buy together, with factors.

As in `retrieval.collaborative.item_weights`, what is learned is about items; users are folded in from their history.
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
    """Implicit-feedback matrix factorisation: confidence is 1 + alpha * weight."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weighting: Weighting = Weighting(count="log")
    factors: int = Field(default=64, ge=1)
    iterations: int = Field(default=15, ge=1)
    l2: float = Field(default=0.05, gt=0)
    alpha: float = Field(default=1.0, gt=0)
    seed: int = 0

    def confidence(self, matrix: sp.csr_array) -> sp.csr_matrix:
        """What implicit expects: how sure each entry is, counting from 1."""
        return sp.csr_matrix((1 + self.alpha * matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _solver(config: ALSConfig) -> AlternatingLeastSquares:
    from implicit.als import AlternatingLeastSquares

    # implicit runs its own threads and warns of a BLAS that does as well: together they take many times longer.
    with threadpool_limits(1, "blas"):
        return AlternatingLeastSquares(
            factors=config.factors, regularization=config.l2, iterations=config.iterations, random_state=config.seed, use_gpu=False
        )


@dataclass(frozen=True)
class ALS:
    """Factors of items by alternating least squares (Hu, Koren, Volinsky 2008); users are folded in from their history.

    Attributes
    ----------
    factors: float32 (n_items, d); zero for items never seen. config: what they were fitted with.
    """

    factors: np.ndarray
    config: ALSConfig

    @classmethod
    def fit(cls, log: Interactions, config: ALSConfig | None = None) -> ALS:
        """implicit's solver on the CPU; the same seed gives the same factors."""
        config = config or ALSConfig()
        matrix = log_matrix(log, config.weighting)
        # Factors begin at random, a row a user: how many people come after the log's end must not show in them.
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
        """What all items together say of every user: the factors' products, with l2 on the diagonal, float64 (d, d)."""
        factors = self.factors.astype(np.float64)
        return factors.T @ factors + self.config.l2 * np.eye(factors.shape[1])

    def user_factors(self, users: Histories) -> np.ndarray:
        """Factors of users, float32 (b, d): the least-squares answer to their history, items held fixed. Zero without history.

        The paper's equation 4.
        """
        return users.once(self, "factors", lambda: self._user_factors(users))

    def _user_factors(self, users: Histories) -> np.ndarray:
        matrix = history_matrix(users, self.n_items, self.config.weighting)
        left, right = np.tile(self.gram, (len(users), 1, 1)), np.zeros((len(users), self.factors.shape[1], 1))
        for i in range(len(users)):
            entries = slice(matrix.indptr[i], matrix.indptr[i + 1])
            held = self.factors[matrix.indices[entries]].astype(np.float64)  # (items held, d)
            above = self.config.alpha * matrix.data[entries].astype(np.float64)  # confidence above 1
            left[i] += (held * above[:, None]).T @ held
            right[i, :, 0] = (1 + above) @ held
        return np.linalg.solve(left, right)[..., 0].astype(np.float32)

    def scores(self, users: Histories) -> np.ndarray:
        """See `ItemScorer`."""
        scores = np.empty((len(users), self.n_items), dtype=np.float32)
        # One product a user: a BLAS sums a batch in another order, and a user's list would depend on who else asks.
        for row, factors in zip(scores, self.user_factors(users), strict=True):
            np.matmul(self.factors, factors, out=row)
        return scores

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        found = np.einsum("bd,bkd->bk", self.user_factors(users), self.factors[np.maximum(rows, 0)])
        return np.where(rows >= 0, found, 0).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        """The factors in safetensors, the configuration in JSON."""
        return {
            "factors.safetensors": save({"factors": self.factors, "gram": self.gram}),
            "config.json": self.config.model_dump_json().encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ALS:
        """What `to_files` made."""
        arrays = arrays_of(files, "factors.safetensors")
        model = cls(arrays["factors"], ALSConfig.model_validate_json(files["config.json"]))
        vars(model)["gram"] = arrays["gram"]  # a catalogue's worth of products, made once
        return model
