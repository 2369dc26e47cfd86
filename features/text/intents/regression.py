"""Multinomial logistic regression over vectors. scikit-learn fits it; numpy is enough to apply it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

STRENGTH = 10.0  # inverse of the ridge penalty, scikit-learn's C


@dataclass(frozen=True)
class Regression:
    """The fitted regression.

    Attributes
    ----------
    weights : float32 (width, classes).
    bias : float32 (classes,).
    """

    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, labels: np.ndarray, strength: float = STRENGTH) -> Regression:
        """Fit on vectors (n, width) and labels, int (n,), each of 0 .. classes - 1 at least once."""
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=strength, max_iter=1000).fit(vectors, labels)
        # Of two classes, scikit-learn gives one logit.
        signs = np.array([[-0.5], [0.5]]) if len(model.classes_) == 2 else np.eye(len(model.classes_))
        return cls((signs @ model.coef_).T.astype(np.float32), (signs @ model.intercept_).astype(np.float32))

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        """Return the logits, float32 (n, classes)."""
        return vectors @ self.weights + self.bias

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays by name, after a prefix."""
        return {f"{prefix}.weights": self.weights, f"{prefix}.bias": self.bias}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Regression:
        """Read what `to_arrays` gave."""
        return cls(arrays[f"{prefix}.weights"], arrays[f"{prefix}.bias"])
