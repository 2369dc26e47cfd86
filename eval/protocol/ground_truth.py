"""The ground truth of a split: its users, what was relevant to them, and what their lists may hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.user_items import UserItems
from features.behavior.item_stats import FEW_BUYERS
from features.data.split import LABEL_EVENTS
from features.errors import DataError

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from features.data.split import Split

ACTIVITY = ("light", "medium", "heavy")


@dataclass(frozen=True)
class GroundTruth:
    """What the users of the evaluation bought before and after the cut.

    Attributes
    ----------
    split : the split it comes from
    users : int64 (b,), user rows of the log
    seen : what they had bought before the cut
    bought : what they bought after it, cold items included
    """

    split: Split
    users: np.ndarray
    seen: UserItems
    bought: UserItems

    @classmethod
    def of(cls, split: Split, max_users: int | None = None, seed: int = 0) -> GroundTruth:
        """Make the ground truth of all users of the split, or of `max_users` of them drawn at random.

        Raises
        ------
        DataError
            The split has no users to evaluate.
        """
        users = split.users
        if not len(users):
            raise DataError("nobody with events before the cut buys after it: move the cut, or give a longer log")
        if max_users is not None and len(users) > max_users:
            users = np.sort(np.random.default_rng(seed).choice(users, max_users, replace=False))
        return cls.over(split, users)

    @classmethod
    def over(cls, split: Split, users: np.ndarray) -> GroundTruth:
        """Make the ground truth of given user rows, sorted."""
        return cls(split, users, _purchases(split.history, users), _purchases(split.labels, users))

    @property
    def known(self) -> np.ndarray:
        """Items known before the cut, bool (n_items,)."""
        return self.split.known

    @cached_property
    def few(self) -> np.ndarray:
        """Known items with fewer than `FEW_BUYERS` buyers before the cut, bool (n_items,)."""
        return self.known & (self.buyers()[0] < FEW_BUYERS)

    def relevant(self, name: str) -> UserItems:
        """Return the distinct items bought after the cut that are relevant in a list or slice.

        Parameters
        ----------
        name : which of them:

            - "all": those known before the cut
            - "repeat": those known before the cut that the user had bought before it
            - "new": those known before the cut that the user had not bought before it
            - "few": those known before the cut with few buyers before it, that the user had not bought
            - "cold": those not known before the cut
            - "unseen": those that the user had not bought before the cut, known or not
        """
        known = self.known[self.bought.item]
        before = self.seen.has(self.bought.user, self.bought.item)
        keep = {"all": known, "repeat": known & before, "new": known & ~before, "cold": ~known, "unseen": ~before}
        keep["few"] = self.few[self.bought.item] & ~before
        return self.bought.where(keep[name])

    def allowed(self, name: str, users: np.ndarray) -> np.ndarray:
        """Return what the list `name` of some users may hold.

        Parameters
        ----------
        name : "all": items known before the cut; "new": those of them that the user had not bought; "few": those of
            these with few buyers; "cold" and "unseen": every item that the user had not bought
        users : int (c,), places in `self.users`

        Returns
        -------
        bool (n_items,) for "all", else bool (c, n_items)
        """
        if name == "all":
            return self.known
        unseen = ~self.seen.mask(users)
        return unseen & {"new": self.known, "few": self.few}.get(name, True)

    def activity(self) -> np.ndarray:
        """Return the third of each user by number of events before the cut: 0 light, 1 medium, 2 heavy.

        Users with equal numbers share a third.

        Returns
        -------
        int64 (b,)
        """
        events = np.diff(self.split.history.offsets)[self.users]
        return np.searchsorted(np.quantile(events, [1 / 3, 2 / 3], method="inverted_cdf"), events)

    def buyers(self) -> tuple[np.ndarray, int]:
        """Return the distinct buyers of each item before the cut, int64 (n_items,), and the number of all buyers."""
        history = self.split.history
        pairs = _purchases(history, np.arange(history.n_users))
        return np.bincount(pairs.item, minlength=pairs.n_items), int((pairs.counts > 0).sum())


def _purchases(log: Interactions, users: np.ndarray) -> UserItems:
    """Return what user rows (b,), sorted, bought according to a log; users by their place in `users`."""
    place = np.full(log.n_users, -1, dtype=np.int64)
    place[users] = np.arange(len(users))
    bought = np.flatnonzero(np.isin(log.event, LABEL_EVENTS))  # first: nearly all events of a long log are views
    user = place[log.user[bought]]
    return UserItems.of(user[user >= 0], log.item[bought[user >= 0]], len(users), log.n_items)
