"""A log cut in two by time: what may be learned from, and what is to be foretold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.data.interactions import DAY
from features.errors import DataError
from features.names import EVENTS, PURCHASE, RATING
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.data.interactions import Interactions

# Views and carts tell of interest; what is foretold is the purchase (a shop that logs only ratings has those).
LABEL_EVENTS = (EVENTS.index(PURCHASE), EVENTS.index(RATING))


@dataclass(frozen=True)
class Split:
    """History before `cut`, labels in [cut, end); all in seconds since the epoch.

    `users` are the user rows with history and at least one label on an item known before the cut (see `known`).
    """

    history: Interactions
    labels: Interactions
    cut: int
    end: int

    @classmethod
    def by_time(cls, log: Interactions, cut: int, days: float | None = None) -> Split:
        """Cut at a point of time; labels are what happened in the `days` after it (None: all that follows).

        Raises
        ------
        DataError: nothing lies before or after the cut.
        """
        end = log.end if days is None else min(log.end, cut + int(days * DAY))
        history, labels = log.between(None, cut), log.between(cut, end)
        labels = labels.where(np.isin(labels.event, LABEL_EVENTS))
        if not len(history) or not len(labels):
            raise DataError(
                f"the cut leaves {len(history):,} events before it and {len(labels):,} purchases after it; both must be there: move it"
            )
        return cls(history, labels, cut, end)

    @cached_property
    def known(self) -> np.ndarray:
        """Items sold (or seen) before the cut, bool (n_items,)."""
        known = np.zeros(self.history.n_items, dtype=bool)
        known[self.history.item] = True
        return known

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct (user row, item row) bought after the cut, sorted; int64 (m,) each. Cold items and new users included."""
        key = sorted_unique(self.labels.user.astype(np.int64) * self.labels.n_items + self.labels.item)
        return key // self.labels.n_items, key % self.labels.n_items

    @cached_property
    def users(self) -> np.ndarray:
        """User rows to judge on, sorted, int64 (b,): history before the cut, and a later purchase."""
        return np.intersect1d(sorted_unique(self.history.user), self.pairs[0]).astype(np.int64)

    def histories(self, users: np.ndarray) -> Histories:
        """What was known of these user rows at the cut."""
        return Histories.of_users(self.history, users, self.cut)
