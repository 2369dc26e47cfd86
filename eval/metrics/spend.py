"""Metrics of what customers were expected to spend and when: normalised Gini, total, coverage of intervals, median error.

The mean absolute error is none of them: where most customers spend nothing, "nobody buys" nearly wins it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from eval.metrics.intervals import Bootstrap, MetricValue


def normalised_gini(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Return how well predictions order customers by what they spent.

    cov(actual, rank of predicted) / cov(actual, rank of actual), with average ranks of ties: the area between the concentration curve
    and the diagonal, as a share of that of the perfect order. 1 is the perfect order, 0 a random one, -1 the reverse.

    Parameters
    ----------
    actual : float (n,), not below 0
    predicted : float (n,), higher is more; nan counts as less than all

    Returns
    -------
    -1 to 1; nan where all spent the same

    References
    ----------
    Frees, Meyers, Cummings (2011), Journal of the American Statistical Association 106(495). Ties: Schechtman and Yitzhaki (1987),
    Communications in Statistics 16(1).
    """
    weights = np.ones((1, len(actual)))
    return float(_gini_of(actual, _Order.of(predicted), _Order.of(actual), weights)[0]) if len(actual) else float("nan")


@dataclass(frozen=True)
class SpendPairs:
    """What was expected of customers at some moments, and what they did.

    Attributes
    ----------
    user : int64 (n,), 0 <= user < n_users; a customer at several moments has several rows and is drawn as a whole.
    actual : float (n,).
    predicted : float (n,).
    """

    user: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray
    n_users: int


def gini(boot: Bootstrap, pairs: SpendPairs) -> MetricValue:
    """Return `normalised_gini` with its interval."""
    return boot.with_interval(normalised_gini(pairs.actual, pairs.predicted), _gini_draws(boot, pairs), pairs.n_users)


def gini_difference(boot: Bootstrap, a: SpendPairs, b: SpendPairs) -> MetricValue:
    """Return the normalised Gini of `a` minus that of `b`, two systems on the same rows, drawn together."""
    value = normalised_gini(a.actual, a.predicted) - normalised_gini(b.actual, b.predicted)
    return boot.with_interval(value, _gini_draws(boot, a) - _gini_draws(boot, b), a.n_users)


def total_ratio(boot: Bootstrap, pairs: SpendPairs) -> MetricValue:
    """Return the sum of the predictions over the sum of what was spent, with its interval."""
    above, below = (np.bincount(pairs.user, values, minlength=pairs.n_users) for values in (pairs.predicted, pairs.actual))
    return boot.paired_ratio(above, below)


def coverage(boot: Bootstrap, pairs: SpendPairs, high: np.ndarray) -> MetricValue:
    """Return the share of rows whose actual value lies within [predicted, high], ends included, with its interval."""
    within = (pairs.actual >= pairs.predicted) & (pairs.actual <= high)
    return boot.paired_ratio(*(np.bincount(pairs.user, values, minlength=pairs.n_users) for values in (within, np.ones(len(within)))))


def median_error(boot: Bootstrap, pairs: SpendPairs) -> MetricValue:
    """Return the median of |predicted - actual|, with its interval."""
    errors = np.abs(pairs.predicted - pairs.actual)
    value = float(np.median(errors)) if len(errors) else float("nan")
    return boot.with_interval(value, _median_draws(boot, pairs), pairs.n_users)


def median_error_ratio(boot: Bootstrap, a: SpendPairs, b: SpendPairs) -> MetricValue:
    """Return the median error of `a` over that of `b`, two systems on the same rows, drawn together."""
    above, below = (median_error(boot, pairs).value for pairs in (a, b))
    drawn = _median_draws(boot, a) / np.maximum(_median_draws(boot, b), 1e-12)
    return boot.with_interval(above / below if below > 0 else float("nan"), drawn, a.n_users)


@dataclass(frozen=True)
class _Order:
    """Values in ascending order: the places of the rows, and the group of equal values of each place."""

    places: np.ndarray
    starts: np.ndarray
    group: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> _Order:
        values = np.where(np.isnan(values), -np.inf, values)
        places = np.argsort(values, kind="stable")
        ordered = values[places]
        fresh = np.ones(len(ordered), dtype=bool)
        fresh[1:] = ordered[1:] != ordered[:-1]
        return cls(places, np.flatnonzero(fresh), np.cumsum(fresh) - 1)

    def ranks(self, weights: np.ndarray) -> np.ndarray:
        """Return the average ranks of weighted rows (m, n), in the order of `places`, float64 (m, n)."""
        masses = np.add.reduceat(weights[:, self.places], self.starts, axis=1)
        return (np.cumsum(masses, axis=1) - masses / 2)[:, self.group]


def _gini_of(actual: np.ndarray, predicted: _Order, perfect: _Order, weights: np.ndarray) -> np.ndarray:
    """Return the normalised Gini under weights of the rows (m, n), float64 (m,)."""
    found = []
    for order in (predicted, perfect):
        weight, values, ranks = weights[:, order.places], actual[order.places], order.ranks(weights)
        total = weight.sum(axis=1)
        mean = (weight * values).sum(axis=1) / np.maximum(total, 1e-12)
        found.append((weight * (values - mean[:, None]) * (ranks - total[:, None] / 2)).sum(axis=1))
    return np.divide(found[0], found[1], out=np.full(len(weights), np.nan), where=found[1] > 0)


def _gini_draws(boot: Bootstrap, pairs: SpendPairs) -> np.ndarray:
    if not len(pairs.actual):
        return np.full(boot.resamples, np.nan)
    predicted, perfect = _Order.of(pairs.predicted), _Order.of(pairs.actual)
    return np.concatenate([_gini_of(pairs.actual, predicted, perfect, counts[:, pairs.user]) for counts in boot.draws(pairs.n_users)])


def _median_draws(boot: Bootstrap, pairs: SpendPairs) -> np.ndarray:
    """Return the median error of each resample: the smallest whose rows and those below it are at least half, float64 (resamples,)."""
    errors = np.abs(pairs.predicted - pairs.actual)
    if not len(errors):
        return np.full(boot.resamples, np.nan)
    order = np.argsort(errors)
    drawn = []
    for counts in boot.draws(pairs.n_users):
        reached = np.cumsum(counts[:, pairs.user[order]], axis=1)
        drawn.append(errors[order][(reached >= reached[:, -1:] / 2).argmax(axis=1)])
    return np.concatenate(drawn)
