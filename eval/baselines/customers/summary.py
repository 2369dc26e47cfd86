"""What the classic models of buyers read of a customer: how often, how recently, for how long, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.purchase_days import PurchaseDays
from features.data.interactions import DAY

if TYPE_CHECKING:
    from features.data.interactions import Interactions


@dataclass(frozen=True)
class PurchaseSummary:
    """One row for each customer who bought before a moment.

    Attributes
    ----------
    users : int64 (n,), user rows.
    repeats : float64 (n,), purchase days after the first one.
    last : float64 (n,), days from the first purchase to the last one; 0 without a repeat.
    age : float64 (n,), days from the first purchase to the moment.
    value : float64 (n,), mean paid on a purchase day.
    """

    users: np.ndarray
    repeats: np.ndarray
    last: np.ndarray
    age: np.ndarray
    value: np.ndarray

    @classmethod
    def of(cls, log: Interactions, now: int, since: int | None = None) -> PurchaseSummary:
        """Count the purchases with since <= time < now, in seconds since the epoch."""
        days = PurchaseDays.of(log, now, since)
        starts = np.flatnonzero(np.diff(days.user, prepend=-1))
        ends = np.append(starts[1:], len(days)) - 1
        count = (ends - starts + 1).astype(np.float64)
        paid = days.per_user(days.value)[days.user[starts]]
        first, last = days.day[starts], days.day[ends]
        age = np.maximum(now / DAY - first, last - first)
        return cls(days.user[starts], count - 1, (last - first).astype(np.float64), age, paid / count)

    def __len__(self) -> int:
        return len(self.users)

    def of_users(self, users: np.ndarray, values: np.ndarray, missing: float) -> np.ndarray:
        """Return the values (n,) of this summary's customers for user rows (m,), `missing` for others."""
        if not len(self):
            return np.full(len(users), missing)
        place = np.minimum(np.searchsorted(self.users, users), len(self) - 1)
        return np.where(self.users[place] == users, values[place], missing)
