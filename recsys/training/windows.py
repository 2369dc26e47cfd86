"""Which stretch of time each model is fitted on: every later one stands on scores of data that the earlier ones never saw."""

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

LENGTHS = (28.0, 56.0, 91.0, 182.0)  # days: the first that has enough buyers is taken
BUYERS = 500  # in each window
THIN = 10  # times as many buyers, from which equal purchases make better windows than equal time
STRETCHES = 10  # of which the last five are windows; the rest, and all before, trains the towers
# Parts of the users in whose last step, in step time, each model is fitted.
SHARES = {"validation": (0.0, 0.1), "early": (0.1, 0.5), "late": (0.5, 0.8), "correction": (0.8, 0.9), "calibration": (0.9, 1.0)}


@dataclass(frozen=True)
class Window:
    """start <= time < end, seconds since the epoch. users: from which to which share of them, in an order drawn once."""

    start: int
    end: int
    users: tuple[float, float] = (0.0, 1.0)

    @property
    def days(self) -> float:
        return (self.end - self.start) / DAY

    def split(self, log: Interactions) -> Split:
        """What was known at the window's start, and what its users did in it.

        Raises
        ------
        DataError: nothing lies before the window or in it.
        """
        split = Split.by_time(log.between(None, self.end), self.start)
        if self.users == (0.0, 1.0):
            return split
        place = np.random.default_rng(0).permutation(log.n_users) / max(log.n_users, 1)
        mine = (place >= self.users[0]) & (place < self.users[1])
        return replace(split, labels=split.labels.where(mine[split.labels.user]))

    def __str__(self) -> str:
        text = f"{moment(self.start)} to {moment(self.end)}"
        low, high = (f"{100 * share:.0f}" for share in self.users)
        return text if (low, high) == ("0", "100") else f"each user's last step, {low} to {high}% of the users"


@dataclass(frozen=True)
class Windows:
    """Windows of one length, one after another, up to `until`; in step time each user's last step, other users for each.

    Where equal time would leave a window nearly empty they hold equal purchases instead.

    towers: histories and purchases that the towers learn from. validation: by which their training is stopped. early, late: labels of the
    blend, and of the cross-encoder (early alone). correction: labels of the blend's second booster. calibration: of the probabilities.
    These two together say whether the blend reads the towers' scores.
    """

    towers: Window
    validation: Window
    early: Window
    late: Window
    correction: Window
    calibration: Window

    @classmethod
    def plan(cls, log: Interactions, until: int) -> Windows:
        """Cut the time from the log's start to `until`.

        Raises
        ------
        DataError: the time is too short for ten stretches of an hour.
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

    def to_dict(self) -> dict[str, str]:
        return {name: str(window) for name, window in vars(self).items()}


def unless_thin(log: Interactions, edges: list[int]) -> list[int]:
    """At most six edges of windows; where hardly anybody buys in one of these, as many with a tenth of the purchases in each.

    For a shop that was closed, or a log that thins out.
    """
    times = np.sort(log.time[np.isin(log.event, LABEL_EVENTS) & (log.time < edges[-1])])
    if not len(times):
        return edges
    even = [*np.quantile(times, np.arange(5, 10) / STRETCHES, method="higher").tolist(), edges[-1]][-len(edges) :]
    return even if fewest_buyers(log, even) > THIN * fewest_buyers(log, edges) else edges


def fewest_buyers(log: Interactions, edges: list[int]) -> int:
    """Users who buy in a window between two edges, in the one that has fewest."""
    bought = np.isin(log.event, LABEL_EVENTS)
    time, user = log.time[bought], log.user[bought]
    return min(len(sorted_unique(user[(time >= begin) & (time < end)])) for begin, end in itertools.pairwise(edges))


def moment(seconds: int) -> str:
    """ISO 8601, UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M")
