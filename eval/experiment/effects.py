"""Comparing two arms of an experiment whose unit is the user: who is in which arm, differences with intervals, CUPED, power, checks.

Everywhere: `a`, `b` are one number a user, float (n,) each, without nan; a difference is b's mean minus a's.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Iterable

LEVEL = 0.95
FEWEST = 20  # users an arm, below which a mean is too far from normal for an interval to be told
SRM_ALARM = 0.001  # p-value below which a split is not the one that was asked for


@dataclass(frozen=True)
class Effect:
    """What b does that a does not.

    Attributes
    ----------
    a, b: means of the arms. difference, low, high: b - a with its 95% interval. p_value: two-sided, of no difference.
    relative, relative_low, relative_high: b / a - 1 with its 95% interval; nan where a is 0. users: how many it rests on, both arms
    together.
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


def in_b(user_ids: Iterable[str], salt: str, share: float = 0.5) -> np.ndarray:
    """Whether each user is in arm b, bool (n,): the same for ever under one salt, independent between salts, whoever else is there.

    The first 8 bytes of SHA-256 of salt and id, as a number in [0, 1), below `share`.
    """
    prefix = hashlib.sha256(salt.encode() + b"\0")

    def place(user_id: str) -> int:
        digest = prefix.copy()
        digest.update(user_id.encode())
        return int.from_bytes(digest.digest()[:8], "big")

    places = np.fromiter((place(user) for user in user_ids), dtype=np.uint64)
    return places < np.uint64(min(int(share * 2**64), 2**64 - 1))


def paired(a: np.ndarray, b: np.ndarray) -> Effect:
    """Both arms answered the same users, (n,) each: Student's interval of the users' differences; of the ratio, by the delta method."""
    n = len(a)
    if n < FEWEST:
        return _unknown(a, b, n)
    difference = float((b - a).mean())
    spread = float((b - a).std(ddof=1)) / math.sqrt(n)
    mean_a, mean_b = float(a.mean()), float(b.mean())
    ratio = mean_b / mean_a if mean_a else math.nan
    ratio_spread = float((b - ratio * a).std(ddof=1)) / math.sqrt(n) / mean_a if mean_a else math.nan
    return _effect((mean_a, mean_b), difference, (spread, ratio_spread), n - 1, n)


def unpaired(a: np.ndarray, b: np.ndarray) -> Effect:
    """Each arm answered users of its own, (n,) and (m,): Welch's interval; of the ratio, by the delta method."""
    n = len(a) + len(b)
    if min(len(a), len(b)) < FEWEST:
        return _unknown(a, b, n)
    mean_a, mean_b = float(a.mean()), float(b.mean())
    var_a, var_b = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    spread = math.sqrt(var_a + var_b)
    # Welch (1947), Biometrika 34: the degrees of freedom.
    below = var_a**2 / (len(a) - 1) + var_b**2 / (len(b) - 1)
    freedom = (var_a + var_b) ** 2 / below if below else n - 2
    ratio = mean_b / mean_a if mean_a else math.nan
    ratio_spread = math.sqrt(var_b + ratio**2 * var_a) / mean_a if mean_a else math.nan
    return _effect((mean_a, mean_b), mean_b - mean_a, (spread, ratio_spread), freedom, n)


def _effect(means: tuple[float, float], difference: float, spreads: tuple[float, float], freedom: float, users: int) -> Effect:
    mean_a, mean_b = means
    spread, ratio_spread = spreads
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom))
    # Without spread nobody differs, or everybody by the same.
    p_value = float(2 * stats.t.sf(abs(difference) / spread, freedom)) if spread else float(difference == 0)
    relative = mean_b / mean_a - 1 if mean_a else math.nan
    ends = (relative - reach * ratio_spread, relative + reach * ratio_spread)
    return Effect(mean_a, mean_b, difference, difference - reach * spread, difference + reach * spread, p_value, relative, *ends, users)


def _unknown(a: np.ndarray, b: np.ndarray, users: int) -> Effect:
    mean_a, mean_b = (float(values.mean()) if len(values) else math.nan for values in (a, b))
    nan = math.nan
    return Effect(mean_a, mean_b, mean_b - mean_a, nan, nan, nan, nan, nan, nan, users)


def cuped(values: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Values (n,) less what was known of the users before the experiment foretells of them; the mean stays.

    covariates: float (n, m), nothing of the experiment's time in them. One coefficient each for both arms together, by least squares, so
    that the difference stays unbiased. Deng, Xu, Kohavi, Walker (2013), WSDM, "Improving the sensitivity of online controlled experiments
    by utilizing pre-experiment data"; several covariates as in their section 3.3.
    """
    centred = covariates - covariates.mean(axis=0)
    slopes, *_ = np.linalg.lstsq(centred, values - values.mean(), rcond=None)
    return values - centred @ slopes


def variance_left(values: np.ndarray, adjusted: np.ndarray) -> float:
    """Share of the variance that `cuped` leaves, 0 to 1; an experiment needs that share of the users. 1 where nothing varies."""
    before = float(values.var())
    return float(adjusted.var()) / before if before else 1.0


def ratio_mismatch(users_a: int, users_b: int, share: float = 0.5) -> float:
    """p-value that the arms' sizes are what a split with `share` in b gives (chi-square).

    Below `SRM_ALARM` something other than chance decides who is counted, and no figure of the experiment can be trusted.
    Fabijan and others (2019), KDD, "Diagnosing sample ratio mismatch in online controlled experiments".
    """
    n = users_a + users_b
    return float(stats.chisquare([users_a, users_b], [n * (1 - share), n * share]).pvalue) if n else 1.0


def users_needed(variances: tuple[float, float], difference: float, power: float = 0.8) -> float:
    """Users an arm for a two-sided test at 5% to find `difference` with probability `power`; inf where there is none.

    variances: of the users' values in a and b. Two-sample z test: Cohen (1988), Statistical power analysis, section 2.4.
    """
    if not difference:
        return math.inf
    reach = stats.norm.ppf((1 + LEVEL) / 2) + stats.norm.ppf(power)
    return float(reach**2 * sum(variances) / difference**2)


def power_of(variances: tuple[float, float], difference: float, users: tuple[int, int]) -> float:
    """Probability that a two-sided test at 5% with so many users in a and b finds `difference`."""
    spread = math.sqrt(sum(variance / max(n, 1) for variance, n in zip(variances, users, strict=True)))
    if not spread:
        return float(difference != 0)
    reach, shift = stats.norm.ppf((1 + LEVEL) / 2), abs(difference) / spread
    return float(stats.norm.sf(reach - shift) + stats.norm.cdf(-reach - shift))


def detectable(variances: tuple[float, float], users: tuple[int, int], power: float = 0.8) -> float:
    """The smallest difference that so many users in a and b find with probability `power`, at 5% two-sided."""
    reach = stats.norm.ppf((1 + LEVEL) / 2) + stats.norm.ppf(power)
    return float(reach * math.sqrt(sum(variance / max(n, 1) for variance, n in zip(variances, users, strict=True))))


def binomial_interval(runs: int, rate: float = 1 - LEVEL) -> tuple[int, int]:
    """How many of `runs` tests, each false with probability `rate`, come out false in 95% of cases: least and most."""
    low, high = stats.binom.interval(LEVEL, runs, rate)
    return int(low), int(high)
