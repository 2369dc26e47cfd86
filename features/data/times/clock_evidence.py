"""Figures about a log that show what its times mean, for `features.data.times.clock`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.storage.sorted_unique import sorted_unique

DAY = 86_400  # seconds
LEAST_USERS = 100  # a smaller log does not show what its times mean
_SHORT = 2**32  # seconds
EVEN = 0.98  # share of distances between the times of a log that are equal


@dataclass(frozen=True)
class Evidence:
    """Figures about the distinct pairs of user and time of a log.

    Attributes
    ----------
    events_user, events_time : the log, or a sample of its users, sorted by user and time, without wrong dates.
    edges : where the log begins and ends but for a hundredth of its events on either side.
    spacing : `spacing_of` of the whole log.
    parts : one user in so many is in the sample.
    """

    events_user: np.ndarray
    events_time: np.ndarray
    edges: tuple[int, int]
    spacing: tuple[int, int]
    parts: int

    @classmethod
    def of(cls, user: np.ndarray, time: np.ndarray, spacing: tuple[int, int], parts: int) -> Evidence:
        """Leave out the events that lie further from the log than it is long: their dates are wrong."""
        low, high = (int(edge) for edge in np.quantile(time, [0.01, 0.99], method="nearest")) if len(time) else (0, 0)
        margin = max(high - low, DAY)
        near = (time >= low - margin) & (time <= high + margin)
        return cls(user[near].astype(np.int64), time[near], (low, high), spacing, parts)

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
    def span(self) -> int:
        """Seconds between the edges."""
        return self.edges[1] - self.edges[0]

    @cached_property
    def step(self) -> tuple[int, float]:
        """The commonest distance between two times of a user, in seconds, and its share; 0 without any."""
        distances = np.diff(self.time)[np.diff(self.user) == 0]
        return _commonest(distances) if len(distances) else (0, 0.0)

    @cached_property
    def midnights(self) -> float:
        """Share of times that are the start of a day, where it is nearly all; else 0."""
        return whole_days(self.events_time)

    @cached_property
    def start(self) -> tuple[int, float]:
        """The commonest first time of users with several, and the share of them that begin then."""
        return _commonest(self.first[self.several])

    @cached_property
    def numbered(self) -> np.ndarray:
        """Which users with several times have them a step apart without a gap."""
        return (self.last - self.first == (self.count - 1) * self.step[0])[self.several]

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
        """The distance between the log's distinct times if they are evenly spaced and each is one user's; else 0.

        A program that asks for a page every minute, and has most of the times, says nothing of the others.
        """
        step, distinct = self.spacing
        several = int(self.count.max(initial=0)) <= len(self.time) // 2
        return step if several and self.parts * len(self.time) <= 1.05 * distinct else 0

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
        cut = np.quantile(self.events_time, 0.9)
        late = self.last >= cut
        return int((late & (self.first < cut)).sum()), int(late.sum())


def spacing_of(time: np.ndarray) -> tuple[int, int]:
    """Return the distance between the distinct times, in seconds, and their number; (0, number) if they are not evenly spaced."""
    if len(time) and int(time.max()) - int(time.min()) < _SHORT:  # a long log needs the memory
        time = (time - time.min()).astype(np.uint32)
    distances = np.diff(sorted_unique(time))
    if len(distances) < LEAST_USERS:
        return 0, len(distances) + 1
    usual = int(np.median(distances))
    return (usual if (distances == usual).mean() >= EVEN else 0), len(distances) + 1


def whole_days(time: np.ndarray) -> float:
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
