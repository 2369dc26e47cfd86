"""Movements of customers between segments, and the days on which they began to drift away, for the watch of `eval.monitoring`."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.monitoring.alerts import DAY_OF, NEGATIVES, SERIES, TOTAL
from eval.monitoring.surge_watch import SurgeWatch
from features.behavior.rhythm import YEAR
from features.names import SEGMENT, SPEND_IN, USER_ROW
from recsys.apps.customers.segments import DRIFTING, LOST

if TYPE_CHECKING:
    from eval.monitoring.alerts import Alert
    from eval.monitoring.config import WatchConfig
    from features.behavior.rhythm import Rhythms
    from recsys.apps.customers.segments import SegmentRules

FROM, TO, CUSTOMERS, SHARE, SPEND = "from", "to", "customers", "share", "spend_364"
NOT_YET = "no purchase yet"
WARM_UP = 2.0
YEARS = 3  # that the watch reads
EPOCH = date(1970, 1, 1)


def movements(rhythms: Rhythms, rules: SegmentRules, before: int, after: int) -> pl.DataFrame:
    """Return how many customers moved from which segment to which between the ends of two days, by one set of rules.

    Returns
    -------
    `from` and `to`, names of segments, or "no purchase yet"; `customers`; the `share` of those who were in `from`; `spend_364`, what they
    paid in the 364 days before `after`. Those who stayed have a row as well, with `from` equal to `to`.
    """
    then, now = (rules.assign(rhythms.on(day)) for day in (before, after))
    both = now.select(USER_ROW, pl.col(SEGMENT).cast(pl.String).alias(TO), SPEND_IN.format(YEAR)).join(
        then.select(USER_ROW, pl.col(SEGMENT).cast(pl.String).alias(FROM)), on=USER_ROW, how="left"
    )
    both = both.with_columns(pl.col(FROM).fill_null(NOT_YET))
    counts = both.group_by(FROM, TO).agg(pl.len().cast(pl.Int64).alias(CUSTOMERS), pl.col(SPEND_IN.format(YEAR)).sum().alias(SPEND))
    share = (pl.col(CUSTOMERS) / pl.col(CUSTOMERS).sum().over(FROM)).alias(SHARE)
    return counts.with_columns(share).select(FROM, TO, CUSTOMERS, SHARE, SPEND).sort(CUSTOMERS, FROM, TO, descending=[True, False, False])


def departures(rhythms: Rhythms, rules: SegmentRules, until: int, warm_up: float = WARM_UP) -> pl.DataFrame:
    """Return for each day how many customers began to drift away, or were lost, of those who had not yet.

    A customer drifts away on the day on which the time since the last purchase first exceeds the rule; the day depends on nothing after it.

    Parameters
    ----------
    until : last day, days since the epoch; the log is complete up to its end.
    warm_up : first days of the log that are left out, as multiples of the time after which a customer of the typical gap drifts away or
        is lost: until then few can.

    Returns
    -------
    `day`, `series` ("drifting away" or "lost"), `negatives`, customers to whom it happened; `total`, customers to whom it could.
    """
    days = rhythms.days
    start = int(days.day.min()) if len(days) else until + 1
    length = max(0, until - start + 1)
    parts = []
    for series, factor, least in ((DRIFTING, rules.drift, 1), (LOST, rules.lost, 0)):
        rows = rhythms.number >= least
        late = np.floor(factor * rhythms.usual[rows]).astype(np.int64) + 1
        first, gap = days.day[rows] - start + 1, rhythms.gap[rows]
        happened = late < gap
        last = np.where(happened, late, np.where(np.isfinite(gap), gap, 0)).astype(np.int64)  # the last day on which it could happen
        events = np.bincount((first - 1 + late)[happened].clip(max=length), minlength=length + 1)[:length]
        begin = np.bincount(first.clip(max=length), minlength=length + 1)[:length]
        end = np.bincount((first + last).clip(max=length), minlength=length + 1)[:length]
        total = np.cumsum(begin - end)
        day = pl.Series([EPOCH + timedelta(start + i) for i in range(length)], dtype=pl.Date)
        warm = int(np.ceil(warm_up * factor * rhythms.typical))
        table = pl.DataFrame({DAY_OF: day, NEGATIVES: events.astype(np.int64), TOTAL: total}).with_columns(pl.lit(series).alias(SERIES))
        parts.append(table[warm:])
    return pl.concat(parts).select(DAY_OF, SERIES, NEGATIVES, TOTAL).filter(pl.col(TOTAL) > 0)


def find_alerts(counts: pl.DataFrame, until: date, config: WatchConfig) -> list[Alert]:
    """Return all alerts of the last `YEARS` up to a day, each as it stands then, in order of the day on which they were raised."""
    watch, found = SurgeWatch(config), dict[tuple[str, date], "Alert"]()
    recent = counts.filter(pl.col(DAY_OF).is_between(until - timedelta(365 * YEARS), until)).sort(DAY_OF, SERIES)
    for (day,), of_day in recent.partition_by(DAY_OF, as_dict=True, maintain_order=True).items():
        for alert in watch.update(day, of_day.drop(DAY_OF)):
            found[alert.series, alert.raised] = alert
    return sorted(found.values(), key=lambda alert: (alert.raised, alert.series))
