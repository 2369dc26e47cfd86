"""What the times of a log are: moments, dates, an order without a calendar, or visits of users who never return.

Windows, ages and "popular this week" are true only where the times are a calendar, so everything that counts in time asks here.
The evidence, from the strongest:

1. Serial numbers. The distinct times of the whole log are evenly spaced, less than a day apart, and each belongs to one user.
2. Numbered steps. Nearly every user has exactly the times start, start + 1 step, start + 2 steps, and so on, a step being at most
   a day; or users do so one after another, and no two of them overlap. Users of a daily shop also begin on the export's first day,
   but they pause: even with 95% of all days, a user of 20 days is without a gap in one case of three. Users who are all still there
   at the end are a short export of a daily shop, unless the steps are shorter than a day or ten of them are without one exception.
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
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl

from features.names import TIMESTAMP, USER_ID
from features.storage.sorted_unique import sorted_unique

Kind = Literal["times", "dates", "steps", "visits"]
DAY = 86_400  # seconds
LEAST_USERS = 100  # a smaller log does not show what its times mean
NEARLY_ALL = 0.9
EVEN = 0.98  # share of distances between the times of a log that are equal
PILED = 0.8  # share of users seen at the end from which "all are still there"
TOGETHER = 0.6  # share of users that begin at one time
FEW_AT_END = 0.2
NEWCOMERS = 0.1
RETURNING = 0.05  # of the users in the last tenth of the events, share seen before it; below, nobody returns
ENOUGH_USERS = 1_000  # with this many returning users, time windows work whatever their share
LONG = 0.05  # of the log's span; a user who lasts longer is no visit
LASTING = 0.02  # share of users that may last longer
LEAST_DAYS = 56  # without a user of two times, a shorter log does not show that nobody returns
SAMPLE = 1_000_000  # rows; of a log of more than twice as many, a sample of its users is judged

WORDS: dict[Kind, str] = {
    "times": "moments with a time of day",
    "dates": "dates without a time of day",
    "steps": "an order only, without a calendar",
    "visits": "moments of visits: each user id comes once",
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
        return f"the log's times are taken for {WORDS[self.kind]} ({self.why})"


def clock_of(frame: pl.LazyFrame | pl.DataFrame) -> LogClock:
    """Judge a canonical table with the columns user_id and timestamp, in about a second for ten million rows."""
    known = frame.lazy().filter(pl.col(USER_ID).is_not_null() & pl.col(TIMESTAMP).is_not_null())
    columns = known.select(user=pl.col(USER_ID).hash(seed=0), time=pl.col(TIMESTAMP).dt.epoch("s")).collect()
    spacing = _spacing(columns["time"].to_numpy())
    if (parts := len(columns) // SAMPLE) > 1:
        columns = columns.filter(pl.col("user") % parts == 0)
    columns = columns.sort("user", "time")
    user = columns["user"].rle_id().to_numpy()
    return _judged(Evidence(user.astype(np.int64), columns["time"].to_numpy(), spacing, max(parts, 1)))


def clock(user: np.ndarray, time: np.ndarray) -> LogClock:
    """Judge the events of a log.

    Parameters
    ----------
    user : int (n,), sorted.
    time : int64 (n,), seconds since the epoch, sorted for each user.
    """
    spacing = _spacing(time)
    if (parts := len(user) // SAMPLE) > 1:
        kept = user % parts == 0
        user, time = user[kept], time[kept]
    return _judged(Evidence(user.astype(np.int64), time, spacing, max(parts, 1)))


def _judged(seen: Evidence) -> LogClock:
    found = _steps(seen) or _visits(seen) or _calendar(seen)
    return found if seen.parts == 1 else replace(found, why=f"in a sample of {len(seen.events_user):,} events, {found.why}")


@dataclass(frozen=True)
class Evidence:
    """Figures about the distinct pairs of user and time of a log.

    Attributes
    ----------
    events_user, events_time : the log, or a sample of its users, sorted by user and time.
    spacing : `_spacing` of the whole log.
    parts : one user in so many is in the sample.
    """

    events_user: np.ndarray
    events_time: np.ndarray
    spacing: tuple[int, int]
    parts: int

    @cached_property
    def fresh(self) -> np.ndarray:
        """Whether an event is the first of its user and time, bool (n,)."""
        return (np.diff(self.events_user, prepend=-1) != 0) | (np.diff(self.events_time, prepend=-1) != 0)

    @cached_property
    def user(self) -> np.ndarray:
        """User of each distinct pair."""
        return self.events_user[self.fresh]

    @cached_property
    def time(self) -> np.ndarray:
        """Time of each distinct pair."""
        return self.events_time[self.fresh]

    @cached_property
    def begins(self) -> np.ndarray:
        """Index of each user's first pair."""
        return np.flatnonzero(np.diff(self.user, prepend=-1))

    @cached_property
    def count(self) -> np.ndarray:
        """Number of distinct times of each user."""
        return np.diff(self.begins, append=len(self.user))

    @cached_property
    def first(self) -> np.ndarray:
        """Each user's first time."""
        return self.time[self.begins]

    @cached_property
    def last(self) -> np.ndarray:
        """Each user's last time."""
        return self.time[self.begins + self.count - 1]

    @cached_property
    def several(self) -> np.ndarray:
        """Whether a user has two times or more."""
        return self.count > 1

    @cached_property
    def edges(self) -> tuple[int, int]:
        """Where the log begins and ends but for a hundredth of its events: a few wrong dates must not stretch it."""
        low, high = np.quantile(self.events_time, [0.01, 0.99], method="nearest")
        return int(low), int(high)

    @cached_property
    def span(self) -> int:
        """Seconds between the edges."""
        return self.edges[1] - self.edges[0]

    @cached_property
    def step(self) -> int:
        """The commonest distance between two times of a user, in seconds; 0 without any."""
        distances = np.diff(self.time)[np.diff(self.user) == 0]
        return _commonest(distances)[0] if len(distances) else 0

    @cached_property
    def start(self) -> tuple[int, float]:
        """The commonest first time of users with several, and the share of them that begin then."""
        return _commonest(self.first[self.several])

    @cached_property
    def numbered(self) -> np.ndarray:
        """Which users with several times have them a step apart without a gap."""
        return (self.last - self.first == (self.count - 1) * self.step)[self.several]

    @cached_property
    def at_end(self) -> float:
        """Share of users with several times that are seen in the last tenth of the span."""
        return float((self.last[self.several] >= self.edges[1] - self.span // 10).mean())

    @cached_property
    def alone(self) -> float:
        """Share of users with several times who end before the next one begins."""
        order = np.argsort(self.first[self.several], kind="stable")
        first, last = self.first[self.several][order], self.last[self.several][order]
        return float((last[:-1] < first[1:]).mean())

    @property
    def newcomers(self) -> float:
        """Share of users with several times that begin after the first tenth of the span."""
        return float((self.first[self.several] > self.edges[0] + self.span // 10).mean())

    @property
    def serial(self) -> int:
        """The distance between the log's distinct times if they are evenly spaced and each is one user's; else 0."""
        step, distinct = self.spacing
        return step if self.parts * len(self.time) <= 1.05 * distinct else 0

    @cached_property
    def closed_weekday(self) -> bool:
        """Whether four weeks or more have a weekday with hardly an event."""
        if self.span < 28 * DAY:
            return False
        weekday = np.bincount(self.events_time // DAY % 7, minlength=7)
        return bool(weekday.min() < 0.02 * weekday.mean())

    @cached_property
    def returning(self) -> tuple[int, int]:
        """Number of users seen before the last tenth of the events and in it, and of users seen in it."""
        # A tenth of the events, not of the time: one event dated years ahead by mistake would be the whole last tenth.
        cut = np.quantile(self.events_time, 0.9)
        late = self.last >= cut
        return int((late & (self.first < cut)).sum()), int(late.sum())


def _steps(seen: Evidence) -> LogClock | None:
    """Return the clock of a log whose times are only an order; None if they may be a calendar."""
    if (users := int(seen.several.sum())) < LEAST_USERS:
        return None
    if 0 < seen.serial < DAY:
        return LogClock("steps", f"all times of the log are {_length(seen.serial)} apart, like numbers, and each is one user's", True)
    start, together = seen.start
    from_start = float((seen.numbered & (seen.first[seen.several] == start)).mean())
    one_by_one = float(seen.numbered.mean())
    if 0 < seen.step <= DAY:
        why = f"the times of {from_start:.0%} of {users:,} users count up from {_moment(start)} by {_length(seen.step)} without a gap"
        perfect = from_start == 1 and int(seen.count[seen.several].min()) >= 10
        if from_start >= NEARLY_ALL and (seen.at_end < PILED or seen.step < DAY or perfect):
            return LogClock("steps", why, True)
        if one_by_one >= NEARLY_ALL and seen.alone >= NEARLY_ALL and users >= 0.5 * len(seen.count):
            why = f"{one_by_one:.0%} of {users:,} users have times {_length(seen.step)} apart without a gap, one user after another"
            return LogClock("steps", why, True)
    of_dates = seen.step % DAY == 0 and start % DAY == 0
    few = FEW_AT_END if of_dates else 0.5  # beginning in one second of a day is rarer than beginning on one date
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
    kind: Kind = "dates" if (midnight := _whole_days(seen.events_time)) else "times"
    said = f"{midnight:.0%} of the times are the start of a day" if kind == "dates" else "the times differ within days"
    if (users := int(seen.several.sum())) < LEAST_USERS:
        return LogClock(kind, f"{said}; {users:,} users have more than one time, too few to show more")
    start, together = seen.start
    if together >= 0.5 or (0 < seen.step <= DAY and seen.numbered.mean() >= NEARLY_ALL):
        why = f"{said}; {together:.0%} of {users:,} users begin on {_moment(start)}, but {seen.at_end:.0%} are still seen at the end"
        why += f", and {1 - seen.numbered.mean():.0%} pause in between"
        return LogClock(kind, why)
    back, late = seen.returning
    return LogClock(kind, f"{said}; {back:,} of the {late:,} users in the last tenth of the events were seen before it")


def _spacing(time: np.ndarray) -> tuple[int, int]:
    """Return the distance between the distinct times, in seconds, and their number; (0, number) if they are not evenly spaced."""
    distances = np.diff(sorted_unique(time))
    if len(distances) < LEAST_USERS:
        return 0, len(distances) + 1
    usual = int(np.median(distances))
    return (usual if (distances == usual).mean() >= EVEN else 0), len(distances) + 1


def _whole_days(time: np.ndarray) -> float:
    """Return the share of times that are a day's start in some time zone, where it is nearly all; else 0."""
    share = float((time % DAY == 0).mean())
    if share >= 0.99:
        return share
    clock_time, counts = _counted(time % DAY)
    order = np.argsort(-counts)[:2]
    share = float(counts[order].sum() / len(time))
    # Two times of day an hour apart are midnight with and without daylight saving.
    apart = {abs(int(clock_time[order[0]] - clock_time[order[-1]])), 0} <= {0, 3600, DAY - 3600}
    return share if share >= 0.99 and apart and len(time) >= 50 and (clock_time[order] % 900 == 0).all() else 0.0


def _commonest(values: np.ndarray) -> tuple[int, float]:
    """Return the commonest value and its share."""
    found, counts = _counted(values)
    best = int(counts.argmax())
    return int(found[best]), float(counts[best] / len(values))


def _counted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values and their counts; see `sorted_unique` for the reason."""
    ordered = np.sort(values)
    begins = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    return ordered[begins], np.diff(begins, append=len(ordered))


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
