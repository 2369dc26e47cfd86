"""Purchases by user, item and day: the baskets of a log, and the gaps between purchases of one item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.data.interactions import Interactions


@dataclass(frozen=True)
class Baskets:
    """What each user bought on one day, or at one step of a log without a calendar. Tills and shops split orders differently.

    Attributes
    ----------
    basket : int64 (m,)
        Number of the basket of each line, ascending from 0.
    item : int64 (m,)
        Catalogue row; no item twice in a basket.
    user : int64 (n_baskets,)
        User row of each basket.
    weight : float64 (n_baskets,)
        1 at the end of the log, and halved by each half-life before it.
    n_items : int
        Items of the catalogue.
    """

    basket: np.ndarray
    item: np.ndarray
    user: np.ndarray
    weight: np.ndarray
    n_items: int

    @classmethod
    def of(cls, log: Interactions, most: int | None = None, half_life: float | None = None) -> Baskets:
        """Group the purchases of a log.

        Parameters
        ----------
        most : baskets of more items are left out: a reseller's or a canteen's order says nothing of two items in it.
        half_life : days after which a basket counts half; None: all count the same.
        """
        bought = np.isin(log.event, LABEL_EVENTS)
        day = (log.time if log.moments is None else log.moments)[bought] // DAY
        day -= day.min(initial=0)
        span = int(day.max(initial=0)) + 1
        key = log.user[bought].astype(np.int64) * span + day
        found = sorted_unique(key)
        line = sorted_unique(np.searchsorted(found, key) * log.n_items + log.item[bought])
        basket, item = line // log.n_items, line % log.n_items
        if most is not None and len(found):
            kept = np.bincount(basket, minlength=len(found)) <= most
            line = kept[basket]
            basket, item, found = (np.cumsum(kept) - 1)[basket[line]], item[line], found[kept]
        age = span - 1 - found % span
        weight = np.ones(len(found)) if half_life is None else np.exp2(-age / half_life)
        return cls(basket, item, found // span, weight, log.n_items)

    @property
    def matrix(self) -> sp.csr_array:
        """The baskets by their items, each line with the root of the basket's weight, float32 (n_baskets, n_items)."""
        root = np.sqrt(self.weight).astype(np.float32)[self.basket]
        return sp.coo_array((root, (self.basket, self.item)), shape=(len(self), self.n_items)).tocsr()

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class PurchaseGaps:
    """The days on which each user bought each item, sorted by user, item and day.

    Attributes
    ----------
    user, item, day : int64 (m,)
        No day twice for a user and an item.
    number : int64 (m,)
        How many gaps of the user with the item had ended by this day.
    known : float64 (m,)
        Sum of the logarithms of those gaps, in days.
    gap : float64 (m,)
        Days until the next purchase of the item; inf for the last one.
    """

    user: np.ndarray
    item: np.ndarray
    day: np.ndarray
    number: np.ndarray
    known: np.ndarray
    gap: np.ndarray

    @classmethod
    def of(cls, user: np.ndarray, item: np.ndarray, day: np.ndarray) -> PurchaseGaps:
        """Sort purchases, int (n,) each, and measure their gaps."""
        order = np.lexsort((day, item, user))
        user, item, day = (column[order].astype(np.int64) for column in (user, item, day))
        first = np.ones(len(user), dtype=bool)
        first[1:] = (np.diff(user) != 0) | (np.diff(item) != 0)
        distinct = first.copy()
        distinct[1:] |= np.diff(day) != 0
        user, item, day, first = user[distinct], item[distinct], day[distinct], first[distinct]
        starts = np.flatnonzero(first)
        start = np.repeat(starts, np.diff(np.append(starts, len(user))))
        gap = np.append(np.diff(day), 0).astype(np.float64)[: len(user)]
        gap[np.append(starts[1:], len(user))[: len(starts)] - 1] = np.inf
        logs = np.where(np.isinf(gap), 0.0, np.log(np.maximum(gap, 1)))
        before = np.cumsum(logs) - logs
        return cls(user, item, day, np.arange(len(user)) - start, before - before[start], gap)

    @property
    def last(self) -> np.ndarray:
        """Whether no later purchase of the item by the user is known, bool (m,)."""
        return np.isinf(self.gap)
