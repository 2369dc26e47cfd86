"""What the times of a log are: moments, dates, an order without a calendar, or visits of users who never return.

Windows, ages and "popular this week" are true only where the times are a calendar, so everything that counts in time asks here.
The evidence, from the strongest:

1. Serial numbers. The distinct times of the whole log are evenly spaced, less than a day apart, and each belongs to one user.
2. Numbered steps. Nearly every user has exactly the times start, start + 1 step, start + 2 steps, and so on, a step being at most
   a day; or users do so one after another, and no two of them overlap. Users of a daily shop also begin on the export's first day,
   but they pause: even with 95% of all days, a user of 20 days is without a gap in one case of three. Users who are all still there
   at the end are a short export of a daily shop, unless the steps are shorter than a day or ten of them are without one exception.
   In a log with times of day it is enough that users begin in one second and most distances are one step.
3. Clocks that start with the user ("days since the first order"), and numbered steps of which rows were lost. Most begin at one
   time, nearly nobody begins later than in the first tenth, and few are seen in the last tenth: a calendar has newcomers, or regulars
   who stay. A log of four weeks or more without events on some weekday is a calendar, too.
4. Visits. Nearly nobody is seen on both sides of the last tenth of the events, and nearly nobody lasts for a twentieth of the log.
   The first alone would take a shop for visits whose customers come once a year; the second alone one whose customers are new.

What is left is a calendar. Its times are dates if they are midnights, or share one or two times of day: midnight elsewhere, with
and without daylight saving.

Beginning on one day is no evidence by itself: every export of a daily shop begins on one day. Nor is a small log, which stays a
calendar because nothing in it can show the contrary. See docs/decisions/083.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from features.data.times.clock_evidence import DAY, LEAST_USERS, Evidence, spacing_of
from features.names import TIMESTAMP, USER_ID
from features.storage.sorted_unique import sorted_unique

Kind = Literal["times", "dates", "steps", "visits"]
NEARLY_ALL = 0.9
PILED = 0.8  # share of users seen at the end from which "all are still there"
REGULAR = 0.7  # share of distances that are one step, in a log with times of day
TOGETHER = 0.6  # share of users that begin at one time
FEW_AT_END = 0.2
NEWCOMERS = 0.1
NO_NEWCOMERS = 0.02
RETURNING = 0.05  # of the users in the last tenth of the events, share seen before it; below, nobody returns
ENOUGH_USERS = 1_000  # with this many returning users, time windows work whatever their share
LONG = 0.05  # of the log's span; a user who lasts longer is no visit
LASTING = 0.02  # share of users that may last longer
LEAST_DAYS = 56  # without a user of two times, a shorter log does not show that nobody returns
SAMPLE = 1_000_000  # rows; of a log of more than twice as many, a sample of its users is judged

WORDS: dict[Kind, str] = {
    "times": "real times",
    "dates": "real dates without a time of day",
    "steps": "an order only, without a calendar",
    "visits": "real times of visits, because no user returns",
}


@dataclass(frozen=True)
class LogClock:
    """What the times of a log are, and why they are taken for it.

    Attributes
    ----------
    kind : {"times", "dates", "steps", "visits"}
        Calendar with times of day; calendar of days; no calendar, only the order of each user's events; calendar with times of day
        or days, but users that never return.
    why : str
        The figures that decided, in one clause.
    step_time : bool
        Whether windows of time have no users to learn from, so that each user's last step is held out instead.
    """

    kind: Kind
    why: str
    step_time: bool = False

    def __str__(self) -> str:
        """Return one sentence for the user."""
        remedy = "; if that is wrong, set events.clock" if self.kind in {"steps", "visits"} else ""
        return f"the log's times are taken for {WORDS[self.kind]}: {self.why}{remedy}"


def clock_of(frame: pl.LazyFrame | pl.DataFrame) -> LogClock:
    """Judge a canonical table with the columns user_id and timestamp, in about a second for ten million rows."""
    known = frame.lazy().filter(pl.col(USER_ID).is_not_null() & pl.col(TIMESTAMP).is_not_null())
    pairs = known.select(user=pl.col(USER_ID).hash(seed=0), time=pl.col(TIMESTAMP).dt.epoch("s"))
    times = pairs.select("time").collect(engine="streaming")["time"].to_numpy()
    spacing = spacing_of(times)
    if (parts := len(times) // SAMPLE) > 1:
        pairs = pairs.filter(pl.col("user") % parts == 0)
    del times
    columns = pairs.sort("user", "time").collect(engine="streaming")
    user = columns["user"].rle_id().to_numpy()
    return _judged(Evidence.of(user, columns["time"].to_numpy(), spacing, max(parts, 1)))


def clock(user: np.ndarray, time: np.ndarray) -> LogClock:
    """Judge the events of a log.

    Parameters
    ----------
    user : int (n,), sorted.
    time : int64 (n,), seconds since the epoch, sorted for each user.
    """
    spacing = spacing_of(time)
    if (parts := len(user) // SAMPLE) > 1:
        kept = user % parts == 0
        user, time = user[kept], time[kept]
    return _judged(Evidence.of(user, time, spacing, max(parts, 1)))


def _judged(seen: Evidence) -> LogClock:
    found = _steps(seen) or _visits(seen) or _calendar(seen)
    return found if seen.parts == 1 else replace(found, why=f"in a sample of {len(seen.events_user):,} events, {found.why}")


def _steps(seen: Evidence) -> LogClock | None:
    """Return the clock of a log whose times are only an order; None if they may be a calendar."""
    if (users := int(seen.several.sum())) < LEAST_USERS:
        return None
    if 0 < seen.serial < DAY:
        return LogClock("steps", f"all times of the log are {_length(seen.serial)} apart, like numbers, and each is one user's", True)
    (start, together), (step, regular) = seen.start, seen.step
    from_start = float((seen.numbered & (seen.first[seen.several] == start)).mean())
    one_by_one = float(seen.numbered.mean())
    if 0 < step <= DAY:
        why = f"the times of {from_start:.0%} of {users:,} users count up from {_moment(start)} by {_length(step)} without a gap"
        perfect = from_start == 1 and int(seen.count[seen.several].min()) >= 10
        if from_start >= NEARLY_ALL and seen.newcomers < NO_NEWCOMERS and (seen.at_end < PILED or step < DAY or perfect):
            return LogClock("steps", why, True)
        if one_by_one >= NEARLY_ALL and seen.alone >= NEARLY_ALL and users >= 0.5 * len(seen.count):
            why = f"{one_by_one:.0%} of {users:,} users have times {_length(step)} apart without a gap, one user after another"
            return LogClock("steps", why, True)
        if not seen.midnights and together >= NEARLY_ALL and regular >= REGULAR and seen.at_end < PILED:
            why = f"{together:.0%} of {users:,} users begin at {_moment(start)}, and {regular:.0%} of the distances are {_length(step)}"
            return LogClock("steps", why, True)
    few = FEW_AT_END if seen.midnights else 0.5  # beginning in one second of a day is rarer than beginning on one date
    if together >= TOGETHER and seen.at_end < few and seen.newcomers < NEWCOMERS and not seen.closed_weekday:
        why = f"{together:.0%} of {users:,} users begin at {_moment(start)}, hardly any later, and {seen.at_end:.0%} are seen at the end"
        return LogClock("steps", why, True)
    return None


def _visits(seen: Evidence) -> LogClock | None:
    """Return the clock of a log whose users never return; None if some do, or if the log cannot show it."""
    if len(seen.count) < LEAST_USERS:
        return None
    back, late = seen.returning
    lasting = float((seen.last - seen.first > LONG * seen.span).mean())
    if back >= min(RETURNING * late, ENOUGH_USERS) or lasting >= LASTING:
        return None
    several = int(seen.several.sum())
    if several < LEAST_USERS and len(sorted_unique(seen.events_time // DAY)) < LEAST_DAYS:
        return None  # a short export, or the one season of a shop
    usual = _length(int(np.quantile((seen.last - seen.first)[seen.several], 0.9, method="nearest"))) if several else ""
    why = f"{back:,} of the {late:,} users in the last tenth of the events were seen before it"
    why += f", and 90% of the users with more than one time are gone within {usual}" if several else ", and no user has more than one time"
    return LogClock("visits", why, several >= LEAST_USERS)


def _calendar(seen: Evidence) -> LogClock:
    """Return the clock of a log with real times."""
    if not len(seen.events_time):
        return LogClock("times", "the log is empty")
    kind: Kind = "dates" if seen.midnights else "times"
    said = f"{seen.midnights:.0%} of the times are the start of a day" if kind == "dates" else "the times differ within days"
    if (users := int(seen.several.sum())) < LEAST_USERS:
        return LogClock(kind, f"{said}; too few users ({users:,}) have more than one time to tell more")
    start, together = seen.start
    if together >= 0.5:  # looks like an order only at first sight
        why = f"{said}; {together:.0%} of {users:,} users begin on {_moment(start)}, but {seen.at_end:.0%} are still seen at the end"
        why += f", and {1 - seen.numbered.mean():.0%} pause in between"
        return LogClock(kind, why)
    back, late = seen.returning
    return LogClock(kind, f"{said}; {back:,} of the {late:,} users in the last tenth of the events were seen before it")


def _length(seconds: int) -> str:
    """Return a length of time in words: "1 day", "90 minutes"."""
    for unit, size in (("day", DAY), ("hour", 3600), ("minute", 60)):
        if seconds >= size and (seconds % size == 0 or seconds >= 3 * size):
            number = round(seconds / size)
            return f"{number:,} {unit}{'s' * (number != 1)}"
    return f"{seconds:,} second{'s' * (seconds != 1)}"


def _moment(seconds: int) -> str:
    """Return a date, with the time of day unless it is midnight."""
    text = str(np.datetime64(seconds, "s")).replace("T", " ")
    return text.removesuffix(" 00:00:00")
