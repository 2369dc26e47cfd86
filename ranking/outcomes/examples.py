"""Customers at past moments and what they did next: what the models of customers learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.purchase_days import PurchaseDays, calendar_of
from features.behavior.user import user_features
from features.data.interactions import DAY
from features.names import DISTINCT_CATEGORIES, PURCHASE_DAYS
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.behavior.user import UserFeatures
    from features.data.interactions import Interactions
    from ranking.outcomes.config import OutcomeConfig


@dataclass(frozen=True)
class Examples:
    """One row for each customer and past moment, the newest moment first.

    Attributes
    ----------
    user : int64 (n,)
        User rows.
    window : int64 (n,)
        Which moment, 0 is the newest.
    x : float32 (n, features)
        The features before the moment.
    spend : float64 (n,)
        What the customer paid within the days after it.
    wait : float64 (n,)
        Days until the next purchase; inf without one within the days.
    names : tuple of str
        The features.
    """

    user: np.ndarray
    window: np.ndarray
    x: np.ndarray
    spend: np.ndarray
    wait: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def bought(self) -> np.ndarray:
        """Whether the customer bought within the days, bool (n,)."""
        return np.isfinite(self.wait)


def buyers(log: Interactions, now: int) -> UserFeatures:
    """Return the features of the customers who bought before `now`."""
    features = user_features(log, now)
    return features.where(features.columns[PURCHASE_DAYS] > 0)


def model_features(features: UserFeatures) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the features that models learn from, and their table."""
    names = tuple(name for name in features.columns if name != DISTINCT_CATEGORIES)
    return names, features.table(names)


def past_moments(log: Interactions, now: int, days: int, config: OutcomeConfig) -> list[int]:
    """Return the moments to learn from, newest first: their outcomes lie before `now`, and a history as long before them."""
    times = calendar_of(log)
    start = int(times.min()) if len(times) else now
    newest = now - days * DAY
    moments = [newest - i * config.stride * DAY for i in range(config.windows)]
    return [moment for moment in moments if moment - start >= min(days, 28) * DAY]


def examples(log: Interactions, now: int, days: int, config: OutcomeConfig, seed: int) -> Examples | None:
    """Return the customers at past moments with what they did in the `days` after them; None without any.

    Nothing at or after `now` is read.
    """
    parts = []
    for window, moment in enumerate(past_moments(log, now, days, config)):
        features = buyers(log, moment)
        if len(features) > config.customers:
            chosen = np.random.default_rng((seed, window)).permutation(len(features)) < config.customers
            features = features.where(chosen)
        later = PurchaseDays.of(log, moment + days * DAY, moment)
        wait = np.full(log.n_users, np.inf)
        first = np.flatnonzero(np.diff(later.user, prepend=-1))
        wait[later.user[first]] = (later.time[first] - moment) / DAY
        names, x = model_features(features)
        users = features.users
        parts.append(Examples(users, np.full(len(users), window), x, later.per_user(later.value)[users], wait[users], names))
    if not parts:
        return None
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in ("user", "window", "x", "spend", "wait"))
    return Examples(*columns, parts[0].names)


def folds_of(users: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the part of each customer, int64 (n,): the same in all windows."""
    known = sorted_unique(users)
    part = np.random.default_rng(seed).permutation(len(known)) % folds
    return part[np.searchsorted(known, users)]
