"""Logistic regression with a sign for each column, so that few examples cannot turn what is known of a shop upside down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from collections.abc import Sequence

PENALTY = 10.0  # of the squares of the standardised weights, as so many examples of each class
ROUNDS = 200


@dataclass(frozen=True)
class SignedLogistic:
    """Log odds are `intercept` plus the columns times `weights`, float64 (columns,)."""

    weights: np.ndarray
    intercept: float

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, weight: np.ndarray, signs: Sequence[int]) -> SignedLogistic:
        """Fit on examples (n, columns), labels bool (n,) and the weights of the examples (n,).

        Parameters
        ----------
        signs : of each column's weight: 1 or -1; 0 leaves it free.
        """
        from scipy.optimize import minimize

        mean = np.average(x, axis=0, weights=weight)
        scale = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))
        scale = np.where(scale > 1e-6, scale, np.inf)  # a column that does not vary says nothing
        z, target, weight = ((x - mean) / scale).astype(np.float64), y.astype(np.float64), weight.astype(np.float64)
        share = float(np.clip(weight @ target / weight.sum(), 1e-9, 1 - 1e-9))

        def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
            odds = theta[0] + z @ theta[1:]
            off = weight * (expit(odds) - target)
            value = weight @ (np.logaddexp(0, odds) - target * odds) + PENALTY / 2 * (theta[1:] @ theta[1:])
            return float(value), np.concatenate([[off.sum()], off @ z + PENALTY * theta[1:]])

        bounds = [(None, None), *((0 if sign > 0 else None, 0 if sign < 0 else None) for sign in signs)]
        start = np.concatenate([[np.log(share / (1 - share))], np.zeros(x.shape[1])])
        theta = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ROUNDS}).x
        weights = theta[1:] / scale
        return cls(weights, float(theta[0] - weights @ mean))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return log odds of examples (n, columns), float64 (n,)."""
        return self.intercept + x @ self.weights


def probabilities(odds: np.ndarray) -> np.ndarray:
    """Return the probabilities of log odds, float32 of the same shape."""
    return expit(odds).astype(np.float32)
