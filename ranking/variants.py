"""At most n variants of a product in a list: the best of them stay, and items of other products take the places of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from features.data.histories import Histories
from retrieval.candidates import Candidates

# Retrieves for some users among the allowed items, bool (n_items,) or (b, n_items); None allows all.
Retrieve = Callable[[Histories, np.ndarray | None], Candidates]


@dataclass(frozen=True)
class GroupLimit:
    """The limit of a request.

    Attributes
    ----------
    groups : code of each item's group, int (n_items,); None: no group has two items, and nothing is limited.
    popularity : of the items, float (n_items,).
    most : how many items of a group a list may hold.
    """

    groups: np.ndarray | None
    popularity: np.ndarray
    most: int

    def keep(self, candidates: Candidates) -> Candidates:
        """Keep the first `most` items of each group in every list, in their order."""
        if self.groups is None or not candidates.rows.size:
            return candidates
        keep = within_limit(candidates.rows, self.groups, self.most)
        if (keep | ~candidates.valid).all():
            return candidates
        order = np.argsort(~keep, axis=1, kind="stable")
        return candidates.take(np.where(np.take_along_axis(keep, order, axis=1), order, -1))

    def best_of_groups(self, scores: np.ndarray, allowed: np.ndarray | None) -> np.ndarray | None:
        """Return the allowed items that a list may hold if it is ordered by a score of items alone."""
        return allowed if self.groups is None else representatives(self.groups, scores, self._mask(allowed), self.most)

    def retrieve(self, source: Retrieve, users: Histories, k: int, allowed: np.ndarray | None) -> Candidates:
        """Retrieve lists from which the limit leaves k items, as far as the allowed items have so many groups.

        A list that variants crowd gets a second retrieval among the most popular items of each group that it does not hold.
        """
        found = source(users, allowed)
        if self.groups is None:
            return found
        kept = within_limit(found.rows, self.groups, self.most).sum(axis=1)
        short = np.flatnonzero((kept < k) & (kept < found.valid.sum(axis=1)))
        if not len(short):
            return found
        mask = self._mask(allowed)
        mask = representatives(self.groups, self.popularity, mask if mask.ndim == 1 else mask[short], self.most)
        mask = np.broadcast_to(mask, (len(short), len(self.groups))).copy()
        for place, user in enumerate(short.tolist()):
            mask[place] &= ~np.isin(self.groups, self.groups[found.rows[user][found.valid[user]]])
        return _joined(found, source(users.take(short), mask), short)

    def _mask(self, allowed: np.ndarray | None) -> np.ndarray:
        return np.ones(len(self.popularity), dtype=bool) if allowed is None else allowed


def bar_products(mask: np.ndarray, groups: np.ndarray | None, rows: Sequence[int]) -> None:
    """Take items and their variants out of a mask, bool (n_items,), in place."""
    mask[list(rows)] = False
    if groups is not None and len(rows):
        mask[np.isin(groups, groups[list(rows)])] = False


def within_limit(rows: np.ndarray, groups: np.ndarray, most: int) -> np.ndarray:
    """Return which items of the lists (b, k), best first, are among the first `most` of their group, bool (b, k)."""
    codes = np.where(rows >= 0, groups[np.maximum(rows, 0)], -1)
    order = np.argsort(codes, axis=1, kind="stable")
    by_code = np.take_along_axis(codes, order, axis=1)
    place = np.arange(rows.shape[1])
    starts = np.ones(rows.shape, dtype=bool)
    starts[:, 1:] = by_code[:, 1:] != by_code[:, :-1]
    nth = place - np.maximum.accumulate(np.where(starts, place, 0), axis=1)  # of its group, from 0
    keep = np.empty(rows.shape, dtype=bool)
    np.put_along_axis(keep, order, nth < most, axis=1)
    return keep & (rows >= 0)


def representatives(groups: np.ndarray, scores: np.ndarray, allowed: np.ndarray, most: int) -> np.ndarray:
    """Return the `most` best allowed items of each group, bool of the shape of `allowed`.

    Parameters
    ----------
    scores : of the items, float (n_items,); of equals the first counts.
    allowed : bool (n_items,) or (b, n_items).
    """
    order = np.lexsort((-scores, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-2))
    some = allowed[..., order]
    count = some.cumsum(axis=-1)
    before = np.repeat(count[..., starts] - some[..., starts], np.diff(starts, append=len(groups)), axis=-1)
    best = np.empty_like(allowed)
    best[..., order] = some & (count - before <= most)
    return best


def _joined(found: Candidates, more: Candidates, users: np.ndarray) -> Candidates:
    """Return the lists, those of some users with more items, best first."""

    def put(column: np.ndarray, added: np.ndarray, padding: float) -> np.ndarray:
        wide = np.full((len(found.users), added.shape[1]), padding, dtype=column.dtype)
        wide[users] = added
        return np.concatenate([column, wide], axis=1)

    empty = np.full(more.rows.shape, np.nan, dtype=np.float32)
    features = {name: put(column, more.features.get(name, empty), np.nan) for name, column in found.features.items()}
    scores = put(found.scores, more.scores, -np.inf)
    joined = Candidates(found.users, put(found.rows, more.rows, -1), scores, features)
    return joined.ranked(scores)
