"""Calibration of scores to probabilities by isotonic regression (Zadrozny & Elkan 2002), fitted on a window of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Calibration:
    """A monotone piecewise linear map from log odds to probability.

    Attributes
    ----------
    scores : ascending log odds, float64 (m,).
    probabilities : their probabilities, within 0..1, float64 (m,).
    """

    scores: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def fit(cls, scores: np.ndarray, labels: np.ndarray) -> Calibration:
        """Fit on scores (n,) and binary labels (n,).

        Probabilities stay within [1 / (n + 2), 1 - 1 / (n + 2)], as if one more example of each class had been seen.
        """
        from sklearn.isotonic import IsotonicRegression

        if not len(scores):
            return cls(np.zeros(1), np.full(1, 0.5))
        fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
        low, high = 1 / (len(labels) + 2), 1 - 1 / (len(labels) + 2)
        return cls(fitted.X_thresholds_.astype(np.float64), np.clip(fitted.y_thresholds_, low, high).astype(np.float64))

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities of scores, float32 of the same shape; 0 for nan and -inf."""
        known = np.where(np.isnan(scores), -np.inf, scores)
        probabilities = np.interp(known, self.scores, self.probabilities)
        return np.where(known == -np.inf, 0.0, probabilities).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        """Return the map as one JSON file."""
        return {"calibration.json": json.dumps({"scores": self.scores.tolist(), "probabilities": self.probabilities.tolist()}).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Calibration:
        """Read the file that `to_files` wrote."""
        values = json.loads(files["calibration.json"])
        return cls(np.array(values["scores"]), np.array(values["probabilities"]))
