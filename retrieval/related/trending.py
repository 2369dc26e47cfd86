"""What grows: items with more buyers in the last days than their own past and the whole shop's make expected."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.item_stats import distinct_buyers
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import GROWTH
from retrieval.collaborative.scoring import TopOfAll

if TYPE_CHECKING:
    from features.data.interactions import Interactions

RECENT = 7  # days
BEFORE = 28  # days before these that say what is usual
SHRINKAGE = 5.0  # buyers that are added on both sides, so that three buyers of a slow item are no trend
LEAST_BUYERS = 3


@dataclass(frozen=True)
class Trend:
    """Buyers of each item in the last days and what was to be expected.

    Attributes
    ----------
    buyers : float64 (n_items,)
        Distinct buyers in the last `days`.
    expected : float64 (n_items,)
        The item's buyers before, over weeks as long, times the growth of all items together.
    days : int
    """

    buyers: np.ndarray
    expected: np.ndarray
    days: int

    @classmethod
    def of(cls, log: Interactions, now: int, days: int = RECENT, among: np.ndarray | None = None) -> Trend:
        """Count the purchases before `now`, in seconds since the epoch; without a calendar nothing grows.

        Parameters
        ----------
        among : whose purchases count, bool (n_users,), such as the customers of one place; None: everybody's.
        """
        nothing = np.zeros(log.n_items)
        if log.moments is None:
            return cls(nothing, nothing, days)
        bought = np.isin(log.event, LABEL_EVENTS) & (log.moments < now)
        if among is not None:
            bought &= among[log.user]
        age = (now - log.moments) / DAY
        buyers = distinct_buyers(log, bought & (age <= days))
        # Windows of one length: over four weeks together, a weekly buyer would count once and look like growth.
        windows = range(1, max(1, BEFORE // days) + 1)
        before = [distinct_buyers(log, bought & (age > days * i) & (age <= days * (i + 1))) for i in windows]
        usual = np.mean(before, axis=0)
        return cls(buyers, usual * (buyers.sum() / usual.sum()) if usual.any() else nothing, days)

    @cached_property
    def scores(self) -> np.ndarray:
        """Logarithm of the shrunk growth, float32 (n_items,); 0 for items of few buyers and those that do not grow."""
        growth = np.log((self.buyers + SHRINKAGE) / (self.expected + SHRINKAGE))
        return np.where(self.buyers >= LEAST_BUYERS, np.maximum(growth, 0), 0).astype(np.float32)

    @cached_property
    def retriever(self) -> TopOfAll:
        """The items that grow, most growth first."""
        return TopOfAll(self.scores, GROWTH)
