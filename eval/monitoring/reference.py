"""The usual share of negative reviews of each series, from its past alone.

Counts of the past fade with their age. A series' share is drawn to the mean of all series, and its factor of a day of the
week to that of all series, so that short series have both. How uncertain the share is, and how much more than a
binomial the counts of one day vary, becomes the precision of a beta distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from eval.monitoring.config import WatchConfig

WEEK = 7
POOLED = 1.0  # negative reviews, and as many others, that the mean of all series begins with
CLIPPED = 16.0  # a larger squared residual, in standard deviations, is a surge and no sign of overdispersion
MOST = 0.95  # of the reviews of a day are expected to be negative, at most


@dataclass(frozen=True)
class Usual:
    """What a day's reviews are like if nothing has changed: arrays (..., series).

    Attributes
    ----------
    share : expected share of negative reviews on this day of the week
    week : factor of this day of the week, which `share` contains
    precision : of the beta distribution of the day's share
    correlation : of the reviews of one day: the part of the precision that more days of the past do not raise
    """

    share: np.ndarray
    week: np.ndarray
    precision: np.ndarray
    correlation: np.ndarray


@dataclass
class Reference:
    """Faded counts of the past.

    Attributes
    ----------
    negatives, totals : float64 (..., series, 7), by day of the week
    excess, pairs : float64 (..., series), for the overdispersion: squared standardised residuals less 1, and reviews less 1
    """

    negatives: np.ndarray
    totals: np.ndarray
    excess: np.ndarray
    pairs: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Self:
        """Return the reference of series without a past."""
        return cls(np.zeros((*shape, WEEK)), np.zeros((*shape, WEEK)), np.zeros(shape), np.zeros(shape))

    def usual(self, weekday: int, config: WatchConfig) -> Usual:
        """Return what the past says of a day."""
        negatives, totals = self.negatives.sum(-1), self.totals.sum(-1)
        pooled = (negatives.sum(-1, keepdims=True) + POOLED) / (totals.sum(-1, keepdims=True) + 2 * POOLED)
        total = totals + config.prior / pooled
        share = (negatives + config.prior) / total
        week = self._week(weekday, share, config)
        correlation = self._correlation(config)
        precision = 1 / np.minimum(1 / (total + 1) + correlation, 0.5) - 1
        return Usual(np.minimum(share * week, MOST), week, precision, correlation)

    def _week(self, weekday: int, share: np.ndarray, config: WatchConfig) -> np.ndarray:
        """Return the factor of a day of the week, drawn to that of all series, and that to 1."""
        seen, expected = self.negatives[..., weekday], share * self.totals[..., weekday]
        prior = config.week_prior
        pooled = (seen.sum(-1, keepdims=True) + prior) / (expected.sum(-1, keepdims=True) + prior)
        return (seen + prior * pooled) / (expected + prior)

    def _correlation(self, config: WatchConfig) -> np.ndarray:
        """Return the correlation of reviews of one day beyond that of a binomial, drawn to that of all series."""
        excess, pairs = self.excess.sum(-1, keepdims=True), self.pairs.sum(-1, keepdims=True)
        pooled = np.maximum(excess, 0) / (pairs + WEEK)
        prior = config.pairs_prior
        return np.maximum(self.excess + prior * pooled, 0) / (self.pairs + prior)

    def learn(self, negatives: np.ndarray, totals: np.ndarray, weekday: int, usual: Usual, steady: np.ndarray, config: WatchConfig) -> None:
        """Add a day to the past of the series that are `steady`; that of others stands still."""
        several = steady & (totals > 1) & (self.totals.sum(-1) >= config.at_least)
        keep = np.where(steady, 0.5 ** (1 / config.half_life), 1.0)
        self.negatives *= keep[..., None]
        self.totals *= keep[..., None]
        self.negatives[..., weekday] += np.where(steady, negatives, 0)
        self.totals[..., weekday] += np.where(steady, totals, 0)
        variance = totals * usual.share * (1 - usual.share)
        expected = 1 + (totals - 1) / (usual.precision + 1)
        squared = (negatives - totals * usual.share) ** 2 / np.where(several, variance, 1.0)
        squared = np.minimum(squared, CLIPPED * expected) - expected + (totals - 1) * usual.correlation
        self.excess *= keep
        self.pairs *= keep
        self.excess += np.where(several, squared, 0)
        self.pairs += np.where(several, totals - 1, 0)
