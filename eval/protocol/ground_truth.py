"""What a split's users really did: whom to judge on, what was relevant to them, what they may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.user_items import UserItems
from features.data.split import LABEL_EVENTS
from features.errors import DataError

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from features.data.split import Split

ACTIVITY = ("light", "medium", "heavy")


@dataclass(frozen=True)
class GroundTruth:
    """The answers, by user of the evaluation.

    Attributes
    ----------
    split: where they come from. users: user rows of the log, int64 (b,).
    seen: what they had bought before the cut. bought: what they bought after it, cold items included.
    """

    split: Split
    users: np.ndarray
    seen: UserItems
    bought: UserItems

    @classmethod
    def of(cls, split: Split, max_users: int | None = None, seed: int = 0) -> GroundTruth:
        """All users of the split, or `max_users` of them drawn at random.

        Raises
        ------
        DataError: the split has no users to judge on.
        """
        users = split.users
        if not len(users):
            raise DataError("nobody with events before the cut buys after it: move the cut, or give a longer log")
        if max_users is not None and len(users) > max_users:
            users = np.sort(np.random.default_rng(seed).choice(users, max_users, replace=False))
        return cls(split, users, _purchases(split.history, users), _purchases(split.labels, users))

    @property
    def known(self) -> np.ndarray:
        """Items known before the cut, bool (n_items,)."""
        return self.split.known

    def relevant(self, name: str) -> UserItems:
        """Distinct items bought after the cut.

        'all': those known before it; of these 'repeat' or 'new': bought by that user before, or not; 'cold': not known before it;
        'unseen': not bought by that user before, known or not.
        """
        known = self.known[self.bought.item]
        before = self.seen.has(self.bought.user, self.bought.item)
        keep = {"all": known, "repeat": known & before, "new": known & ~before, "cold": ~known, "unseen": ~before}
        return self.bought.where(keep[name])

    def allowed(self, name: str, users: np.ndarray) -> np.ndarray:
        """What the list `name` of some users (c,) may hold, bool (n_items,) or (c, n_items).

        'all': items known before the cut; 'new': of these, what the user had not bought; 'cold' and 'unseen': everything that the user
        had not bought.
        """
        if name == "all":
            return self.known
        unseen = ~self.seen.mask(users)
        return unseen & self.known if name == "new" else unseen

    def activity(self) -> np.ndarray:
        """Third of the users by number of events before the cut: 0 light, 1 medium, 2 heavy; int64 (b,). Equal numbers share a third."""
        events = np.diff(self.split.history.offsets)[self.users]
        return np.searchsorted(np.quantile(events, [1 / 3, 2 / 3], method="inverted_cdf"), events)

    def buyers(self) -> tuple[np.ndarray, int]:
        """Distinct buyers of each item before the cut, int64 (n_items,), and how many users bought anything."""
        history = self.split.history
        pairs = _purchases(history, np.arange(history.n_users))
        return np.bincount(pairs.item, minlength=pairs.n_items), int((pairs.counts > 0).sum())


def _purchases(log: Interactions, users: np.ndarray) -> UserItems:
    """What user rows (b,), sorted, bought according to a log; users by their place in `users`."""
    place = np.full(log.n_users, -1, dtype=np.int64)
    place[users] = np.arange(len(users))
    mine = (place[log.user] >= 0) & np.isin(log.event, LABEL_EVENTS)
    return UserItems.of(place[log.user[mine]], log.item[mine], len(users), log.n_items)
