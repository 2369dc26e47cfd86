"""Time windows of training: each model is fitted later than those it builds on, and so on out-of-sample scores."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS, Split
from features.errors import DataError
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.data.interactions import Interactions

LENGTHS = (28.0, 56.0, 91.0, 182.0)  # days; the first length with enough buyers is taken
BUYERS = 500  # in each window
THIN = 10  # factor of buyers from which windows of equal purchases replace windows of equal time
STRETCHES = 10  # parts of the log; the last five are windows, all before them trains the towers
# With step times, each model is fitted on the last step of these shares of the users.
SHARES = {"validation": (0.0, 0.1), "early": (0.1, 0.5), "late": (0.5, 0.8), "correction": (0.8, 0.9), "calibration": (0.9, 1.0)}


@dataclass(frozen=True)
class Window:
    """A time window, `start` <= time < `end`, of all or some users.

    Attributes
    ----------
    start, end : seconds since the epoch.
    users : from which to which share of the users, in one fixed random order.
    """

    start: int
    end: int
    users: tuple[float, float] = (0.0, 1.0)

    @property
    def days(self) -> float:
        """Length in days."""
        return (self.end - self.start) / DAY

    def split(self, log: Interactions) -> Split:
        """Split a log into the history before the window and the labels of its users in it.

        Raises
        ------
        DataError
            If no event lies before the window or in it.
        """
        split = Split.by_time(log, self.start, until=self.end)
        if self.users == (0.0, 1.0):
            return split
        place = np.random.default_rng(0).permutation(log.n_users) / max(log.n_users, 1)
        chosen = (place >= self.users[0]) & (place < self.users[1])
        return replace(split, labels=split.labels.where(chosen[split.labels.user]))

    def __str__(self) -> str:
        text = f"{moment(self.start)} to {moment(self.end)}"
        low, high = (f"{100 * share:.0f}" for share in self.users)
        return text if (low, high) == ("0", "100") else f"each user's last step, {low} to {high}% of the users"


@dataclass(frozen=True)
class Windows:
    """Successive windows of equal length up to the end of training.

    If equal lengths would leave a window nearly empty, the windows hold equal numbers of purchases. With step times,
    every window is the last step of other users.

    Attributes
    ----------
    towers : trains the towers.
    validation : stops their training.
    early, late : labels of the base booster; `early` is also the cross-encoder's.
    correction : labels of the residual booster.
    calibration : labels of the calibration. With `correction`, it also decides whether the base booster uses the
        towers' scores.
    """

    towers: Window
    validation: Window
    early: Window
    late: Window
    correction: Window
    calibration: Window

    @classmethod
    def plan(cls, log: Interactions, until: int) -> Windows:
        """Plan the windows between the log's start and `until`, in seconds since the epoch.

        Raises
        ------
        DataError
            If this time is shorter than ten hours.
        """
        if log.ordinal:
            last = until - DAY
            return cls(Window(log.start, last), **{name: Window(last, until, users) for name, users in SHARES.items()})
        longest = (until - log.start) / STRETCHES
        if longest < 3600:
            raise DataError(
                f"the log covers {(until - log.start) / 3600:.1f} hours before {moment(until)}, expected at least {STRETCHES}: "
                "bring a longer log, or build the index without training"
            )
        fitting = [int(days * DAY) for days in LENGTHS if days * DAY <= longest] or [int(longest)]
        choices = [[until - length * back for back in range(5, -1, -1)] for length in fitting]
        edges = unless_thin(log, next((edges for edges in choices if fewest_buyers(log, edges) >= BUYERS), choices[-1]))
        later = [Window(begin, end) for begin, end in itertools.pairwise(edges)]
        return cls(Window(log.start, edges[0]), *later)

    @property
    def after_towers(self) -> dict[str, Window]:
        """The windows after that of the towers, by name."""
        return {name: window for name, window in vars(self).items() if name != "towers"}

    def to_dict(self) -> dict[str, str]:
        """Return a description of each window by its name."""
        return {name: str(window) for name, window in vars(self).items()}


def unless_thin(log: Interactions, edges: list[int]) -> list[int]:
    """Return the edges of at most five windows; if one has very few buyers, edges with a tenth of the purchases each.

    That happens if a shop was closed for a while, or if a log thins out.
    """
    times = np.sort(log.time[np.isin(log.event, LABEL_EVENTS) & (log.time < edges[-1])])
    if not len(times):
        return edges
    even = [*np.quantile(times, np.arange(5, 10) / STRETCHES, method="higher").tolist(), edges[-1]][-len(edges) :]
    return even if fewest_buyers(log, even) > THIN * fewest_buyers(log, edges) else edges


def fewest_buyers(log: Interactions, edges: list[int]) -> int:
    """Return the number of buyers in the window between two edges that has fewest."""
    bought = np.isin(log.event, LABEL_EVENTS)
    time, user = log.time[bought], log.user[bought]
    return min(len(sorted_unique(user[(time >= begin) & (time < end)])) for begin, end in itertools.pairwise(edges))


def moment(seconds: int) -> str:
    """Format seconds since the epoch as ISO 8601 in UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M")
