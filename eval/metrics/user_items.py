"""Sets of (user, item) pairs: what was relevant, what was bought before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.storage.sorted_unique import sorted_unique

FEW = 16  # items a user
BLOCK = 2048  # users whose lists a cache holds


@dataclass(frozen=True)
class UserItems:
    """Distinct pairs of a user of the evaluation (0 <= user < n_users) and a catalogue row, sorted by user, then item.

    Attributes
    ----------
    user, item: int64 (m,). n_users, n_items: how many there are of each, in a pair or not.
    """

    user: np.ndarray
    item: np.ndarray
    n_users: int
    n_items: int

    @classmethod
    def of(cls, user: np.ndarray, item: np.ndarray, n_users: int, n_items: int) -> UserItems:
        """From pairs in any order, repeated or not.

        Raises
        ------
        ValueError: a user or an item is out of range.
        """
        for name, values, limit in (("user", user, n_users), ("item", item, n_items)):
            if len(values) and (values.min() < 0 or values.max() >= limit):
                raise ValueError(f"{name} rows run from {values.min()} to {values.max()}, expected 0 to {limit - 1}")
        keys = sorted_unique(user.astype(np.int64) * n_items + item)
        return cls(keys // max(n_items, 1), keys % max(n_items, 1), n_users, n_items)

    @cached_property
    def keys(self) -> np.ndarray:
        """One sorted number a pair, int64 (m,)."""
        return self.user * self.n_items + self.item

    @cached_property
    def counts(self) -> np.ndarray:
        """Items of each user, int64 (n_users,)."""
        return np.bincount(self.user, minlength=self.n_users)

    @cached_property
    def _in_turn(self) -> np.ndarray:
        """Each user's first item, second, and so on, int64 (most, n_users); -2 where a user has fewer: no list holds that."""
        out = np.full((int(self.counts.max(initial=0)), self.n_users), -2, dtype=np.int64)
        begin = np.cumsum(self.counts) - self.counts
        out[np.arange(len(self.user)) - begin[self.user], self.user] = self.item
        return out

    def where(self, keep: np.ndarray) -> UserItems:
        """The pairs where `keep` (m,) is true."""
        return UserItems(self.user[keep], self.item[keep], self.n_users, self.n_items)

    def has(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Whether pairs are in the set, bool of the arrays' common shape; False for an item of -1."""
        keys = user * np.int64(self.n_items) + item
        if not len(self.keys):
            return np.zeros(keys.shape, dtype=bool)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return (self.keys[place] == keys) & (item >= 0)

    def hits(self, rows: np.ndarray) -> np.ndarray:
        """Which places of the users' lists, int (n_users, k), hold a pair of the set; bool (n_users, k).

        Padding (-1) never counts; an item that stands twice in a list counts at its first place only.
        """
        if len(rows) != self.n_users:
            raise ValueError(f"{len(rows)} lists for {self.n_users} users: expected one a user")
        most = int(self.counts.max(initial=0))
        if most <= FEW:
            hits = np.zeros(rows.shape, dtype=bool)
            for begin in range(0, len(rows), BLOCK):
                part = slice(begin, begin + BLOCK)
                lists = np.ascontiguousarray(rows[part].T)  # (k, block): users side by side, so that many are compared at once
                found = np.zeros(lists.shape, dtype=bool)
                for item in self._in_turn[:, part]:
                    found |= lists == item
                hits[part] = found.T
        else:
            hits = self.has(np.arange(self.n_users)[:, None], rows)
        user, place = np.nonzero(hits)
        # Few places hit: only among them can one be a second one.
        _, first = np.unique(user * np.int64(self.n_items) + rows[user, place], return_index=True)
        hits[:] = False
        hits[user[first], place[first]] = True
        return hits

    def mask(self, users: np.ndarray) -> np.ndarray:
        """Membership of every item for some users, bool (len(users), n_items)."""
        mask = np.zeros((len(users), self.n_items), dtype=bool)
        begin, end = np.searchsorted(self.user, users), np.searchsorted(self.user, users, side="right")
        for i, (b, e) in enumerate(zip(begin, end, strict=True)):
            mask[i, self.item[b:e]] = True
        return mask
