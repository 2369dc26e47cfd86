"""Purchases by customer and day: several lines of one basket, or several baskets of one day, are one purchase day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.errors import DataError

if TYPE_CHECKING:
    from features.data.interactions import Interactions


@dataclass(frozen=True)
class PurchaseDays:
    """The purchase days of all customers, sorted by user and day.

    Attributes
    ----------
    user : int64 (m,)
        User rows.
    day : int64 (m,)
        Days since the epoch, UTC.
    first, time : int64 (m,)
        The first and the last purchase of the day, seconds since the epoch.
    value : float64 (m,)
        What was paid on the day; lines without a value count as 0.
    lines : float64 (m,)
        Events of the day.
    n_users : int
        User rows of the log.
    """

    user: np.ndarray
    day: np.ndarray
    first: np.ndarray
    time: np.ndarray
    value: np.ndarray
    lines: np.ndarray
    n_users: int

    @classmethod
    def of(cls, log: Interactions, before: int | None = None, since: int | None = None) -> PurchaseDays:
        """Aggregate the purchases with since <= time < before, in seconds since the epoch; None means no bound.

        Raises
        ------
        DataError
            If the log has no calendar.
        """
        times = calendar_of(log)
        bought = np.isin(log.event, LABEL_EVENTS)
        if before is not None:
            bought &= times < before
        if since is not None:
            bought &= times >= since
        user, time = log.user[bought].astype(np.int64), times[bought]
        paid = np.zeros(len(user)) if log.value is None else np.nan_to_num(log.value[bought])
        if log.ordinal:  # sorted by steps, and steps keep the order of time; a tie of steps may not
            order = np.lexsort((time, user))
            user, time, paid = user[order], time[order], paid[order]
        day = time // DAY
        fresh = (np.diff(user, prepend=-1) != 0) | (np.diff(day, prepend=-1) != 0)
        starts = np.flatnonzero(fresh)
        lines = np.diff(np.append(starts, len(user))).astype(np.float64)
        ends = starts + lines.astype(np.int64) - 1
        value = np.add.reduceat(paid, starts) if len(starts) else np.zeros(0)
        return cls(user[starts], day[starts], time[starts], time[ends], value, lines, log.n_users)

    def __len__(self) -> int:
        return len(self.user)

    def per_user(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the days of each user row, or the sums of weights, float64 (n_users,)."""
        return np.bincount(self.user, weights, minlength=self.n_users).astype(np.float64)


def calendar_of(log: Interactions) -> np.ndarray:
    """Return the real times of a log's events, seconds since the epoch.

    Raises
    ------
    DataError
        If the log has no calendar.
    """
    if log.moments is None:
        raise DataError("the log has only the order of events, and what customers do next needs dates: bring a log with real times")
    return log.moments


def end_of(log: Interactions) -> int:
    """Return the second after the last event by the calendar; 0 without events or without a calendar."""
    return int(log.moments.max()) + 1 if log.moments is not None and len(log) else 0
