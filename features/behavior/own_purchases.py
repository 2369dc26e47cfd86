"""The purchases of one user, and what to say of those of one item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from features.data.histories import Histories
    from features.data.times.clock import LogClock


@dataclass(frozen=True)
class OwnPurchases:
    """The purchases of one user.

    Attributes
    ----------
    items : rows, int (n,).
    ages : in days, or steps where the log is in step time, float (n,); they tell one time from another.
    days : real age in days, float (n,); nan where the log has no calendar.
    """

    items: np.ndarray
    ages: np.ndarray
    days: np.ndarray

    @classmethod
    def by(cls, users: Histories, b: int) -> OwnPurchases:
        """Return those of one of several users."""
        part = slice(users.offsets[b], users.offsets[b + 1])
        return cls(users.item[part], users.age[part], users.days[part])

    def of(self, row: int) -> tuple[int, np.ndarray]:
        """Return at how many times an item was bought, and the distinct ages in days that are known, newest first."""
        mine = self.items == row
        days = np.unique(self.days[mine])
        return len(np.unique(self.ages[mine])), days[~np.isnan(days)]

    def sentence(self, row: int, clock: LogClock | None) -> str:
        """Return how often and when an item was bought; an empty text if it was not."""
        times, days = self.of(row)
        if not times:
            return ""
        last = f", {'last ' * (times > 1)}{_ago(float(days[0]), clock)}" if len(days) else ""
        if times < 2:
            return f"bought once{last}"
        gap = float(days[-1] - days[0]) / (times - 1) if len(days) == times else 0.0
        every = f", about every {max(gap, 1):.0f} day{'s' * (round(max(gap, 1)) != 1)}" if gap >= 0.5 else ""
        return f"bought {times} times{every}{last}"


def _ago(days: float, clock: LogClock | None) -> str:
    if days >= 1:
        return f"{days:.0f} day{'s' * (round(days) != 1)} ago"
    return "just now" if days < 1 / 24 and (clock is None or clock.kind != "dates") else "today"
