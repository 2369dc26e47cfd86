"""Alerts, and how much of one is the work of a few authors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

SERIES, DAY_OF, AUTHOR, NEGATIVE, NEGATIVES, TOTAL = "series", "day", "author", "negative", "negatives", "total"
TOP_AUTHORS = 3
FEW_SHARE = 0.5  # of a surge's negative reviews by the busiest authors: more is a surge by few
FEWEST_NEGATIVES = 2 * TOP_AUTHORS  # of fewer reviews, three authors always write a large share


@dataclass(frozen=True)
class AuthorShare:
    """Who wrote the negative reviews of a surge.

    Attributes
    ----------
    negatives, authors : negative reviews from the surge's first day on, and their authors
    top : of these reviews, those by the three authors with the most
    few : whether the three wrote more than half
    """

    negatives: int
    authors: int
    top: int
    few: bool


@dataclass(frozen=True)
class Alert:
    """A surge of negative reviews.

    Attributes
    ----------
    series : key of the series
    event : what has just happened to the alert
    began : first day of the surge, as estimated
    raised : day on which the alert was raised
    share_before, share_now : share of negative reviews before the surge, and in the days that the event rests on
    negatives, total : reviews from `began` to the day of the event
    e_value : evidence against "no surge"; an alert is raised where it reaches the days between false alarms
    severity : 1, and 1 more whenever it worsened
    few_authors : see `with_authors`
    ended : day on which it ended
    settled : it ended because the share has become the usual one
    """

    series: str
    event: Literal["raised", "worsened", "ended"]
    began: date
    raised: date
    share_before: float
    share_now: float
    negatives: int
    total: int
    e_value: float
    severity: int = 1
    few_authors: AuthorShare | None = None
    ended: date | None = None
    settled: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return asdict(self) | {name: day and day.isoformat() for name, day in self._days().items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        days = {name: values[name] and date.fromisoformat(values[name]) for name in ("began", "raised", "ended")}
        authors = values["few_authors"]
        return cls(**{**values, **days, "few_authors": AuthorShare(**authors) if authors else None})

    def _days(self) -> dict[str, date | None]:
        return {"began": self.began, "raised": self.raised, "ended": self.ended}


def day_counts(mentions: pl.DataFrame) -> pl.DataFrame:
    """Return the day counts of each series; an author counts once a day, as negative if any of the day's reviews is.

    Parameters
    ----------
    mentions : series, day, author, negative; a review without an author counts by itself

    Returns
    -------
    day, series, negatives, total, in order of day and series
    """
    once = _once_a_day(mentions)
    counts = once.group_by(DAY_OF, SERIES).agg(pl.col(NEGATIVE).sum().cast(pl.Int64).alias(NEGATIVES), pl.len().cast(pl.Int64).alias(TOTAL))
    return counts.sort(DAY_OF, SERIES)


def with_authors(alert: Alert, mentions: pl.DataFrame, until: date) -> Alert:
    """Return the alert with who wrote its negative reviews from its first day to `until`, in the rows of `mentions`."""
    during = mentions.filter((pl.col(SERIES) == alert.series) & pl.col(DAY_OF).is_between(alert.began, until))
    negative = _once_a_day(during).filter(pl.col(NEGATIVE))
    counts = negative.group_by(AUTHOR).len()["len"].sort(descending=True)
    negatives, top = len(negative), int(counts.head(TOP_AUTHORS).sum())
    few = negatives >= FEWEST_NEGATIVES and top > FEW_SHARE * negatives
    return replace(alert, few_authors=AuthorShare(negatives, len(counts), top, few))


def _once_a_day(mentions: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each series, day and author; authors that are not known are told apart by their row."""
    unknown = pl.format("unknown {}", pl.int_range(pl.len()))
    known = mentions.with_columns(pl.coalesce(pl.format("author {}", pl.col(AUTHOR)), unknown).alias(AUTHOR))
    return known.group_by(SERIES, DAY_OF, AUTHOR).agg(pl.col(NEGATIVE).any())
