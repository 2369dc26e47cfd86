"""Places of ranked lists that new items get though their probability alone does not earn them.

What nobody has bought has a small probability, so without such places nobody would ever see it. They are drawn by a hash of the user
and the day: the same request gives the same list, and over users and days new items get the share that the shop has set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.names import ARRIVAL_SCORE
from features.storage.digests import unit_fraction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrieval.candidates import Candidates


def explored_places(keys: Sequence[str], k: int, share: float) -> np.ndarray:
    """Return how many of a list's k places go to new items, int64 (b,): `share` of all places, over many keys.

    Parameters
    ----------
    keys : of the lists, such as user and day: the same one draws the same number.
    """
    drawn = np.array([unit_fraction("places", key) for key in keys])
    return np.minimum(np.floor(share * k + drawn), k).astype(np.int64)


def explore_new_items(ranked: Candidates, k: int, share: float, drawn_by: tuple[Sequence[str], np.ndarray], depth: int = 0) -> Candidates:
    """Cut ranked candidates to the first k, the last places for new items that would not have made the list.

    Which of a user's new items is drawn by chance, in proportion to their probabilities, so that not one of them gets all the places.

    Parameters
    ----------
    ranked : best first; the feature `arrival` is the probability of new items near to the user's purchases, nan for all others.
    share : of all places; new items that make the list by themselves take such a place.
    drawn_by : keys of the lists, see `explored_places`, and external ids of the items (n_items,).
    depth : how many candidates to return; those behind the first k follow in their order.
    """
    (keys, ids), order = drawn_by, np.arange(k)
    order = np.tile(np.where(order < ranked.rows.shape[1], order, -1), (len(ranked.users), 1))
    arrival = ranked.features.get(ARRIVAL_SCORE, np.full(ranked.rows.shape, np.nan))
    some = np.flatnonzero(~np.isnan(arrival).all(axis=1)).tolist()
    for b, places in zip(some, explored_places([keys[b] for b in some], k, share), strict=True):
        new = np.sort(_drawn(arrival[b], ids[ranked.rows[b]], int(places), k, keys[b]))
        behind = new[new >= k]
        if len(behind):
            rest = np.setdiff1d(np.arange(k), new)[: k - len(new)]
            order[b] = np.concatenate([np.sort(np.concatenate([rest, new[new < k]])), behind])
    if depth > k:
        taken = np.zeros((len(order), max(ranked.rows.shape[1], 1)), dtype=bool)
        user, place = np.nonzero(order >= 0)
        taken[user, order[user, place]] = True
        order = np.concatenate([order, np.where(np.sort(taken), -1, np.argsort(taken, axis=1, kind="stable"))], axis=1)[:, :depth]
    return ranked.take(order)


def _drawn(arrival: np.ndarray, ids: np.ndarray, places: int, k: int, key: str) -> np.ndarray:
    """Return the candidates that get the places: those in the first k anyway, then a draw; fewer where there are fewer.

    ids : of the candidates, so that the draw does not depend on where they stand.
    """
    new = np.flatnonzero(~np.isnan(arrival))
    # Gumbel noise on the log: the largest are a draw in proportion to the probabilities, without replacement.
    noise = [-np.log(-np.log(max(unit_fraction("item", key, str(item)), 1e-12))) for item in ids[new].tolist()]
    score = np.where(new < k, np.inf, np.log(np.maximum(arrival[new], 1e-12)) + noise)
    return new[np.argsort(-score, kind="stable")[:places]]
