"""The probability that the best passage answers a question, from the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

if TYPE_CHECKING:
    from collections.abc import Mapping

RIDGE = 1e-2
LEAST = 8  # questions; with fewer there is nothing to calibrate on


@dataclass(frozen=True)
class AnswerCalibration:
    """Logistic regression over standardised evidence.

    Attributes
    ----------
    mean, scale : of each kind of evidence, float64 (m,).
    weights : float64 (m,), never negative: more evidence never makes an answer less probable.
    bias : float
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float

    def probabilities(self, evidence: np.ndarray) -> np.ndarray:
        """Return the probability for each row of evidence, (n, m), float32 (n,)."""
        return expit((evidence - self.mean) / self.scale @ self.weights + self.bias).astype(np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {"calibration.mean": self.mean, "calibration.scale": self.scale, "calibration.weights": np.append(self.weights, self.bias)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> AnswerCalibration | None:
        """Read what `to_arrays` gave; None where there is nothing of it."""
        if "calibration.mean" not in arrays:
            return None
        weights = arrays["calibration.weights"]
        return cls(arrays["calibration.mean"], arrays["calibration.scale"], weights[:-1], float(weights[-1]))

    @classmethod
    def fit(cls, evidence: np.ndarray, answered: np.ndarray) -> AnswerCalibration:
        """Fit on questions of which it is known whether the best passage answers them; both kinds weigh the same.

        Parameters
        ----------
        evidence : float (n, m)
        answered : bool (n,)
        """
        mean, scale = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), 1e-6)
        inputs = (evidence - mean) / scale
        rows = np.where(answered, 0.5 / max(1, answered.sum()), 0.5 / max(1, (~answered).sum()))
        signs = np.where(answered, 1.0, -1.0)

        def loss(values: np.ndarray) -> float:
            return float(-(rows @ log_expit(signs * (inputs @ values[:-1] + values[-1]))) + RIDGE * (values[:-1] ** 2).sum())

        bounds = [(0.0, None)] * inputs.shape[1] + [(None, None)]
        best = minimize(loss, np.zeros(inputs.shape[1] + 1), method="L-BFGS-B", bounds=bounds).x
        return cls(mean, scale, best[:-1], float(best[-1]))
