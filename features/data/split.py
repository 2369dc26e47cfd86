"""A log split by time into a history to learn from and labels to predict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.data.interactions import DAY, LABEL_EVENTS
from features.errors import DataError
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from features.data.interactions import Interactions


@dataclass(frozen=True)
class Split:
    """History before `cut` and labels in [cut, end), in seconds since the epoch."""

    history: Interactions
    labels: Interactions
    cut: int
    end: int

    @classmethod
    def by_time(cls, log: Interactions, cut: int, days: float | None = None, until: int | None = None) -> Split:
        """Split a log at `cut`; the labels are the purchases in the `days` after it (None: all later purchases).

        Parameters
        ----------
        until : leaves out what lies at or after this time, as if the log ended there; seconds since the epoch.

        Raises
        ------
        DataError
            If no event lies before the cut, or no purchase after it.
        """
        last = log.end_before(until)
        end = last if days is None else min(last, cut + int(days * DAY))
        history, labels = log.between(None, min(cut, last)), log.between(cut, end)
        labels = labels.where(np.isin(labels.event, LABEL_EVENTS))
        if not len(history) or not len(labels):
            raise DataError(
                f"the cut leaves {len(history):,} events before it and {len(labels):,} purchases after it, expected both: move it"
            )
        return cls(history, labels, cut, end)

    @cached_property
    def known(self) -> np.ndarray:
        """Whether each item has an event before the cut, bool (n_items,)."""
        known = np.zeros(self.history.n_items, dtype=bool)
        known[self.history.item] = True
        return known

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct (user row, item row) pairs bought after the cut, sorted, int64 (m,) each.

        Cold items and new users are included.
        """
        key = sorted_unique(self.labels.user.astype(np.int64) * self.labels.n_items + self.labels.item)
        return key // self.labels.n_items, key % self.labels.n_items

    @cached_property
    def users(self) -> np.ndarray:
        """User rows to evaluate, sorted, int64 (b,): those with history before the cut and a purchase after it."""
        return np.intersect1d(sorted_unique(self.history.user), self.pairs[0]).astype(np.int64)

    def histories(self, users: np.ndarray) -> Histories:
        """Return the histories of user rows at the cut."""
        return Histories.of_users(self.history, users, self.cut)
