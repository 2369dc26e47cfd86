"""Comparing two variants of an experiment whose unit is the user: differences, CUPED, power, checks.

Throughout, `a` and `b` hold one number a user, float (n,) each, without nan. A difference is b's mean minus a's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL = 0.95
MIN_USERS = 20  # users a variant, below which a mean is too far from normal for an interval
SRM_ALARM = 0.001  # p-value below which a split is not the intended one


@dataclass(frozen=True)
class Effect:
    """The effect of variant b relative to variant a.

    Attributes
    ----------
    a, b : means of the variants
    difference, low, high : b - a with its 95% interval
    p_value : two-sided, of no difference
    relative, relative_low, relative_high : b / a - 1 with its 95% interval; nan where a is 0
    users : users of both variants together
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p_value: float
    relative: float
    relative_low: float
    relative_high: float
    users: int


def paired(a: np.ndarray, b: np.ndarray) -> Effect:
    """Compare variants that both served the same users.

    Student's interval of the users' differences; the interval of the ratio is by the delta method.

    Parameters
    ----------
    a, b : float (n,)
    """
    n = len(a)
    if n < MIN_USERS:
        return _unknown(a, b, n)
    difference = float((b - a).mean())
    error = float((b - a).std(ddof=1)) / math.sqrt(n)
    mean_a, mean_b = float(a.mean()), float(b.mean())
    ratio = mean_b / mean_a if mean_a else math.nan
    ratio_error = float((b - ratio * a).std(ddof=1)) / math.sqrt(n) / mean_a if mean_a else math.nan
    return _effect((mean_a, mean_b), difference, (error, ratio_error), n - 1, n)


def unpaired(a: np.ndarray, b: np.ndarray) -> Effect:
    """Compare variants that served different users.

    Welch's interval of the difference; the interval of the ratio is by the delta method.

    Parameters
    ----------
    a : float (n,)
    b : float (m,)

    References
    ----------
    Welch (1947), Biometrika 34, for the degrees of freedom.
    """
    n = len(a) + len(b)
    if min(len(a), len(b)) < MIN_USERS:
        return _unknown(a, b, n)
    mean_a, mean_b = float(a.mean()), float(b.mean())
    var_a, var_b = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    error = math.sqrt(var_a + var_b)
    denominator = var_a**2 / (len(a) - 1) + var_b**2 / (len(b) - 1)
    dof = (var_a + var_b) ** 2 / denominator if denominator else n - 2
    ratio = mean_b / mean_a if mean_a else math.nan
    ratio_error = math.sqrt(var_b + ratio**2 * var_a) / mean_a if mean_a else math.nan
    return _effect((mean_a, mean_b), mean_b - mean_a, (error, ratio_error), dof, n)


def _effect(means: tuple[float, float], difference: float, errors: tuple[float, float], dof: float, users: int) -> Effect:
    """Return the effect, with Student's intervals from standard errors of the difference and of the ratio."""
    mean_a, mean_b = means
    error, ratio_error = errors
    margin = float(stats.t.ppf((1 + LEVEL) / 2, dof))
    # Without variance all users differ by the same amount, which may be 0.
    p_value = float(2 * stats.t.sf(abs(difference) / error, dof)) if error else float(difference == 0)
    relative = mean_b / mean_a - 1 if mean_a else math.nan
    ends = (relative - margin * ratio_error, relative + margin * ratio_error)
    return Effect(mean_a, mean_b, difference, difference - margin * error, difference + margin * error, p_value, relative, *ends, users)


def _unknown(a: np.ndarray, b: np.ndarray, users: int) -> Effect:
    """Return the effect without intervals, for too few users."""
    mean_a, mean_b = (float(values.mean()) if len(values) else math.nan for values in (a, b))
    nan = math.nan
    return Effect(mean_a, mean_b, mean_b - mean_a, nan, nan, nan, nan, nan, nan, users)


def cuped(values: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Return the values less what covariates from before the experiment predict of them; the mean stays (CUPED).

    One coefficient a covariate for both variants together, by least squares, so that the difference stays unbiased.

    Parameters
    ----------
    values : float (n,)
    covariates : float (n, m), which must hold nothing of the experiment's time

    References
    ----------
    Deng, Xu, Kohavi, Walker (2013), WSDM, "Improving the sensitivity of online controlled experiments by utilizing
    pre-experiment data"; several covariates as in section 3.3.
    """
    centred = covariates - covariates.mean(axis=0)
    slopes, *_ = np.linalg.lstsq(centred, values - values.mean(), rcond=None)
    return values - centred @ slopes


def variance_left(values: np.ndarray, adjusted: np.ndarray) -> float:
    """Return the share of the variance that `cuped` leaves, 0 to 1; 1 where nothing varies.

    An experiment needs that share of the users.
    """
    before = float(values.var())
    return float(adjusted.var()) / before if before else 1.0


def ratio_mismatch(users_a: int, users_b: int, share: float = 0.5) -> float:
    """Return the chi-square p-value of the variants' sizes under a split with `share` in b (sample ratio mismatch).

    Below `SRM_ALARM` something other than chance decides which users count, and no result of the experiment is valid.

    References
    ----------
    Fabijan and others (2019), KDD, "Diagnosing sample ratio mismatch in online controlled experiments".
    """
    return arms_mismatch([users_a, users_b], [1 - share, share])


def arms_mismatch(users: Sequence[int], shares: Sequence[float]) -> float:
    """Return `ratio_mismatch` of any number of arms, whose shares sum to 1."""
    n = sum(users)
    return float(stats.chisquare(users, [n * share for share in shares]).pvalue) if n else 1.0


def users_needed(variances: tuple[float, float], difference: float, power: float = 0.8) -> float:
    """Return the users a variant with which a two-sided test at 5% finds `difference` with probability `power`.

    Parameters
    ----------
    variances : of the users' values in a and b

    Returns
    -------
    inf where `difference` is 0

    References
    ----------
    Two-sample z test: Cohen (1988), Statistical power analysis for the behavioral sciences, section 2.4.
    """
    if not difference:
        return math.inf
    margin = stats.norm.ppf((1 + LEVEL) / 2) + stats.norm.ppf(power)
    return float(margin**2 * sum(variances) / difference**2)


def power_of(variances: tuple[float, float], difference: float, users: tuple[int, int]) -> float:
    """Return the probability that a two-sided test at 5% finds `difference`.

    Parameters
    ----------
    variances : of the users' values in a and b
    users : users in a and b
    """
    error = math.sqrt(sum(variance / max(n, 1) for variance, n in zip(variances, users, strict=True)))
    if not error:
        return float(difference != 0)
    margin, shift = stats.norm.ppf((1 + LEVEL) / 2), abs(difference) / error
    return float(stats.norm.sf(margin - shift) + stats.norm.cdf(-margin - shift))


def detectable(variances: tuple[float, float], users: tuple[int, int], power: float = 0.8) -> float:
    """Return the minimum detectable effect: the smallest difference found with probability `power`, at 5% two-sided.

    Parameters
    ----------
    variances : of the users' values in a and b
    users : users in a and b
    """
    margin = stats.norm.ppf((1 + LEVEL) / 2) + stats.norm.ppf(power)
    return float(margin * math.sqrt(sum(variance / max(n, 1) for variance, n in zip(variances, users, strict=True))))


def binomial_interval(runs: int, rate: float = 1 - LEVEL) -> tuple[int, int]:
    """Return the 95% interval of the number of successes in `runs` trials of probability `rate`."""
    low, high = stats.binom.interval(LEVEL, runs, rate)
    return int(low), int(high)
