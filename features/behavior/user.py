"""Behaviour features of customers, one row each: recency, frequency, value, gaps between purchase days, trend, rhythm, breadth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.purchase_days import PurchaseDays, calendar_of
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import (
    DISTINCT_CATEGORIES,
    DISTINCT_ITEMS,
    DISTINCT_ITEMS_91,
    GAP_DEVIATION,
    GAP_LAST,
    GAP_MEAN,
    GAP_MEDIAN,
    INTEREST_28,
    LAST_EVENT,
    LINES_PER_DAY,
    OVERDUE,
    PURCHASE_DAYS,
    PURCHASE_DAYS_DECAY,
    PURCHASE_DAYS_IN,
    PURCHASE_DAYS_TREND,
    PURCHASE_RATE,
    RECENCY,
    SPEND,
    SPEND_DECAY,
    SPEND_DEVIATION,
    SPEND_IN,
    SPEND_LARGEST,
    SPEND_PER_DAY,
    SPEND_RATE,
    SPEND_TREND,
    TENURE,
    WEEKDAY_AHEAD,
)
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.data.interactions import Interactions

WINDOWS = (7, 14, 28, 56, 91, 182, 364)  # days
HALF_LIVES = (14, 45, 120)  # days
RATE_PRIOR = 30.0  # days without a purchase, as if everybody had been known for so much longer
FEATURES = (
    *(PURCHASE_DAYS, *(PURCHASE_DAYS_IN.format(days) for days in WINDOWS), *(PURCHASE_DAYS_DECAY.format(days) for days in HALF_LIVES)),
    *(SPEND, *(SPEND_IN.format(days) for days in WINDOWS), *(SPEND_DECAY.format(days) for days in HALF_LIVES)),
    *(PURCHASE_RATE, SPEND_RATE, PURCHASE_DAYS_TREND, SPEND_TREND, SPEND_PER_DAY, SPEND_DEVIATION, SPEND_LARGEST, LINES_PER_DAY),
    *(RECENCY, TENURE, GAP_MEAN, GAP_MEDIAN, GAP_DEVIATION, GAP_LAST, OVERDUE),
    *(WEEKDAY_AHEAD.format(days) for days in range(7)),
    *(DISTINCT_ITEMS, DISTINCT_ITEMS_91, DISTINCT_CATEGORIES, INTEREST_28, LAST_EVENT),
)
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class UserFeatures:
    """Features of the customers of a log at one moment.

    Attributes
    ----------
    users : int64 (n,)
        Their user rows, sorted: those with an event before the moment.
    columns : dict of str to float32 (n,)
        `FEATURES`, by their names in `features.names`; nan where undefined, as the recency of a customer without purchases.
    """

    users: np.ndarray
    columns: Columns

    def __len__(self) -> int:
        return len(self.users)

    def table(self, names: tuple[str, ...]) -> np.ndarray:
        """Return the named columns side by side, float32 (n, names)."""
        return np.stack([self.columns[name] for name in names], axis=1)

    def where(self, mask: np.ndarray) -> UserFeatures:
        """Select the customers where `mask`, bool (n,), is true."""
        return UserFeatures(self.users[mask], {name: column[mask] for name, column in self.columns.items()})


def user_features(log: Interactions, now: int, category: np.ndarray | None = None) -> UserFeatures:
    """Compute the features from the events before `now`, in seconds since the epoch.

    Parameters
    ----------
    category : int (n_items,), optional
        The code of each item's category (`features.data.catalog.Catalog.codes`), for the breadth over categories; without it that is nan.

    Raises
    ------
    DataError
        If the log has no calendar.
    """
    days = PurchaseDays.of(log, now)
    age = np.maximum(now - days.time, 0) / DAY
    times = calendar_of(log)
    columns = _counts_and_spend(days, age) | _gaps(days, age) | _rhythm(days, now)
    columns |= {
        rate: columns[total] / (columns[TENURE] + RATE_PRIOR) for rate, total in ((PURCHASE_RATE, PURCHASE_DAYS), (SPEND_RATE, SPEND))
    }
    columns |= _breadth(log, times, now, category) | _other_events(log, times, now)
    known = np.bincount(log.user[times < now], minlength=log.n_users) > 0
    return UserFeatures(np.flatnonzero(known), {name: columns[name][known].astype(np.float32) for name in FEATURES})


def _counts_and_spend(days: PurchaseDays, age: np.ndarray) -> Columns:
    columns = {PURCHASE_DAYS: days.per_user(), SPEND: days.per_user(days.value)}
    for window in WINDOWS:
        recent = (age <= window).astype(np.float64)
        columns[PURCHASE_DAYS_IN.format(window)] = days.per_user(recent)
        columns[SPEND_IN.format(window)] = days.per_user(recent * days.value)
    for half_life in HALF_LIVES:
        weight = 0.5 ** (age / half_life)
        columns[PURCHASE_DAYS_DECAY.format(half_life)] = days.per_user(weight)
        columns[SPEND_DECAY.format(half_life)] = days.per_user(weight * days.value)
    month, quarter = (columns[PURCHASE_DAYS_IN.format(window)] for window in (28, 91))
    columns[PURCHASE_DAYS_TREND] = np.log((month + 0.5) / (quarter * (28 / 91) + 0.5))
    count, spend = columns[PURCHASE_DAYS], columns[SPEND]
    mean = _ratio(spend, count)
    month, quarter = (columns[SPEND_IN.format(window)] for window in (28, 91))
    columns[SPEND_TREND] = np.log1p(_ratio(month, mean)) - np.log1p(_ratio(quarter * (28 / 91), mean))
    columns[SPEND_PER_DAY] = mean
    columns[SPEND_DEVIATION] = np.sqrt(np.maximum(_ratio(days.per_user(days.value**2), count) - mean**2, 0))
    largest = np.zeros(days.n_users)
    np.maximum.at(largest, days.user, days.value)
    columns[SPEND_LARGEST] = np.where(count > 0, largest, np.nan)
    columns[LINES_PER_DAY] = _ratio(days.per_user(days.lines), count)
    return columns


def _gaps(days: PurchaseDays, age: np.ndarray) -> Columns:
    """Return recency, tenure, and the distances between purchase days; gaps are nan with fewer than two days."""
    recency, tenure = np.full(days.n_users, np.nan), np.full(days.n_users, np.nan)
    recency[days.user], tenure[days.user[::-1]] = age, age[::-1]  # sorted by day: the last assignment stays
    again = np.diff(days.user, prepend=-1) == 0
    user, gap = days.user[again], np.diff(days.day, prepend=0)[again].astype(np.float64)
    count, total, squares = (np.bincount(user, weights, minlength=days.n_users) for weights in (None, gap, gap**2))
    mean = _ratio(total, count)
    last, median = np.full(days.n_users, np.nan), np.full(days.n_users, np.nan)
    last[user] = gap
    order = np.lexsort((gap, user))
    starts = np.flatnonzero(np.diff(user[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    median[user[order][starts]] = (gap[order][starts + (sizes - 1) // 2] + gap[order][starts + sizes // 2]) / 2
    return {
        RECENCY: recency,
        TENURE: tenure,
        GAP_MEAN: mean,
        GAP_MEDIAN: median,
        GAP_DEVIATION: np.sqrt(np.maximum(_ratio(squares, count) - mean**2, 0)),
        GAP_LAST: last,
        OVERDUE: recency / mean,
    }


def _rhythm(days: PurchaseDays, now: int) -> Columns:
    """Return the share of the purchase days on each weekday, counted from the weekday of `now`."""
    ahead = (days.day - now // DAY) % 7
    count = days.per_user()
    return {WEEKDAY_AHEAD.format(i): _ratio(days.per_user((ahead == i).astype(np.float64)), count) for i in range(7)}


def _breadth(log: Interactions, times: np.ndarray, now: int, category: np.ndarray | None) -> Columns:
    bought = np.isin(log.event, LABEL_EVENTS) & (times < now)
    recent = bought & (times >= now - 91 * DAY)
    nan = np.full(log.n_users, np.nan)
    return {
        DISTINCT_ITEMS: _distinct(log.user[bought], log.item[bought], log.n_users),
        DISTINCT_ITEMS_91: _distinct(log.user[recent], log.item[recent], log.n_users),
        DISTINCT_CATEGORIES: nan if category is None else _distinct(log.user[bought], category[log.item[bought]], log.n_users),
    }


def _other_events(log: Interactions, times: np.ndarray, now: int) -> Columns:
    past = times < now
    other = past & ~np.isin(log.event, LABEL_EVENTS) & (times >= now - 28 * DAY)
    last = np.full(log.n_users, -np.inf)
    np.maximum.at(last, log.user[past], times[past].astype(np.float64))
    last_event = np.where(np.isfinite(last), (now - last) / DAY, np.nan)
    return {INTEREST_28: np.bincount(log.user[other], minlength=log.n_users), LAST_EVENT: last_event}


def _distinct(user: np.ndarray, code: np.ndarray, n_users: int) -> np.ndarray:
    """Count the distinct codes of each user row; a negative code stands for none."""
    named = code >= 0
    most = int(code.max(initial=0)) + 1
    return np.bincount(sorted_unique(user[named].astype(np.int64) * most + code[named]) // most, minlength=n_users)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
