"""Rules that match events of the service with rows of the sources, and decide which of the two counts.

They match by id if both have one. Otherwise `events.same_day` pairs those of one user, item, kind and day: as many events as there are
rows, or as the rows' quantities add up to, so that two purchases on one day stay two. With `both` they are paired by second instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.interactions import DAY
from features.names import PURCHASE
from recsys.workspace.events import DERIVED

if TYPE_CHECKING:
    from recsys.settings.events import EventWeights

KEY = ("user_id", "item_id", "event")


@dataclass(frozen=True)
class Merged:
    """The log with the service's events that count.

    Attributes
    ----------
    log : rows of the sources and events, in canonical columns.
    spent : numbers of events that no later build or answer needs.
    """

    log: pl.DataFrame
    spent: list[int]


@dataclass(frozen=True)
class SourceFacts:
    """What a match of events depends on in the whole of the sources' rows, whatever partition of them is merged.

    Attributes
    ----------
    last : last day, as `days` counts; 0 without rows.
    both : ids of events that the sources have.
    recent : those of them whose event is at most `keep_days` older than that day.
    nameless : whether no row has an id that was given.
    """

    last: int
    both: pl.Series
    recent: pl.Series
    nameless: bool

    @classmethod
    def of(cls, log: pl.LazyFrame, events: pl.DataFrame, config: EventWeights) -> SourceFacts:
        """Look through a log, which is never whole in memory, for what `events` need."""
        if "event_id" not in log.collect_schema():
            log = log.with_columns(event_id=pl.lit(None, pl.String))
        newest = log.select(pl.col("timestamp").max()).collect(engine="streaming").item()
        ids = log.select("event_id").drop_nulls()
        given = ids.filter(~pl.col("event_id").str.starts_with(DERIVED)).head(1).collect(engine="streaming").height
        both = ids.join(events.lazy().select("event_id"), on="event_id", how="semi").collect(engine="streaming")["event_id"]
        if newest is None:
            return cls(0, both, both, nameless=True)
        late = log.filter(pl.col("timestamp") > newest - timedelta(days=2)).select("timestamp").unique().collect(engine="streaming")
        last = days(late["timestamp"].dt.epoch("s").to_numpy(), config.time_zone, whole_days=True).max()
        day = days(events["timestamp"].dt.epoch("s").to_numpy(), config.time_zone, whole_days=False)
        recent = events.filter(pl.Series(day >= last - config.keep_days))["event_id"]
        return cls(int(last), both, both.filter(both.is_in(recent.implode())), nameless=not given)


def merge(log: pl.DataFrame, events: pl.DataFrame, config: EventWeights, facts: SourceFacts | None = None) -> Merged:
    """Merge rows of the sources and `EventStore.frame`, both of all users or of the same ones.

    Parameters
    ----------
    facts : of the sources' rows of all users; None where `log` holds them.

    Notes
    -----
    An event is spent if the sources contain it and have rows of a later day: until then another one of the same day may arrive, and
    only counting distinguishes the two. An event from more than `keep_days` before the sources' last day is spent too.
    """
    if "event_id" not in log.columns:
        log = log.with_columns(event_id=pl.lit(None, pl.String))
    if not len(events) and (facts is None or not len(facts.recent)):
        return Merged(log, [])
    facts = facts or SourceFacts.of(log.lazy(), events, config)
    rows, received = (_keyed(frame, config, whole_days).with_row_index("at") for frame, whole_days in ((log, True), (events, False)))
    last, both = facts.last, facts.both.implode()
    old = received["day"] < last - config.keep_days
    # If the sources have ids, an event with a given id matches by it or is another event.
    nameless = ~_given(received["event_id"]) | facts.nameless
    unmatched = received.filter(~old & nameless & ~received["event_id"].is_in(both))
    others = rows.filter(~pl.col("event_id").is_in(both).fill_null(value=False))
    if config.same_day == "service":
        dropped = rows["event_id"].is_in(facts.recent.implode()).fill_null(value=False) | rows["at"].is_in(
            _paired(unmatched, others).implode()
        )
        log, fresh, spent = log.filter(~dropped), events.filter(~old), old
    else:
        known = received["event_id"].is_in(both) | received["at"].is_in(_paired(others, unmatched).implode())
        fresh = events.filter(~(old | known))
        spent = old | (known & (received["day"] < last)) if config.same_day == "source" else old
    return Merged(pl.concat([log, fresh.select(log.columns)]), events["number"].filter(spent).to_list())


def _keyed(frame: pl.DataFrame, config: EventWeights, whole_days: bool) -> pl.DataFrame:
    """Return the columns for pairing: KEY, event_id, quantity, second, day, slot (day, or with `both` second)."""
    seconds = frame["timestamp"].dt.epoch("s").to_numpy()
    day = days(seconds, config.time_zone, whole_days=whole_days)
    return frame.select(
        *("user_id", "item_id", "event_id"),
        pl.col("event").fill_null(PURCHASE),
        pl.col("quantity").fill_null(1.0),
        second=pl.Series(seconds),
        day=pl.Series(day),
        slot=pl.Series(seconds if config.same_day == "both" else day),
    )


def _paired(rows: pl.DataFrame, others: pl.DataFrame) -> pl.Series:
    """Return the `at` of `others` that the rows cover."""
    slots = others.select(*KEY, "slot").unique().with_row_index("code")
    mine, theirs = (frame.join(slots, on=[*KEY, "slot"]).sort("at") for frame in (rows, others))
    exact = theirs.join(mine.select(*KEY, "second").unique(), on=[*KEY, "second"], how="semi")["at"]
    found = covered(
        (mine["code"].to_numpy(), mine["quantity"].to_numpy()),
        (theirs["code"].to_numpy(), theirs["quantity"].to_numpy()),
        theirs["second"].to_numpy(),
        theirs["at"].is_in(exact.implode()).to_numpy(),
    )
    return theirs["at"].filter(pl.Series(found, dtype=pl.Boolean))


def _given(ids: pl.Series) -> pl.Series:
    """Return whether each id was given, and not derived by the store."""
    return ids.is_not_null() & ~ids.str.starts_with(DERIVED).fill_null(False)


def covered(
    rows: tuple[np.ndarray, np.ndarray], others: tuple[np.ndarray, np.ndarray], second: np.ndarray, exact: np.ndarray
) -> np.ndarray:
    """Return which others the rows cover: in each slot as many as there are rows, or as their quantities add up to.

    Parameters
    ----------
    rows, others : slot codes and quantities, each (n,).
    second : of the others, int64 (n,): seconds since the epoch.
    exact : of the others, bool (n,): whether a row has that same second. These are covered first, then the earliest: the events
        that the sources lack are the latest.

    Returns
    -------
    bool (n,), for the others.
    """
    size = int(max(rows[0].max(initial=0), others[0].max(initial=0))) + 1
    count, amount = np.bincount(rows[0], minlength=size), np.bincount(rows[0], rows[1], minlength=size)
    order = np.lexsort((second, ~exact, others[0]))
    code, quantity = others[0][order], others[1][order]
    begin = np.searchsorted(code, code)
    total = np.cumsum(quantity)
    upto = total - np.where(begin > 0, total[begin - 1], 0) if len(code) else total
    found = np.zeros(len(code), dtype=bool)
    found[order] = (np.arange(len(code)) - begin < count[code]) | (upto <= amount[code] + 1e-9)
    return found


def days(seconds: np.ndarray, zone: str, *, whole_days: bool) -> np.ndarray:
    """Return calendar days in a time zone, int64 (n,): days since 1970.

    Parameters
    ----------
    whole_days : whether midnight in UTC stands for a date without a time, whatever the zone.
    """
    local = (pl.Series(seconds, dtype=pl.Int64) * 1000).cast(pl.Datetime("ms", "UTC"))
    day = local.dt.convert_time_zone(zone).dt.date().cast(pl.Int32).cast(pl.Int64).to_numpy()
    return np.where(seconds % DAY == 0, seconds // DAY, day) if whole_days else day
