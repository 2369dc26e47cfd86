"""Sets of (user, item) pairs, such as the relevant items of each user."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.storage.sorted_unique import sorted_unique

FEW = 16  # relevant items a user, up to which lists are compared with each item in turn
BLOCK = 2048  # users whose lists fit into the CPU's cache


@dataclass(frozen=True)
class UserItems:
    """Distinct pairs of a user of the evaluation and a catalogue row, sorted by user, then item.

    Attributes
    ----------
    user : int64 (m,), 0 <= user < n_users
    item : int64 (m,), 0 <= item < n_items
    n_users, n_items : how many there are of each, in a pair or not
    """

    user: np.ndarray
    item: np.ndarray
    n_users: int
    n_items: int

    @classmethod
    def of(cls, user: np.ndarray, item: np.ndarray, n_users: int, n_items: int) -> UserItems:
        """Make the set from pairs in any order, repeated or not.

        Raises
        ------
        ValueError
            A user or an item is out of range.
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
    def _columns(self) -> np.ndarray:
        """Each user's first item, second, and so on, int64 (most, n_users).

        -2, which no list holds, where a user has fewer.
        """
        out = np.full((int(self.counts.max(initial=0)), self.n_users), -2, dtype=np.int64)
        begin = np.cumsum(self.counts) - self.counts
        out[np.arange(len(self.user)) - begin[self.user], self.user] = self.item
        return out

    def where(self, keep: np.ndarray) -> UserItems:
        """Return the pairs where `keep`, bool (m,), is true."""
        return UserItems(self.user[keep], self.item[keep], self.n_users, self.n_items)

    def has(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Return whether pairs are in the set, bool of the arrays' common shape; False for an item of -1."""
        keys = user * np.int64(self.n_items) + item
        if not len(self.keys):
            return np.zeros(keys.shape, dtype=bool)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return (self.keys[place] == keys) & (item >= 0)

    def hits(self, rows: np.ndarray) -> np.ndarray:
        """Return which places of the users' lists hold a pair of the set.

        Padding (-1) never counts. An item that stands twice in a list counts at its first place only.

        Parameters
        ----------
        rows : int (n_users, k)

        Returns
        -------
        bool (n_users, k)

        Raises
        ------
        ValueError
            There is not one list a user.
        """
        if len(rows) != self.n_users:
            raise ValueError(f"{len(rows)} lists for {self.n_users} users: expected one list a user")
        most = int(self.counts.max(initial=0))
        if most <= FEW:
            hits = np.zeros(rows.shape, dtype=bool)
            for begin in range(0, len(rows), BLOCK):
                part = slice(begin, begin + BLOCK)
                lists = np.ascontiguousarray(rows[part].T)  # (k, block): users side by side, compared many at once
                found = np.zeros(lists.shape, dtype=bool)
                for item in self._columns[:, part]:
                    found |= lists == item
                hits[part] = found.T
        else:
            hits = self.has(np.arange(self.n_users)[:, None], rows)
        user, place = np.nonzero(hits)
        # Few places hit, and only among them can an item stand twice.
        _, first = np.unique(user * np.int64(self.n_items) + rows[user, place], return_index=True)
        hits[:] = False
        hits[user[first], place[first]] = True
        return hits

    def mask(self, users: np.ndarray) -> np.ndarray:
        """Return the membership of every item for some users, bool (len(users), n_items)."""
        mask = np.zeros((len(users), self.n_items), dtype=bool)
        begin, end = np.searchsorted(self.user, users), np.searchsorted(self.user, users, side="right")
        for i, (b, e) in enumerate(zip(begin, end, strict=True)):
            mask[i, self.item[b:e]] = True
        return mask
