"""Each customer's own rhythm: the usual gap between purchase days as it was known on each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.names import PURCHASE_DAYS, PURCHASE_DAYS_IN, RECENCY, SPEND, SPEND_IN, TENURE, USER_ROW, USUAL_GAP

if TYPE_CHECKING:
    from features.behavior.purchase_days import PurchaseDays

GAPS_PRIOR = 2  # gaps of the shop's typical length that a customer's own are mixed with
NO_GAP = 30.0  # days that stand for the typical gap where nobody has bought on two days
YEAR, MONTH = 364, 28  # days: whole weeks
BEFORE = "spend_28_before"  # what was paid in the 28 days before the last 28


@dataclass(frozen=True)
class Rhythms:
    """The purchase days of a log with gaps.

    Attributes
    ----------
    days : PurchaseDays
    typical : float
        The median of the customers' mean gaps, in days, of those with two purchase days or more.
    repeats : bool
        Whether anybody has two purchase days; without any, `typical` is `NO_GAP`.
    number : int64 (m,)
        How many purchase days the customer had before this one.
    usual : float64 (m,)
        The customer's mean gap up to this day, mixed with `GAPS_PRIOR` typical ones.
    gap : float64 (m,)
        Days until the next purchase day; inf for the last one.
    """

    days: PurchaseDays
    typical: float
    repeats: bool
    number: np.ndarray
    usual: np.ndarray
    gap: np.ndarray

    @classmethod
    def of(cls, days: PurchaseDays) -> Rhythms:
        """Compute the gaps of purchase days."""
        fresh = np.diff(days.user, prepend=-1) != 0
        starts = np.flatnonzero(fresh)
        start = np.repeat(starts, np.diff(np.append(starts, len(days))))
        number = np.arange(len(days)) - start
        since_first = (days.day - days.day[start]).astype(np.float64)
        ends = np.append(starts[1:], len(days))[: len(starts)] - 1
        again = number[ends] > 0
        typical = float(np.median(since_first[ends][again] / number[ends][again])) if again.any() else NO_GAP
        gap = np.full(len(days), np.inf)
        gap[:-1] = np.diff(days.day)
        gap[ends] = np.inf
        usual = (since_first + GAPS_PRIOR * typical) / (number + GAPS_PRIOR)
        return cls(days, typical, bool(again.any()), number, usual, gap)

    def ratios(self) -> np.ndarray:
        """Return all gaps that have ended, in usual gaps, float64."""
        ended = np.isfinite(self.gap)
        return self.gap[ended] / self.usual[ended]

    def on(self, day: int) -> pl.DataFrame:
        """Return what was known of each customer at the end of a day, in days since the epoch.

        Returns
        -------
        The user row, sorted; days since the last and since the first purchase; the usual gap; purchase days, ever and in the last 364 days;
        what was paid, ever, in the last 364 and 28 days, and in the 28 days before these.
        """
        known = self.days.day <= day
        user, value, age = self.days.user[known], self.days.value[known], (day - self.days.day[known])
        last = np.flatnonzero(np.diff(user, append=-1) != 0)
        first = np.flatnonzero(np.diff(user, prepend=-1) != 0)

        def total(weights: np.ndarray) -> np.ndarray:
            return np.bincount(user, weights, minlength=self.days.n_users)[user[last]]

        year, month = age < YEAR, age < MONTH
        return pl.DataFrame(
            {
                USER_ROW: user[last],
                RECENCY: age[last],
                TENURE: age[first],
                USUAL_GAP: self.usual[known][last],
                PURCHASE_DAYS: self.number[known][last] + 1,
                PURCHASE_DAYS_IN.format(YEAR): total(year.astype(np.float64)),
                SPEND: total(value),
                SPEND_IN.format(YEAR): total(value * year),
                SPEND_IN.format(MONTH): total(value * month),
                BEFORE: total(value * (~month & (age < 2 * MONTH))),
            }
        )
