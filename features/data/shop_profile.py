"""What kind of shop a log is of: dates or order only, baskets or single items, repeated purchases or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.data.split import LABEL_EVENTS
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.data.interactions import Interactions


SINGLE = 1.5  # items bought at one time, on average, up to which the order of single items tells more than the baskets


REPEATS = 0.02  # share of purchases that are repeats, below which nobody wants to be shown what they have


@dataclass(frozen=True)
class ShopProfile:
    """What kind of shop a log is of. basket: items bought at one time, on average. repeats: share of purchases of what the user had."""

    ordinal: bool
    basket: float
    repeats: float

    @classmethod
    def of(cls, log: Interactions) -> ShopProfile:
        """Look at the purchases of a log; what is bought twice at one time counts once."""
        bought = np.isin(log.event, LABEL_EVENTS)
        user, time, item = log.user[bought].astype(np.int64), log.time[bought], log.item[bought].astype(np.int64)
        trip = np.cumsum((np.diff(user, prepend=-1) != 0) | (np.diff(time, prepend=0) != 0))  # sorted by user and time
        if not len(trip):
            return cls(log.ordinal, 1.0, 0.0)
        lines = len(sorted_unique(trip * log.n_items + item))
        return cls(log.ordinal, lines / trip[-1], 1 - len(sorted_unique(user * log.n_items + item)) / lines)

    @property
    def sequence(self) -> bool:
        """People buy one thing at a time."""
        return self.ordinal or self.basket <= SINGLE

    @property
    def buys_again(self) -> bool:
        """What somebody has is worth showing again."""
        return self.repeats > REPEATS
