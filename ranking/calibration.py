"""From scores to probabilities: isotonic regression, fitted on a window that nothing else was fitted on (Zadrozny & Elkan 2002)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Calibration:
    """A monotone piecewise linear map from log odds to probability: `scores` ascending, `probabilities` within 0..1, (m,) each."""

    scores: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def fit(cls, scores: np.ndarray, labels: np.ndarray) -> Calibration:
        """Fit on scores (n,) and whether each came true (n,). Nothing and no certainty is said of what was never seen: the ends are kept
        inside (0, 1) by one imagined example of each kind."""
        from sklearn.isotonic import IsotonicRegression

        if not len(scores):
            return cls(np.zeros(1), np.full(1, 0.5))
        fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
        low, high = 1 / (len(labels) + 2), 1 - 1 / (len(labels) + 2)
        return cls(fitted.X_thresholds_.astype(np.float64), np.clip(fitted.y_thresholds_, low, high).astype(np.float64))

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of scores of any shape; nan and -inf stay 0."""
        known = np.where(np.isnan(scores), -np.inf, scores)
        found = np.interp(known, self.scores, self.probabilities)
        return np.where(known == -np.inf, 0.0, found).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        return {"calibration.json": json.dumps({"scores": self.scores.tolist(), "probabilities": self.probabilities.tolist()}).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Calibration:
        values = json.loads(files["calibration.json"])
        return cls(np.array(values["scores"]), np.array(values["probabilities"]))
