"""Confidence intervals of metrics: a bootstrap over users, because one user's purchases are not independent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from eval.metrics.probabilities import log_losses, nan_as_wrong, roc_auc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eval.metrics.probabilities import Reliability, ScoredPairs

LEVEL = 0.95
NORMAL_95 = 1.96  # standard errors from the mean of a normal distribution to the end of its 95% interval
# Resamples drawn at once: 64 of 100,000 users are 51 MB of float64.
_BLOCK = 64
# Bins of equal mass on which the interval of the AUC is computed; its value is exact.
_AUC_BINS = 2000


@dataclass(frozen=True)
class MetricValue:
    """A metric's value with its 95% interval; nan where undefined.

    Attributes
    ----------
    users : how many users the value rests on
    """

    value: float
    low: float
    high: float
    users: int

    def as_json(self, count: str = "users") -> dict[str, float | int | None]:
        """Return value and interval for JSON, null where undefined; `count` is the key of how many they rest on."""
        bounds = {name: float(getattr(self, name)) for name in ("value", "low", "high")}
        return {name: value if math.isfinite(value) else None for name, value in bounds.items()} | {count: self.users}


@dataclass(frozen=True)
class Bootstrap:
    """Percentile bootstrap over users: as many users as there are, drawn with replacement, `resamples` times.

    Every metric here is a function of sums over users, and the sums of all resamples are one matrix product of draw
    counts and columns: a few ms a metric. scipy.stats.bootstrap gives the same intervals and takes seconds for a
    report. The same seed draws the same users for each metric and each system.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """

    resamples: int = 1000
    seed: int = 0

    def sums(self, columns: np.ndarray | sp.csr_array) -> np.ndarray:
        """Return the sums of columns over the users of each resample.

        Parameters
        ----------
        columns : float (users, m), dense or sparse

        Returns
        -------
        float64 (resamples, m)
        """
        return np.concatenate([counts @ columns for counts in self.draws(columns.shape[0])])

    def draws(self, n: int) -> Iterator[np.ndarray]:
        """Yield how often each of n users is drawn, for some of the resamples at a time, float64 (resamples of the block, n)."""
        rng = np.random.default_rng(self.seed)
        for begin in range(0, self.resamples, _BLOCK):
            size = min(_BLOCK, self.resamples - begin)
            drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
            yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(float)

    def with_interval(self, value: float, drawn: np.ndarray, users: int) -> MetricValue:
        """Return a value with the interval of its resampled values.

        Parameters
        ----------
        drawn : float (resamples,); nan is left out
        """
        drawn = drawn[~np.isnan(drawn)]
        if np.isnan(value) or not len(drawn):
            return MetricValue(value, np.nan, np.nan, users)
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return MetricValue(value, float(low), float(high), users)

    def means(self, values: Mapping[str, np.ndarray], clusters: np.ndarray | None = None) -> dict[str, MetricValue]:
        """Return the mean over users of each array, float (users,), leaving out nan.

        Parameters
        ----------
        clusters : int (users,) from 0, what is drawn as a whole, such as the customer of each of many queries; None: each by itself
        """
        if not values:
            return {}
        table = np.stack(list(values.values()), axis=1)  # (users, m)
        defined = ~np.isnan(table)
        sums = np.concatenate([np.where(defined, table, 0), defined], axis=1)
        m = table.shape[1]
        total, drawn = sums.sum(axis=0), self.sums(_together(sums, clusters))
        return {
            name: self.with_interval(_ratio(total[i], total[m + i]).item(), _ratio(drawn[:, i], drawn[:, m + i]), int(total[m + i]))
            for i, name in enumerate(values)
        }

    def paired_ratio(self, a: np.ndarray, b: np.ndarray, clusters: np.ndarray | None = None) -> MetricValue:
        """Return mean of `a` / mean of `b`, of two systems on the same users, drawn together.

        Users where either is nan are left out. An interval above 1 says that the first system is better.

        Parameters
        ----------
        a, b : float (users,)
        clusters : as in `means`
        """
        total, drawn = self._paired(a, b, clusters)
        return self.with_interval(_ratio(total[0], total[1]).item(), _ratio(drawn[:, 0], drawn[:, 1]), int(total[2]))

    def paired_difference(self, a: np.ndarray, b: np.ndarray, clusters: np.ndarray | None = None) -> MetricValue:
        """Return mean of `a` - mean of `b`, as `paired_ratio`; an interval above 0 says that the first system is better."""
        total, drawn = self._paired(a, b, clusters)
        means, resampled = (_ratio(sums[..., 0] - sums[..., 1], sums[..., 2]) for sums in (total, drawn))
        return self.with_interval(means.item(), resampled, int(total[2]))

    def _paired(self, a: np.ndarray, b: np.ndarray, clusters: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of `a`, of `b` and of the users where both are defined, (3,), and those of the resamples, (resamples, 3)."""
        defined = ~np.isnan(a) & ~np.isnan(b)
        columns = np.stack([np.where(defined, a, 0), np.where(defined, b, 0), defined], axis=1)
        return columns.sum(axis=0), self.sums(_together(columns, clusters))

    def auc(self, pairs: ScoredPairs) -> MetricValue:
        """Return `roc_auc` over the pooled pairs of all users.

        The value is exact; the interval is computed on scores cut into bins of equal mass.
        """
        return self.with_interval(roc_auc(pairs.labels, pairs.scores), self._auc_draws(pairs), pairs.users)

    def auc_difference(self, a: ScoredPairs, b: ScoredPairs) -> MetricValue:
        """Return the AUC of `a` minus that of `b`, of two systems on the same pairs, drawn together."""
        value = roc_auc(a.labels, a.scores) - roc_auc(b.labels, b.scores)
        return self.with_interval(value, self._auc_draws(a) - self._auc_draws(b), a.users)

    def _auc_draws(self, pairs: ScoredPairs) -> np.ndarray:
        """Return the AUC of each resample, on scores cut into bins of equal mass, float64 (resamples,)."""
        scores = nan_as_wrong(pairs.labels, pairs.scores)
        edges = np.unique(np.quantile(scores, np.arange(1, _AUC_BINS) / _AUC_BINS, method="inverted_cdf")) if len(scores) else np.empty(0)
        place = np.searchsorted(edges, scores)
        bins = len(edges) + 1
        # Two histograms a user, side by side: bought pairs by bin, then the others.
        column = np.where(pairs.labels, place, bins + place)
        shape = (pairs.n_users, 2 * bins)
        drawn = self.sums(sp.coo_array((np.ones(len(column)), (pairs.user, column)), shape=shape).tocsr())
        bought, other = drawn[:, :bins], drawn[:, bins:]
        below = np.cumsum(other, axis=1) - other / 2
        return _ratio((bought * below).sum(axis=1), bought.sum(axis=1) * other.sum(axis=1))

    def log_loss(self, pairs: ScoredPairs) -> MetricValue:
        """Return the mean of `log_losses` over the pooled pairs of all users."""
        losses = log_losses(pairs.labels, pairs.scores)
        columns = np.stack([np.bincount(pairs.user, weight, minlength=pairs.n_users) for weight in (losses, np.ones(len(losses)))], axis=1)
        total, drawn = columns.sum(axis=0), self.sums(columns)
        return self.with_interval(_ratio(total[0], total[1]).item(), _ratio(drawn[:, 0], drawn[:, 1]), pairs.users)

    def calibration_error(self, pairs: ScoredPairs, points: Reliability) -> MetricValue:
        """Return the expected calibration error, with the bins fixed.

        Chance only adds to this error, so its interval leans upwards.
        """
        bins = len(points.counts)
        gap = np.clip(nan_as_wrong(pairs.labels, pairs.scores), 0, 1) - pairs.labels
        column = np.concatenate([points.bin, points.bin + bins])
        data = np.concatenate([gap, np.ones(len(gap))])
        shape = (pairs.n_users, 2 * bins)
        drawn = self.sums(sp.coo_array((data, (np.tile(pairs.user, 2), column)), shape=shape).tocsr())
        errors = _ratio(np.abs(drawn[:, :bins]).sum(axis=1), drawn[:, bins:].sum(axis=1))
        return self.with_interval(points.error, errors, pairs.users)


def _together(columns: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Return the sums of columns (users, m) over each cluster, float (clusters, m)."""
    if clusters is None:
        return columns
    return np.stack([np.bincount(clusters, column) for column in columns.T], axis=1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below, nan where below is 0."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
