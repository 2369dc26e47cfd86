"""How sure a figure is: bootstrap over users, because the purchases of one user are not independent of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from eval.metrics.probabilities import answered, log_losses, roc_auc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.probabilities import Reliability, ScoredPairs

LEVEL = 0.95
# Resamples drawn at once: (64, 100k users) float64 is 51 MB.
_BLOCK = 64
# The interval of the AUC is found on scores cut into so many bins of equal mass; its value is exact.
_AUC_BINS = 2000


@dataclass(frozen=True)
class MetricValue:
    """A figure with its 95% interval; nan where there is none. `users`: how many it rests on."""

    value: float
    low: float
    high: float
    users: int


@dataclass(frozen=True)
class Bootstrap:
    """Users drawn with replacement, as many as there are, `resamples` times; percentile intervals (Efron and Tibshirani 1993, chapter 13).

    Everything here is a function of sums over users, and the sums of all resamples are one matrix product of draw counts and columns
    (a few ms a figure; scipy.stats.bootstrap gives the same intervals and takes seconds for a report). The same seed draws the same
    users for each figure and each system.
    """

    resamples: int = 1000
    seed: int = 0

    def sums(self, columns: np.ndarray | sp.csr_array) -> np.ndarray:
        """Sums of columns (users, m) over the users of each resample, float64 (resamples, m)."""
        n, rng = columns.shape[0], np.random.default_rng(self.seed)
        out = np.empty((self.resamples, columns.shape[1]))
        for begin in range(0, self.resamples, _BLOCK):
            size = min(_BLOCK, self.resamples - begin)
            drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
            out[begin : begin + size] = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(float) @ columns
        return out

    def figure(self, value: float, drawn: np.ndarray, users: int) -> MetricValue:
        """A value with the interval of what the resamples gave, (resamples,); those that gave nan are left out."""
        drawn = drawn[~np.isnan(drawn)]
        if np.isnan(value) or not len(drawn):
            return MetricValue(value, np.nan, np.nan, users)
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return MetricValue(value, float(low), float(high), users)

    def means(self, values: Mapping[str, np.ndarray]) -> dict[str, MetricValue]:
        """Mean over users of each array (users,), leaving out nan."""
        if not values:
            return {}
        table = np.stack(list(values.values()), axis=1)  # (users, m)
        held = ~np.isnan(table)
        sums = np.concatenate([np.where(held, table, 0), held], axis=1)
        m = table.shape[1]
        total, drawn = sums.sum(axis=0), self.sums(sums)
        return {
            name: self.figure(_ratio(total[i], total[m + i]).item(), _ratio(drawn[:, i], drawn[:, m + i]), int(total[m + i]))
            for i, name in enumerate(values)
        }

    def paired_ratio(self, a: np.ndarray, b: np.ndarray) -> MetricValue:
        """Mean of `a` over mean of `b`, (users,) each, of two systems on the same users, drawn together.

        Users where either is nan are left out. An interval above 1 says that the first is better.
        """
        held = ~np.isnan(a) & ~np.isnan(b)
        columns = np.stack([np.where(held, a, 0), np.where(held, b, 0)], axis=1)
        total, drawn = columns.sum(axis=0), self.sums(columns)
        return self.figure(_ratio(total[0], total[1]).item(), _ratio(drawn[:, 0], drawn[:, 1]), int(held.sum()))

    def auc(self, pairs: ScoredPairs) -> MetricValue:
        """`roc_auc` over all users' pairs together."""
        scores = answered(pairs.labels, pairs.scores)
        edges = np.unique(np.quantile(scores, np.arange(1, _AUC_BINS) / _AUC_BINS, method="inverted_cdf")) if len(scores) else np.empty(0)
        place = np.searchsorted(edges, scores)
        bins = len(edges) + 1
        # Bought and not bought by bin: two histograms a user, side by side.
        column = np.where(pairs.labels, place, bins + place)
        shape = (pairs.n_users, 2 * bins)
        drawn = self.sums(sp.coo_array((np.ones(len(column)), (pairs.user, column)), shape=shape).tocsr())
        bought, other = drawn[:, :bins], drawn[:, bins:]
        below = np.cumsum(other, axis=1) - other / 2
        ratio = _ratio((bought * below).sum(axis=1), bought.sum(axis=1) * other.sum(axis=1))
        return self.figure(roc_auc(pairs.labels, pairs.scores), ratio, pairs.users)

    def log_loss(self, pairs: ScoredPairs) -> MetricValue:
        """Mean of `log_losses` over all users' pairs together."""
        losses = log_losses(pairs.labels, pairs.scores)
        columns = np.stack([np.bincount(pairs.user, weight, minlength=pairs.n_users) for weight in (losses, np.ones(len(losses)))], axis=1)
        total, drawn = columns.sum(axis=0), self.sums(columns)
        return self.figure(_ratio(total[0], total[1]).item(), _ratio(drawn[:, 0], drawn[:, 1]), pairs.users)

    def calibration_error(self, pairs: ScoredPairs, points: Reliability) -> MetricValue:
        """Expected calibration error; the bins stay where they are. Chance only adds to it, so its interval leans upwards."""
        bins = len(points.counts)
        gap = np.clip(answered(pairs.labels, pairs.scores), 0, 1) - pairs.labels
        column = np.concatenate([points.bin, points.bin + bins])
        data = np.concatenate([gap, np.ones(len(gap))])
        shape = (pairs.n_users, 2 * bins)
        drawn = self.sums(sp.coo_array((data, (np.tile(pairs.user, 2), column)), shape=shape).tocsr())
        errors = _ratio(np.abs(drawn[:, :bins]).sum(axis=1), drawn[:, bins:].sum(axis=1))
        return self.figure(points.error, errors, pairs.users)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, nan where below is 0."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
