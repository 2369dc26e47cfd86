"""Simulated review streams whose truth is known: day counts of many series, stable or with a surge of negative reviews.

A shop's volume has a weekly pattern and grows, and each series has a share of negative reviews of its own. In a surge, this share is
multiplied for a week while the volume stays. Stable shops measure false alarms, shops with surges recall and delay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

WEEK, YEAR = 7, 365


class StreamConfig(BaseModel):
    """What simulated shops are like.

    Attributes
    ----------
    series : series of a shop
    history, days : days before the measurement begins, and days of the measurement
    levels : negative reviews a day; series take them in turn
    shares : bounds of the share of negative reviews, drawn log-uniformly
    growth : bounds of the yearly factor of a series' volume, drawn log-uniformly
    volume_week : standard deviation of the logarithm of a shop's volume over the days of the week
    share_week : the same of a series' share of negative reviews
    overdispersion : intraclass correlation of the reviews of one day; 0 is binomial
    drift : standard deviation of the change of the logarithm of the share in a year, a random walk
    surging : share of the series that have a surge
    surge_days : length of a surge
    factors : by which a surge multiplies the share; series take them in turn
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    series: int = Field(default=200, ge=1)
    history: int = Field(default=180, ge=0)
    days: int = Field(default=YEAR, ge=1)
    levels: tuple[float, ...] = (1.0, 5.0, 20.0, 50.0)
    shares: tuple[float, float] = (0.05, 0.25)
    growth: tuple[float, float] = (0.7, 3.0)
    volume_week: float = Field(default=0.3, ge=0)
    share_week: float = Field(default=0.1, ge=0)
    overdispersion: float = Field(default=0.0, ge=0, lt=1)
    drift: float = Field(default=0.0, ge=0)
    surging: float = Field(default=0.0, ge=0, le=1)
    surge_days: int = Field(default=WEEK, ge=1)
    factors: tuple[float, ...] = (2.0, 3.0)


@dataclass(frozen=True)
class ReviewStream:
    """Day counts of simulated shops and the truth about them.

    Attributes
    ----------
    negatives, totals : int64 (days, shops, series), from the first day of the history on
    level : float64 (series,), negative reviews a day, in a surge's week without the surge
    factor : float64 (shops, series), by which the surge multiplies the share; 1 where there is none
    start : int64 (shops, series), first day of the surge; -1 where there is none
    """

    negatives: np.ndarray
    totals: np.ndarray
    level: np.ndarray
    factor: np.ndarray
    start: np.ndarray


def simulate(config: StreamConfig, shops: int, rng: np.random.Generator) -> ReviewStream:
    """Draw the day counts of shops."""
    size = (shops, config.series)
    level = np.resize(np.asarray(config.levels), config.series)
    turn = np.arange(config.series) // len(config.levels) % len(config.factors)
    surging = rng.random(size) < config.surging
    factor = np.where(surging, np.asarray(config.factors)[turn], 1.0)
    first = rng.integers(config.history, config.history + max(config.days - config.surge_days - WEEK, 1), size)
    share = _log_uniform(config.shares, size, rng)
    growth = np.log(_log_uniform(config.growth, size, rng)) / YEAR
    weeks = np.exp(config.volume_week * rng.standard_normal((WEEK, shops, 1)))
    weeks /= weeks.mean(axis=0)
    share_weeks = np.exp(config.share_week * rng.standard_normal((WEEK, *size)))
    share_weeks /= (share_weeks * weeks).mean(axis=0)
    negatives = np.empty((config.history + config.days, *size), dtype=np.int64)
    totals = np.empty_like(negatives)
    walk = np.zeros(size)
    for day in range(len(negatives)):
        volume = level / share * np.exp(growth * (day - first)) * weeks[day % WEEK]
        walk += config.drift / np.sqrt(YEAR) * rng.standard_normal(size)
        surge = surging & (day >= first) & (day < first + config.surge_days)
        rate = np.clip(share * share_weeks[day % WEEK] * np.exp(walk) * np.where(surge, factor, 1.0), 0, 0.95)
        totals[day] = rng.poisson(volume)
        negatives[day] = rng.binomial(totals[day], _dispersed(rate, config.overdispersion, rng))
    return ReviewStream(negatives, totals, level, factor, np.where(surging, first, -1))


def _log_uniform(bounds: tuple[float, float], size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw numbers whose logarithms are uniform."""
    low, high = np.log(bounds)
    return np.exp(rng.uniform(low, high, size))


def _dispersed(rate: np.ndarray, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Return the shares of one day: beta-distributed around `rate` where reviews of a day are correlated."""
    if not correlation:
        return rate
    size = 1 / correlation - 1
    return rng.beta(rate * size, (1 - rate) * size)


def mentions(
    negatives: np.ndarray, totals: np.ndarray, series: Sequence[str], rng: np.random.Generator, burst: Burst | None = None
) -> pl.DataFrame:
    """Return the rows behind day counts: series, day, author, negative; every author is new, but for those of a burst.

    Parameters
    ----------
    negatives, totals : int (days, series)
    """
    days, columns = np.indices(totals.shape)
    count = totals.ravel()
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    column, day = np.repeat(columns.ravel(), count), np.repeat(days.ravel(), count)
    authors = rng.permutation(len(place))
    rows = pl.DataFrame(
        {
            "series": np.asarray(series, dtype=object)[column].tolist(),
            "day": day,
            "author": [f"author {number}" for number in authors.tolist()],
            "negative": place < np.repeat(negatives.ravel(), count),
        },
        schema={"series": pl.String, "day": pl.Int64, "author": pl.String, "negative": pl.Boolean},
    )
    return rows if burst is None else pl.concat([rows, burst.rows()])


@dataclass(frozen=True)
class Burst:
    """A few authors who write negative reviews of one series on each of some days."""

    series: str
    start: int
    days: int
    authors: int
    each: int

    def rows(self) -> pl.DataFrame:
        """Return its rows, in the form of `mentions`."""
        number = np.arange(self.days * self.authors * self.each)
        return pl.DataFrame(
            {
                "series": [self.series] * len(number),
                "day": self.start + number // (self.authors * self.each),
                "author": [f"burst {author}" for author in (number % self.authors).tolist()],
                "negative": [True] * len(number),
            },
            schema={"series": pl.String, "day": pl.Int64, "author": pl.String, "negative": pl.Boolean},
        )
