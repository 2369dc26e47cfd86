"""BG/NBD: customers buy at random at a rate of their own until, after some purchase, they leave for good.

Rates are gamma distributed over customers, and the probability of leaving after a purchase is beta distributed. `gamma_gamma` has the
value of a purchase.

References
----------
Fader, Hardie, Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaln, gammaln, hyp2f1

from eval.baselines.customers.likelihood import most_likely

if TYPE_CHECKING:
    from eval.baselines.customers.summary import PurchaseSummary

_STARTS = ((1.0, 1.0, 1.0, 1.0), (0.3, 0.3, 0.8, 2.5), (2.0, 0.5, 0.1, 3.0))


@dataclass(frozen=True)
class BgNbd:
    """The fitted model; times are in the unit of the summary's.

    Attributes
    ----------
    r, alpha : shape and rate of the gamma distribution of purchase rates.
    a, b : the beta distribution of leaving after a purchase.
    log_likelihood : of the customers that it was fitted on.
    converged : whether the search for the maximum ended at one.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    converged: bool

    @classmethod
    def fit(cls, summary: PurchaseSummary) -> BgNbd:
        """Fit by maximum likelihood, from several starts, on times scaled to at most 1; a warning is logged where it does not converge."""
        unit = float(summary.age.max(initial=0)) or 1.0
        x, last, age = summary.repeats, summary.last / unit, summary.age / unit
        found = most_likely("BG/NBD", lambda parameters: log_likelihood(parameters, x, last, age).sum(), _STARTS)
        r, alpha, a, b = found.parameters
        return cls(r, alpha * unit, a, b, found.log_likelihood - float(x.sum()) * np.log(unit), found.converged)

    def alive(self, summary: PurchaseSummary) -> np.ndarray:
        """Return the probability that each customer has not left, float64 (n,).

        Who has bought once is alive with certainty, since leaving follows a repeat purchase only: never rank by it.
        """
        x = summary.repeats
        log_odds = np.log(self.a) - np.log(self.b + np.maximum(x, 1) - 1)
        log_odds = log_odds + (self.r + x) * np.log((self.alpha + summary.age) / (self.alpha + summary.last))
        return np.where(x > 0, 1 / (1 + np.exp(np.minimum(log_odds, 700))), 1.0)

    def chance(self, summary: PurchaseSummary, time: float) -> np.ndarray:
        """Return the probability of any purchase within `time` from now, float64 (n,).

        P(alive) * (1 - ((alpha + T) / (alpha + T + time)) ** (r + x)): the rate of a customer who is alive is gamma(r + x, alpha + T).
        """
        seen = self.alpha + summary.age
        return self.alive(summary) * -np.expm1((self.r + summary.repeats) * np.log(seen / (seen + time)))

    def expected(self, summary: PurchaseSummary, time: float) -> np.ndarray:
        """Return the expected purchases within `time` from now, float64 (n,).

        Equation (10) of the paper, after Euler's transformation of the hypergeometric function, which many repeats would overflow.
        """
        a = self.a + 1e-6 if abs(self.a - 1) < 1e-6 else self.a
        x, seen = summary.repeats, self.alpha + summary.age
        share = time / (seen + time)
        with np.errstate(all="ignore"):
            series = (1 - share) ** (a - 1) * hyp2f1(a + self.b - 1 - self.r, a - 1, a + self.b + x - 1, share)
            expected = (a + self.b + x - 1) / (a - 1) * (1 - series)
        # Where parameters are so large that the series cannot be summed, customers hardly differ in their probability of leaving.
        leaves = a / (a + self.b + x)
        alike = -np.expm1(-(self.r + x) * np.log1p(leaves * time / seen)) / leaves
        return self.alive(summary) * np.where(np.isfinite(expected), expected, alike)


def log_likelihood(parameters: np.ndarray, repeats: np.ndarray, last: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of each customer, float64 (n,), at (r, alpha, a, b): equation (6) of the paper."""
    r, alpha, a, b = parameters
    rate = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
    stays = betaln(a, b + repeats) - betaln(a, b) - (r + repeats) * np.log(alpha + age)
    leaves = betaln(a + 1, b + np.maximum(repeats, 1) - 1) - betaln(a, b) - (r + repeats) * np.log(alpha + last)
    return rate + np.where(repeats > 0, np.logaddexp(stays, leaves), stays)
