"""Watches the negative share of reviews by item, brand, category and shop, and by aspect, and tells of surges once."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Self

import polars as pl

from eval.monitoring.alerts import AUTHOR, DAY_OF, SERIES, Alert, day_counts, with_authors
from eval.monitoring.surge_watch import SurgeWatch
from features.names import ASPECT, BRAND, CATEGORY, ITEM_ID, NEGATIVE, REVIEW, SENTIMENT, TIMESTAMP, USER_ID
from features.storage.atomic import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from eval.monitoring.config import WatchConfig
    from features.data.catalog import Catalog
    from features.reviews.scored import ScoredReviews

_log = logging.getLogger(__name__)
YEARS = 3  # of reviews that the watch reads; what lies before them says little of today
FILE = "review_alerts.json"
SAME = 0.5  # share of an alert's complaints from which on an earlier alert tells of them
LEAST = 3  # complaints of an aspect, ever, below which it is not watched
_BETWEEN = "\t"  # of the parts of a series' name; no id, brand or category has one
LEVELS = {"item": ITEM_ID, "brand": BRAND, "category": CATEGORY}


def mentions_of(scored: ScoredReviews, catalog: Catalog, least: float) -> pl.DataFrame:
    """Return what is watched: `series`, `day`, `author`, `negative`, `review`, one row for each review and series that it counts in.

    The series of an aspect counts all reviews of its item, brand, category or shop, and as negative those that complain of it:
    so that a surge shows although an aspect is only ever mentioned to complain.

    Parameters
    ----------
    least : reviews that an item, brand or category must have.
    """
    counted = scored.counted.drop_nulls([TIMESTAMP, SENTIMENT])
    complaints = scored.counted_mentions.filter(pl.col(SENTIMENT) == NEGATIVE).select(REVIEW, ASPECT).drop_nulls().unique()
    base = counted.select(
        REVIEW, "item", pl.col(TIMESTAMP).dt.date().alias(DAY_OF), pl.col(USER_ID).alias(AUTHOR), negative=pl.col(SENTIMENT) == NEGATIVE
    )
    parts = []
    for level, column in (*LEVELS.items(), ("shop", None)):
        keys = pl.lit("") if column is None else catalog.frame[column].gather(base["item"])
        table = base.with_columns(key=keys).drop_nulls("key").filter(pl.len().over("key") >= least)
        parts.append(table.with_columns(pl.concat_str(pl.lit(level), "key", separator=_BETWEEN).alias(SERIES)))
        of_aspect = table.select(REVIEW, "key").join(complaints, on=REVIEW).group_by("key", ASPECT).len().filter(pl.col("len") >= LEAST)
        whole = table.join(of_aspect.select("key", ASPECT), on="key", how="inner")
        told = complaints.with_columns(complains=pl.lit(value=True))
        whole = whole.join(told, on=[REVIEW, ASPECT], how="left").with_columns(negative=pl.col("complains").fill_null(value=False))
        parts.append(whole.with_columns(pl.concat_str(pl.lit(level), "key", ASPECT, separator=_BETWEEN).alias(SERIES)))
    return pl.concat([part.select(SERIES, DAY_OF, AUTHOR, NEGATIVE, REVIEW) for part in parts])


def parts_of(series: str) -> tuple[str, str, str | None]:
    """Return level, name and aspect of a series of `mentions_of`."""
    level, name, *aspect = series.split(_BETWEEN)
    return level, name, aspect[0] if aspect else None


def find_alerts(scored: ScoredReviews, catalog: Catalog, until: date, config: WatchConfig) -> list[Alert]:
    """Return all alerts of the last `YEARS` up to a day, in order of the day on which they were raised, each as it stands then.

    The watch begins anew each time, so that late reviews count, and erased ones do not. An alert of mostly the same complaints
    as an earlier one is left out: a broken item also shows in its brand, its category and the aspects.
    """
    mentions = mentions_of(scored, catalog, config.at_least).filter(pl.col(DAY_OF).is_between(until - timedelta(365 * YEARS), until))
    watch, found = SurgeWatch(config), dict[tuple[str, date], Alert]()
    for (day,), counts in day_counts(mentions).partition_by(DAY_OF, as_dict=True, maintain_order=True).items():
        for alert in watch.update(day, counts.drop(DAY_OF)):
            found[alert.series, alert.raised] = alert
    if watch.day is not None and watch.day < until:
        nothing = pl.DataFrame(schema={SERIES: pl.String, "negatives": pl.Int64, "total": pl.Int64})
        found |= {(alert.series, alert.raised): alert for alert in watch.update(until, nothing)}
    by_day = sorted(found.values(), key=lambda alert: (alert.raised, _breadth(alert.series), alert.series))
    return [with_authors(alert, mentions, alert.ended or until) for alert in _of_their_own(by_day, mentions, until)]


def _breadth(series: str) -> tuple[int, bool]:
    """Return how much a series covers: items least, and a whole comes before its aspects."""
    level, _, aspect = parts_of(series)
    return [*LEVELS, "shop"].index(level), aspect is not None


def _of_their_own(alerts: list[Alert], mentions: pl.DataFrame, until: date) -> list[Alert]:
    """Return the alerts of which no earlier one has at least `SAME` of the complaints in its time."""
    kept: list[tuple[Alert, set[int]]] = []
    negative = mentions.filter(pl.col(NEGATIVE)).partition_by(SERIES, as_dict=True)
    for alert in alerts:
        of_series = negative[alert.series,].filter(pl.col(DAY_OF).is_between(alert.began, alert.ended or until))
        told = set(of_series[REVIEW].to_list())
        if not any(_overlap(one, alert) and len(told & others) >= SAME * len(told) for one, others in kept):
            kept.append((alert, told))
    return [alert for alert, _ in kept]


@dataclass(frozen=True)
class AlertLog:
    """The alerts of a workspace on disk: figures and days, no text and no author.

    Attributes
    ----------
    alerts : as they stood when they were last told.
    bundle_id : of the reviews, or of the log, that they were found in.
    """

    alerts: tuple[Alert, ...] = ()
    bundle_id: str = ""

    @classmethod
    def of(cls, reports: Path, file: str = FILE) -> Self:
        """Read the file in a folder; empty without one, or with one of another version, which is said."""
        path = reports / file
        if not path.exists():
            return cls()
        try:
            content: dict[str, Any] = json.loads(path.read_bytes())
            return cls(tuple(Alert.from_json(one) for one in content["alerts"]), content["bundle_id"])
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be read (%s): alerts that were told may be told again", path, error)
            return cls()

    def write(self, reports: Path, file: str = FILE) -> None:
        """Write the file whole."""
        content = {"bundle_id": self.bundle_id, "alerts": [alert.to_json() for alert in self.alerts]}
        write_whole(reports / file, json.dumps(content, indent=1))

    def followed_by(self, found: list[Alert], bundle_id: str) -> tuple[AlertLog, list[Alert]]:
        """Return the log after another look, and what is new: alerts raised, made worse, or ended since.

        An alert of the same series that overlaps with one that was told is the same one: late reviews can move its days. The
        first look tells only of what is still open.
        """
        news: list[Alert] = []
        for alert in found if self.bundle_id else [one for one in found if one.ended is None]:
            before = [one for one in self.alerts if one.series == alert.series and _overlap(one, alert)]
            if not before:
                news.append(alert if alert.ended is None else replace(alert, event="ended"))
            elif alert.severity > max(one.severity for one in before):
                news.append(replace(alert, event="worsened"))
            elif alert.ended is not None and all(one.ended is None for one in before):
                news.append(replace(alert, event="ended"))
        return AlertLog(tuple(found), bundle_id), news

    @property
    def open(self) -> tuple[Alert, ...]:
        """Alerts that have not ended."""
        return tuple(alert for alert in self.alerts if alert.ended is None)


def _overlap(one: Alert, other: Alert) -> bool:
    return one.began <= (other.ended or date.max) and other.began <= (one.ended or date.max)
