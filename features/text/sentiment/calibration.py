"""Calibration on held-out rows: one weight for each part's log-probabilities and a bias for each class.

With one part, it is temperature scaling with a bias (Guo et al. 2017). With two, it also mixes them. The class that is told is not that of
the highest probability: a rare class would hardly ever be told. It is that of the highest probability over prior^tau (logit adjustment:
Menon et al. 2021), with tau chosen for macro-F1, while the probabilities stay calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from features.text.sentiment.labels import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAUS = np.round(np.arange(0, 1.501, 0.05), 2)
_RIDGE = 1e-3
_ARRAYS = ("weights", "bias", "offsets")


@dataclass(frozen=True)
class SentimentCalibration:
    """Weights of the parts, and the bias and the threshold of each class.

    Attributes
    ----------
    weights : float64 (parts,).
    bias : float64 (3,).
    offsets : subtracted from log-probabilities before the class is told, float64 (3,).
    """

    weights: np.ndarray
    bias: np.ndarray
    offsets: np.ndarray

    def probabilities(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities from the logits of each part, (n, 3), float32 (n, 3)."""
        return softmax(_mixed(self.weights, self.bias, [log_softmax(part, axis=1) for part in parts]), axis=1).astype(np.float32)

    def labels(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the class to tell, int64 (n,); -1 where the probabilities are nan."""
        scores = np.log(np.maximum(probabilities, 1e-12)) - self.offsets
        return np.where(np.isnan(probabilities[:, 0]), NO_LABEL, np.where(np.isnan(scores), 0, scores).argmax(axis=1))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str = "") -> SentimentCalibration:
        """Read what `to_arrays` gave, each name after a prefix."""
        return cls(*(arrays[prefix + name] for name in _ARRAYS))

    @classmethod
    def fit(cls, parts: Sequence[np.ndarray], labels: np.ndarray, weights: np.ndarray | None = None) -> SentimentCalibration:
        """Fit on rows that trained no part.

        Parameters
        ----------
        parts : logits of each part, (n, 3).
        labels : int (n,).
        weights : of the rows, float (n,); None for equal weights.
        """
        logs = [log_softmax(part.astype(np.float64), axis=1) for part in parts]
        rows = np.ones(len(labels)) if weights is None else weights
        rows = rows / rows.sum()
        prior, many = np.bincount(labels, rows, 3), len(parts)

        def loss(values: np.ndarray) -> float:
            found = log_softmax(_mixed(values[:many], values[many:], logs), axis=1)[np.arange(len(labels)), labels]
            return float(-(rows @ found) + _RIDGE * (values[many:] ** 2).sum())

        start = np.concatenate([np.full(many, 1 / many), np.zeros(3)])
        bounds = [(0.0, None)] * many + [(None, None)] * 3
        best = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
        fitted = cls(best[:many], best[many:], np.zeros(3))
        return cls(fitted.weights, fitted.bias, _best_offsets(fitted.probabilities(parts), labels, rows, prior))


def _mixed(weights: np.ndarray, bias: np.ndarray, logs: Sequence[np.ndarray]) -> np.ndarray:
    return np.tensordot(weights, np.stack(logs), axes=1) + bias


def _best_offsets(probabilities: np.ndarray, labels: np.ndarray, rows: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return tau times the log-prior; infinity for a class that does not occur, so that it is never told."""
    found = prior > 0
    log_prior = np.log(np.where(found, prior, 1))
    logs = np.where(found, np.log(np.maximum(probabilities, 1e-12)), -np.inf)
    scores = [macro_f1(labels, (logs - tau * log_prior).argmax(axis=1), rows) for tau in TAUS]
    # Neighbouring values differ by chance: their mean is steadier than the best alone.
    smooth = np.convolve(np.pad(scores, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    return np.where(found, TAUS[int(np.argmax(smooth))] * log_prior, np.inf)


def macro_f1(labels: np.ndarray, told: np.ndarray, rows: np.ndarray | None = None) -> float:
    """Return the mean over the three classes of F1 = 2 TP / (2 TP + FP + FN); a class that neither occurs nor is told has 0."""
    weights = np.ones(len(labels)) if rows is None else rows
    right = np.bincount(labels[labels == told], weights[labels == told], 3)
    both = np.bincount(labels, weights, 3) + np.bincount(told, weights, 3)
    return float(np.mean(np.divide(2 * right, both, out=np.zeros(3), where=both > 0)))
