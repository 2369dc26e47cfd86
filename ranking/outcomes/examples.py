"""Customers at past moments and what they did next: what the models of customers learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.purchase_days import PurchaseDays, calendar_of
from features.behavior.user import FEATURES, user_features
from features.data.interactions import DAY
from features.names import DISTINCT_CATEGORIES, PURCHASE_DAYS, SPEND
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.behavior.user import UserFeatures
    from features.data.interactions import Interactions
    from ranking.outcomes.config import OutcomeConfig

# A catalogue may come without categories, and with others later.
MODEL_FEATURES = tuple(name for name in FEATURES if name != DISTINCT_CATEGORIES)
LEAST_HISTORY = 28  # days before a moment


@dataclass(frozen=True)
class PastOutcomes:
    """One row for each customer and past moment, the newest moment first.

    Attributes
    ----------
    user : int64 (n,)
        User rows.
    window : int64 (n,)
        Which moment, 0 is the newest.
    x : float32 (n, features)
        `MODEL_FEATURES` before the moment.
    spend : float64 (n,)
        What the customer paid within the days after it.
    wait : float64 (n,)
        Days until the next purchase; inf without one within the days.
    """

    user: np.ndarray
    window: np.ndarray
    x: np.ndarray
    spend: np.ndarray
    wait: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return MODEL_FEATURES

    @property
    def bought(self) -> np.ndarray:
        """Whether the customer bought within the days, bool (n,)."""
        return np.isfinite(self.wait)


class PastCustomers:
    """The customers of a log at past moments, and what they did next. The features of a moment are computed once.

    Parameters
    ----------
    most : customers of one moment, at most; a sample of more.
    """

    def __init__(self, log: Interactions, most: int, seed: int = 0) -> None:
        self.log, self._most, self._seed = log, most, seed
        self._known: dict[int, UserFeatures] = {}
        times = calendar_of(log)
        self.start = int(times.min()) if len(times) else None

    def at(self, moment: int) -> UserFeatures:
        """Return the features of customers who bought before a moment, in seconds since the epoch."""
        if moment not in self._known:
            features = buyers(self.log, moment)
            if len(features) > self._most:
                order = np.random.default_rng((self._seed, abs(moment))).permutation(len(features))
                features = features.where(order < self._most)
            self._known[moment] = features
        return self._known[moment]

    def outcome(self, moment: int, days: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what the customers of `at` did in the `days` from a moment on.

        Returns
        -------
        spend : what they paid, float64 (n,).
        wait : days until the next purchase, float64 (n,); inf without one.
        """
        users, later = self.at(moment).users, PurchaseDays.of(self.log, moment + days * DAY, moment)
        wait = np.full(self.log.n_users, np.inf)
        first = np.flatnonzero(np.diff(later.user, prepend=-1))
        wait[later.user[first]] = (later.first[first] - moment) / DAY
        return np.maximum(later.per_user(later.value)[users], 0), wait[users]


def buyers(log: Interactions, now: int) -> UserFeatures:
    """Return the features of all customers who bought before `now`."""
    features = user_features(log, now)
    return features.where(features.columns[PURCHASE_DAYS] > 0)


def past_moments(past: PastCustomers, now: int, days: int, config: OutcomeConfig) -> list[int]:
    """Return the moments to learn from, newest first: on the weekday of `now`, outcomes before it, four weeks of history at least."""
    if past.start is None:
        return []
    newest = now - -(-days // 7) * 7 * DAY
    moments = [newest - i * config.stride * DAY for i in range(config.windows)]
    return [moment for moment in moments if moment - past.start >= LEAST_HISTORY * DAY]


def examples(past: PastCustomers, now: int, days: int, config: OutcomeConfig) -> PastOutcomes | None:
    """Return the customers at past moments with what they did in the `days` after them; None without any.

    Nothing at or after `now` is read.
    """
    parts = []
    for window, moment in enumerate(past_moments(past, now, days, config)):
        features, (spend, wait) = past.at(moment), past.outcome(moment, days)
        parts.append(PastOutcomes(features.users, np.full(len(features), window), features.table(MODEL_FEATURES), spend, wait))
    if not sum(map(len, parts)):
        return None
    return PastOutcomes(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("user", "window", "x", SPEND, "wait")))


def folds_of(users: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the part of each customer, int64 (n,): the same in all windows."""
    known = sorted_unique(users)
    part = np.random.default_rng(seed).permutation(len(known)) % folds
    return part[np.searchsorted(known, users)]
