"""Which rows of the sources and which events of the service are one and the same, and which of the two counts.

By id, where both have one of their own. Else, by `events.same_day`, those of one user, item, kind and day are paired: as many as there are
rows, or as the rows' quantities amount to, so that two purchases on one day stay two. With `both` they are paired by the second instead.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """The log with what counts of the service's events. spent: numbers of events that no later build or answer needs."""

    log: pl.DataFrame
    spent: list[int]


def merge(log: pl.DataFrame, events: pl.DataFrame, config: EventWeights) -> Merged:
    """Join rows of the sources and `EventStore.frame`.

    An event is spent that the sources have, once they have rows of a later day: until then another of the same day may come, and the two
    are told apart by their number. So is one from more than `keep_days` before the sources' last day.
    """
    if "event_id" not in log.columns:
        log = log.with_columns(event_id=pl.lit(None, pl.String))
    if not len(events):
        return Merged(log, [])
    rows, told = (_keyed(frame, config, whole_days).with_row_index("at") for frame, whole_days in ((log, True), (events, False)))
    last = int(rows["day"].max() or 0)  # pyright: ignore[reportArgumentType]
    old = told["day"] < last - config.keep_days
    both = rows.select("event_id").join(told.select("event_id"), on="event_id", how="semi")["event_id"].implode()
    # Where the sources have ids, an event with one of its own is found by it, or is another event.
    nameless = ~_own(told["event_id"]) | (not _own(rows["event_id"]).any())
    rivals = told.filter(~old & nameless & ~told["event_id"].is_in(both))
    others = rows.filter(~pl.col("event_id").is_in(both).fill_null(value=False))
    if config.same_day == "service":
        dropped = rows["event_id"].is_in(told.filter(~old)["event_id"].implode()).fill_null(value=False) | rows["at"].is_in(
            _paired(rivals, others).implode()
        )
        log, fresh, spent = log.filter(~dropped), events.filter(~old), old
    else:
        known = told["event_id"].is_in(both) | told["at"].is_in(_paired(others, rivals).implode())
        fresh = events.filter(~(old | known))
        spent = old | (known & (told["day"] < last)) if config.same_day == "source" else old
    return Merged(pl.concat([log, fresh.select(log.columns)]), events["number"].filter(spent).to_list())


def _keyed(frame: pl.DataFrame, config: EventWeights, whole_days: bool) -> pl.DataFrame:
    """What rows are paired by: KEY, event_id, second, day (that second where days do not pair), quantity."""
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
    """Which of `others` the rows stand for, by their `at`."""
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


def _own(ids: pl.Series) -> pl.Series:
    """Whether an id is one that somebody gave."""
    return ids.is_not_null() & ~ids.str.starts_with(DERIVED).fill_null(False)


def covered(
    rows: tuple[np.ndarray, np.ndarray], others: tuple[np.ndarray, np.ndarray], second: np.ndarray, exact: np.ndarray
) -> np.ndarray:
    """Which of the others the rows stand for, bool (n,): in each slot as many as there are rows, or as their quantities amount to.

    rows, others: slot codes and quantities. second, exact: of the others, when, and whether a row has that very second. Those come first,
    then the earliest: what is not yet in the sources is the latest.
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
    """Calendar days, int64: days since 1970 in a time zone. whole_days: a midnight in UTC is a date without a time, in any zone."""
    local = (pl.Series(seconds, dtype=pl.Int64) * 1000).cast(pl.Datetime("ms", "UTC"))
    day = local.dt.convert_time_zone(zone).dt.date().cast(pl.Int32).cast(pl.Int64).to_numpy()
    return np.where(seconds % DAY == 0, seconds // DAY, day) if whole_days else day
