"""Rules of the textbooks to compare the watch with: a fixed threshold, CUSUM, and limits of a quasi-Poisson regression.

Each turns the day counts of many series into a statistic, day by day. An alarm is raised where it reaches a threshold, and again only after
it has been below half of it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

Statistic = np.ndarray  # float64 (..., series)


class Rule(Protocol):
    """A statistic that a surge of negative reviews makes large."""

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> Statistic:
        """Read a day's counts (..., series), and return the statistic of the day."""
        ...


class PastShare:
    """Share of negative reviews over all days so far, from half a negative review of five on."""

    def __init__(self) -> None:
        self._negatives, self._totals = np.asarray(0.5), np.asarray(5.0)

    def share(self) -> np.ndarray:
        """Return the share, at most .95."""
        return np.minimum(self._negatives / self._totals, 0.95)

    def add(self, negatives: np.ndarray, totals: np.ndarray) -> None:
        """Read a day."""
        self._negatives, self._totals = self._negatives + negatives, self._totals + totals


class FixedThreshold:
    """Share of the last seven days over that of all days before, where these seven have enough negative reviews."""

    def __init__(self, at_least: int = 5, days: int = 7) -> None:
        self._at_least, self._days = at_least, days
        self._past = PastShare()
        self._last: list[tuple[np.ndarray, np.ndarray]] = []

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> Statistic:
        """Read a day's counts, and return the ratio."""
        self._last.append((negatives, totals))
        if len(self._last) > self._days:
            self._past.add(*self._last.pop(0))
        recent, of = (np.sum(counts, axis=0) for counts in zip(*self._last, strict=True))
        return np.where(recent >= self._at_least, recent / np.maximum(of, 1) / self._past.share(), 0.0)


class StandardisedCusum:
    """Sum of standardised residuals less `allowance`, from 0 on.

    References
    ----------
    Montgomery, Introduction to Statistical Quality Control, section 9.1: an allowance of .5 and a threshold of 5.
    """

    def __init__(self, allowance: float = 0.5) -> None:
        self._allowance = allowance
        self._past = PastShare()
        self._sum = np.asarray(0.0)

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> Statistic:
        """Read a day's counts, and return the sum."""
        share = self._past.share()
        residual = (negatives - totals * share) / np.sqrt(np.maximum(totals * share * (1 - share), 1e-9))
        self._sum = np.maximum(self._sum + np.where(totals > 0, residual - self._allowance, 0), 0)
        self._past.add(negatives, totals)
        return self._sum


class LikelihoodCusum:
    """Page's CUSUM of the log likelihood ratio of a share that is `effect` times that of the past."""

    def __init__(self, effect: float) -> None:
        self._effect = effect
        self._past = PastShare()
        self._sum = np.asarray(0.0)

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> Statistic:
        """Read a day's counts, and return the sum."""
        share = self._past.share()
        surge = -np.expm1(self._effect * np.log1p(-share))
        ratio = negatives * np.log(surge / share) + (totals - negatives) * np.log((1 - surge) / (1 - share))
        self._sum = np.maximum(self._sum + ratio, 0)
        self._past.add(negatives, totals)
        return self._sum


class RegressionLimit:
    """Standardised distance of a day's count from a quasi-Poisson regression with a trend, on the scale of its power 2/3.

    The regression has the number of reviews as exposure, and is fitted every week to the days but for the last seven.

    References
    ----------
    Farrington and others (1996), A statistical algorithm for the early detection of outbreaks of infectious disease; Noufaily and others
    (2013), An improved algorithm for outbreak detection in multiple surveillance systems.
    """

    def __init__(self, window: int = 182, skipped: int = 7, steps: int = 4) -> None:
        self._window, self._skipped, self._steps = window, skipped, steps
        self._days: list[tuple[np.ndarray, np.ndarray]] = []
        self._fit: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float] | None = None

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> Statistic:
        """Read a day's counts, and return the distance in standard deviations; 0 before there is a fit."""
        day = len(self._days)
        if day >= 4 * self._skipped and day % 7 == 0:
            self._fit = self._regress(day)
        self._days.append((negatives, totals))
        if self._fit is None:
            return np.zeros(negatives.shape)
        level, slope, dispersion, inverse, middle = self._fit
        time = (day - middle) / self._window
        mean = np.maximum(totals, 1e-3) * np.exp(level + slope * time)
        of_mean = mean**2 * (inverse[0] + 2 * inverse[1] * time + inverse[2] * time**2)
        spread = 2 / 3 * mean ** (-1 / 3) * np.sqrt(dispersion * (mean + of_mean))
        return np.maximum((negatives ** (2 / 3) - mean ** (2 / 3)) / spread, 0)

    def _regress(self, day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
        """Return level, slope, dispersion, the inverse of the information matrix and the day that counts as 0."""
        used = self._days[max(day - self._skipped - self._window, 0) : day - self._skipped]
        negatives, totals = (np.stack(counts) for counts in zip(*used, strict=True))
        middle = day - self._skipped - (len(used) + 1) / 2
        time = (np.arange(len(used)) - (len(used) - 1) / 2) / self._window
        level = np.log((negatives.sum(0) + 0.5) / (totals.sum(0) + 5))
        slope = np.zeros_like(level)
        time = time.reshape(-1, *[1] * level.ndim)
        for _ in range(self._steps):
            mean = totals * np.exp(level + slope * time)
            inverse = _inverse_information(mean, time)
            g0, g1 = (negatives - mean).sum(0), ((negatives - mean) * time).sum(0)
            level = level + np.clip(inverse[0] * g0 + inverse[1] * g1, -1, 1)
            slope = slope + np.clip(inverse[1] * g0 + inverse[2] * g1, -1, 1)
        mean = np.maximum(totals * np.exp(level + slope * time), 1e-6)
        dispersion = np.maximum(((negatives - mean) ** 2 / mean).sum(0) / (len(used) - 2), 1)
        return level, slope, dispersion, _inverse_information(mean, time), middle


def _inverse_information(mean: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the variance of the level, its covariance with the slope, and the slope's variance, float64 (3, ...)."""
    s0, s1, s2 = ((mean * time**power).sum(0) for power in range(3))
    return np.stack([s2, -s1, s0]) / np.maximum(s0 * s2 - s1**2, 1e-9)


class Alarms:
    """Alarms of a rule at a threshold."""

    def __init__(self, rule: Rule, threshold: float) -> None:
        self._rule, self._threshold = rule, threshold
        self._armed = np.asarray(True)

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Read a day's counts (..., series), and return where an alarm is raised, bool of the same shape."""
        statistic = self._rule.step(negatives, totals)
        raised = self._armed & (statistic >= self._threshold)
        self._armed = (self._armed & ~raised) | (statistic < self._threshold / 2)
        return raised
