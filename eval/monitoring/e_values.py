"""E-values of a day's negative reviews against the usual share, given how many reviews there are.

The e-value of a day is the likelihood of its count under a larger share over the larger of two likelihoods under no surge. Its expectation
is therefore at most 1

- for a binomial count of the usual share plus the margin, and so wherever each review, whatever came before it, is negative with at most
  this probability: the ratio rises with the count, and a sum of other bets of the same bound has a smaller moment generating function
- for a share that is uncertain as the reference says, and for days that vary more than a binomial: the beta-binomial.

Both take the volume as given, so that more sales are no surge of complaints.

References
----------
Shin, Ramdas and Rinaldo (2022), E-detectors: a nonparametric framework for sequential change detection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

if TYPE_CHECKING:
    from eval.monitoring.config import WatchConfig
    from eval.monitoring.reference import Usual

MOST = 0.97  # of a day's reviews under no surge, at most, so that its likelihoods exist
LARGEST = 100.0  # logarithm of an e-value: larger ones say no more, and overflow


def log_e_values(negatives: np.ndarray, totals: np.ndarray, usual: Usual, config: WatchConfig) -> np.ndarray:
    """Return the logarithm of the e-value of each effect, float64 (..., series, effects)."""
    bound = np.minimum(usual.share * (1 + config.margin), MOST)
    binomial = log_binomial(negatives, totals, bound)
    null = np.maximum(binomial, log_beta_binomial(negatives, totals, bound, usual.precision))
    shares = [surged(usual.share, effect, bound) for effect in config.effects]
    surges = [log_beta_binomial(negatives, totals, share, usual.precision) for share in shares]
    return np.clip(np.stack(surges, axis=-1) - null[..., None], -LARGEST, LARGEST)


def surged(share: np.ndarray, effect: float, bound: np.ndarray) -> np.ndarray:
    """Return the share under a surge: `effect` times a small share, and below 1 for a large one."""
    return np.maximum(-np.expm1(effect * np.log1p(-share)), bound)


def log_binomial(negatives: np.ndarray, totals: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the logarithm of the likelihood but for the binomial coefficient, which cancels."""
    return xlogy(negatives, share) + xlog1py(totals - negatives, -share)


def log_beta_binomial(negatives: np.ndarray, totals: np.ndarray, share: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return the same for a share that varies around `share` by a beta distribution."""
    a, b = share * precision, (1 - share) * precision
    return betaln(negatives + a, totals - negatives + b) - betaln(a, b)
