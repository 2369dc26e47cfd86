"""Logistic regression on recency, frequency and value, tuned on a later past moment than those that it learns from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)  # inverse strength
DEGREES = (1, 2, 3)  # of the polynomial of the three


@dataclass(frozen=True)
class RfmRegression:
    """The fitted regression, and the setting that was chosen.

    Attributes
    ----------
    model : None where all customers did the same.
    share : of the customers that it was fitted on who bought.
    """

    model: Pipeline | None
    share: float
    setting: dict[str, float]

    @classmethod
    def tuned(cls, rfm: np.ndarray, labels: np.ndarray, window: np.ndarray) -> RfmRegression:
        """Choose penalty and degree by the log loss at the newest moment, fitted on the others, then fit on all.

        Parameters
        ----------
        rfm : float (n, 3), recency in days, purchase days, and mean value of a day.
        labels : bool (n,).
        window : int (n,), the moment of each row; 0 is the newest.
        """
        x, valid, share = np.log1p(rfm), window == 0, float(labels.mean())
        if share in (0.0, 1.0):
            return cls(None, share, {})
        settings = list(product(PENALTIES, DEGREES))
        if valid.all() or labels[~valid].all() or not labels[~valid].any():
            best = settings[0]
        else:
            losses = [_loss(_fitted(x[~valid], labels[~valid], *setting), x[valid], labels[valid]) for setting in settings]
            best = settings[int(np.argmin(losses))]
        return cls(_fitted(x, labels, *best), share, {"inverse_penalty": best[0], "degree": best[1]})

    def chance(self, rfm: np.ndarray) -> np.ndarray:
        """Return the chance of rows (n, 3), float64 (n,)."""
        return np.full(len(rfm), self.share) if self.model is None else self.model.predict_proba(np.log1p(rfm))[:, 1]


def _fitted(x: np.ndarray, labels: np.ndarray, penalty: float, degree: int) -> Pipeline:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    parts = (
        StandardScaler(),
        PolynomialFeatures(degree, include_bias=False),
        StandardScaler(),
        LogisticRegression(C=penalty, max_iter=1000),
    )
    return make_pipeline(*parts).fit(x, labels)


def _loss(model: Pipeline, x: np.ndarray, labels: np.ndarray) -> float:
    from eval.metrics.probabilities import log_losses

    return float(log_losses(labels, model.predict_proba(x)[:, 1]).mean())
