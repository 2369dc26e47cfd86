"""Gamma-Gamma: what a customer pays on a purchase day varies around a mean of their own, and these means vary over customers.

References
----------
Fader, Hardie (2013), The Gamma-Gamma Model of Monetary Value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from eval.baselines.customers.likelihood import most_likely

if TYPE_CHECKING:
    from eval.baselines.customers.summary import PurchaseSummary

_STARTS = ((1.0, 1.0, 1.0), (6.0, 4.0, 0.5), (2.0, 3.0, 2.0))


@dataclass(frozen=True)
class GammaGamma:
    """The fitted model.

    Attributes
    ----------
    p : shape of the values of one customer.
    q, gamma : shape and scale of the distribution of the customers' scales.
    mean : over customers, for those without a value and where the model has no mean (q <= 1).
    """

    p: float
    q: float
    gamma: float
    mean: float
    converged: bool

    @classmethod
    def fit(cls, summary: PurchaseSummary) -> GammaGamma:
        """Fit by maximum likelihood on values scaled to a mean of 1, from several starts; customers who paid nothing are left out.

        All purchase days count, the first one too.
        """
        paid = summary.value > 0
        if not paid.any():
            return cls(1.0, 2.0, 0.0, 0.0, False)
        count, value = summary.repeats[paid] + 1, summary.value[paid]
        unit = float(value.mean())
        found = most_likely("Gamma-Gamma", lambda parameters: log_likelihood(parameters, count, value / unit).sum(), _STARTS)
        p, q, gamma = found.parameters
        return cls(p, q, gamma * unit, unit, found.converged)

    def expected(self, summary: PurchaseSummary) -> np.ndarray:
        """Return the expected value of a purchase day of each customer, float64 (n,): equation (5) of the paper."""
        count = summary.repeats + 1
        weight = self.p * count + self.q - 1
        if self.q <= 1:  # the mean over customers is infinite: it cannot shrink towards it
            return np.where(summary.value > 0, summary.value, self.mean)
        return np.where(summary.value > 0, self.p * (self.gamma + summary.value * count) / weight, self.mean)


def log_likelihood(parameters: np.ndarray, count: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of each customer, float64 (n,), at (p, q, gamma), for mean values of `count` purchase days."""
    p, q, gamma = parameters
    own = p * count
    out = gammaln(own + q) - gammaln(own) - gammaln(q) + q * np.log(gamma)
    return out + (own - 1) * np.log(value) + own * np.log(count) - (own + q) * np.log(gamma + count * value)
