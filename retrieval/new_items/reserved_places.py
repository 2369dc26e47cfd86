"""Places of a list that are reserved for new items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.names import ARRIVAL_SCORE

if TYPE_CHECKING:
    from retrieval.candidates import Candidates


def reserve_places(ranked: Candidates, k: int, reserved: int, depth: int = 0) -> Candidates:
    """Cut ranked candidates to the first k, the last places for new items that would not have made the list.

    Parameters
    ----------
    ranked : best first; the feature `arrival` is a number for new items near to the user's purchases, nan for all others.
    reserved : at most this many places; new items that make the list by themselves count and keep their places.
    depth : how many candidates to return; those behind the first k follow in their order.
    """
    order = np.arange(k)
    order = np.tile(np.where(order < ranked.rows.shape[1], order, -1), (len(ranked.users), 1))
    arrival = ranked.features.get(ARRIVAL_SCORE, np.full(ranked.rows.shape, np.nan))
    for b in np.flatnonzero(~np.isnan(arrival).all(axis=1)):
        new = np.argsort(-arrival[b], kind="stable")[: min(k, reserved)]  # nan sorts last
        new = np.sort(new[~np.isnan(arrival[b, new])])
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
