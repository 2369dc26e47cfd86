"""Buyers of each item in the last days, for what is said of it.

`ItemStats` counts in the log's own time, which models learn from. In step time its days are steps, and no sentence may call them
days: a log with a calendar is counted again by the calendar, and of a log without one only all its buyers can be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.item_stats import distinct_buyers
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import BUYERS_7, BUYERS_28, BUYERS_EVER
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.behavior.item_stats import ItemStats
    from features.data.interactions import Interactions

POPULAR_BUYERS = 3  # in a week; fewer are not "popular"


@dataclass(frozen=True)
class RecentBuyers:
    """Buyers of each item.

    Attributes
    ----------
    week, month : float (n_items,) or None
        Distinct buyers in the last 7 and 28 days; None where the log has no calendar.
    ever : float (n_items,)
        All distinct buyers.
    shoppers : int
        Users who bought something in the last 28 days, or ever, at least 1.
    """

    week: np.ndarray | None
    month: np.ndarray | None
    ever: np.ndarray
    shoppers: int

    @classmethod
    def of(cls, log: Interactions, stats: ItemStats, now: int) -> RecentBuyers:
        """Count the purchases before `now`, in seconds since the epoch; `stats` are of the same log and time."""
        bought = np.isin(log.event, LABEL_EVENTS)
        ever = stats.columns[BUYERS_EVER]
        if log.moments is None:
            return cls(None, None, ever, _users(log, bought))
        days = (now - log.moments) / DAY
        shoppers = _users(log, bought & (days <= 28))
        if not log.ordinal:
            return cls(stats.columns[BUYERS_7], stats.columns[BUYERS_28], ever, shoppers)
        week, month = (distinct_buyers(log, bought & (days <= most)) for most in (7, 28))
        return cls(week, month, ever, shoppers)

    @property
    def recent(self) -> np.ndarray:
        """Buyers in the last 28 days, or ever where there is no calendar."""
        return self.ever if self.month is None else self.month

    def seller(self, row: int) -> str:
        """Return what is said of an item to somebody of whom nothing is known."""
        few = "few buyers" if self.month is None else "few recent buyers"
        return self.popular(row) or (self.sales(row) if self.recent[row] >= POPULAR_BUYERS else few)

    def popular(self, row: int) -> str | None:
        """Return what is said of an item that many buy; None if few do."""
        if self.week is None:
            return f"popular: {self.ever[row]:,.0f} buyers" if self.ever[row] >= POPULAR_BUYERS else None
        return f"popular this week: {self.week[row]:,.0f} buyers" if self.week[row] >= POPULAR_BUYERS else None

    def sales(self, row: int) -> str:
        """Return how an item sells."""
        buyers = int(self.recent[row])
        said = f"{f'{buyers:,}' if buyers else 'no'} buyer{'s' * (buyers != 1)}"
        return said if self.month is None else f"{said} in the last 28 days"


def _users(log: Interactions, mask: np.ndarray) -> int:
    return max(1, len(sorted_unique(log.user[mask])))
