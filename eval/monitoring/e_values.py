"""E-values of a day's negative reviews against the usual share, given how many reviews there are.

The e-value is the likelihood of the count under a larger share, a beta-binomial, over the larger of two likelihoods
under no surge. Its expectation is at most 1 under both of these:

- Each review of the day, whatever came before it, is negative with at most the usual share plus the margin. The ratio
  to the binomial is kept from falling with the count, and such a count is stochastically smaller than the binomial.
- The share is as uncertain as the reference says, and the reviews of a day are correlated: the beta-binomial.

Both take the volume as given, so that more sales are no surge of complaints.

References
----------
Shin, Ramdas and Rinaldo (2022), E-detectors: a nonparametric framework for sequential change detection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

if TYPE_CHECKING:
    from eval.monitoring.config import WatchConfig
    from eval.monitoring.reference import Usual

MOST = 0.97  # of a day's reviews under no surge, at most, so that its likelihoods exist
LARGEST = 100.0  # logarithm of an e-value: larger ones say no more, and overflow


def log_e_values(negatives: np.ndarray, totals: np.ndarray, usual: Usual, config: WatchConfig) -> np.ndarray:
    """Return the logarithm of the e-value of each effect, float64 (..., series, effects)."""
    bound = np.minimum(usual.share * (1 + config.margin), MOST)
    precision = usual.precision
    # Under both shares the beta-binomial has this factor.
    same = gammaln(precision) - gammaln(totals + precision)
    uncertain = _log_beta_binomial(negatives, totals, bound, precision) + same
    binomial = log_binomial(negatives, totals, bound)
    logs = []
    for effect in config.effects:
        share = surged(usual.share, effect, bound)
        surge = _log_beta_binomial(negatives, totals, share, precision) + same
        log = surge - np.maximum(uncertain, binomial)
        # Below `lowest` the ratio to the binomial would rise again, because a beta-binomial knows small shares, too.
        lowest = np.ceil(bound * (precision + totals - 1) - share * precision)
        low = negatives < lowest
        if low.any():
            count, of, at = lowest[low], totals[low], bound[low]
            flat = _log_beta_binomial(count, of, share[low], precision[low]) + same[low] - log_binomial(count, of, at)
            log[low] = np.minimum((surge - uncertain)[low], flat)
        logs.append(log)
    return np.clip(np.stack(logs, axis=-1), -LARGEST, LARGEST)


def surged(share: np.ndarray, effect: float, bound: np.ndarray) -> np.ndarray:
    """Return the share under a surge: `effect` times a small share, and below 1 for a large one."""
    return np.maximum(-np.expm1(effect * np.log1p(-share)), bound)


def log_binomial(negatives: np.ndarray, totals: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the logarithm of the likelihood but for the binomial coefficient, which cancels."""
    return xlogy(negatives, share) + xlog1py(totals - negatives, -share)


def _log_beta_binomial(negatives: np.ndarray, totals: np.ndarray, share: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return the same for a share that is beta-distributed around `share`, but for a factor of `totals` and `precision`."""
    a, b = share * precision, (1 - share) * precision
    return gammaln(negatives + a) + gammaln(totals - negatives + b) - gammaln(a) - gammaln(b)
