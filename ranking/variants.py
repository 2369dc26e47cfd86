"""At most n variants of a product in a list: the best of them stay, and items of other products take the places of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.histories import Histories

    # Retrieves for some users among allowed items, bool (b, n_items).
    Retrieve = Callable[[Histories, np.ndarray], Candidates]


def limit(candidates: Candidates, groups: np.ndarray | None, most: int) -> Candidates:
    """Keep the first `most` items of each group in every list, in their order.

    Parameters
    ----------
    groups : code of each item's group, int (n_items,); None: no group has two items.
    """
    if groups is None or not candidates.rows.size:
        return candidates
    keep = within_limit(candidates.rows, groups, most)
    if (keep | ~candidates.valid).all():
        return candidates
    order = np.argsort(~keep, axis=1, kind="stable")
    return candidates.take(np.where(np.take_along_axis(keep, order, axis=1), order, -1))


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


def fill(
    found: Candidates, groups: np.ndarray, popularity: np.ndarray, allowed: np.ndarray, again: Retrieve, size: tuple[int, int]
) -> Candidates:
    """Return the lists with further groups, where the limit would leave fewer than k items: a second retrieval fills them.

    The second one searches among the most popular items of each group that the list does not hold, so variants cannot crowd it.

    Parameters
    ----------
    allowed : bool (n_items,) or (b, n_items).
    size : k, and how many of a group a list may hold.
    """
    k, most = size
    kept = within_limit(found.rows, groups, most)
    short = np.flatnonzero((kept.sum(axis=1) < k) & (kept.sum(axis=1) < found.valid.sum(axis=1)))
    if not len(short):
        return found
    mask = representatives(groups, popularity, allowed if allowed.ndim == 1 else allowed[short], most)
    mask = np.broadcast_to(mask, (len(short), len(groups))).copy()
    for place, user in enumerate(short.tolist()):
        mask[place] &= ~np.isin(groups, groups[found.rows[user][found.valid[user]]])
    more = again(found.users.take(short), mask)
    return _joined(found, more, short)


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
