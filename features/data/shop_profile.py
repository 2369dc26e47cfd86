"""The profile of a shop, measured on its log: dates or only an order, basket size, share of repeat purchases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.data.split import LABEL_EVENTS
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.data.interactions import Interactions

# Up to this mean basket size, the order of single items predicts more than the baskets do.
SINGLE = 1.5
# Below this share of repeat purchases, users do not want recommendations of items that they have.
REPEATS = 0.02


@dataclass(frozen=True)
class ShopProfile:
    """Properties of a shop that its default settings depend on.

    Attributes
    ----------
    ordinal : bool
        Whether the log is in step time; see `features.data.times.clock`.
    basket : float
        Mean number of distinct items bought at one time.
    repeats : float
        Share of purchases of an item that the user had bought before.
    """

    ordinal: bool
    basket: float
    repeats: float

    @classmethod
    def of(cls, log: Interactions) -> ShopProfile:
        """Measure the purchases of a log; an item bought twice at one time counts once."""
        bought = np.isin(log.event, LABEL_EVENTS)
        user, time, item = log.user[bought].astype(np.int64), log.time[bought], log.item[bought].astype(np.int64)
        trip = np.cumsum((np.diff(user, prepend=-1) != 0) | (np.diff(time, prepend=0) != 0))  # sorted by user and time
        if not len(trip):
            return cls(log.ordinal, 1.0, 0.0)
        lines = len(sorted_unique(trip * log.n_items + item))
        return cls(log.ordinal, lines / trip[-1], 1 - len(sorted_unique(user * log.n_items + item)) / lines)

    @property
    def sequence(self) -> bool:
        """Whether users buy one item at a time."""
        return self.ordinal or self.basket <= SINGLE

    @property
    def buys_again(self) -> bool:
        """Whether users buy items again."""
        return self.repeats > REPEATS
