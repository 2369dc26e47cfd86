"""Diversification of ranked lists by maximal marginal relevance (Carbonell & Goldstein 1998)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrieval.candidates import Candidates

# Users at once: (64, 200 candidates, 128) float32 is 6.5 MB.
BATCH = 64


def diversify(candidates: Candidates, vectors_of: Callable[[np.ndarray], np.ndarray], diversity: float, k: int) -> Candidates:
    """Select k candidates greedily, each with the best (1 - diversity) * relevance - diversity * nearness.

    Relevance is NDCG's discount of an item's place in `candidates`, 1 / log2(1 + place), so the scale of the scores
    does not matter. Nearness is the cosine to the nearest item already selected, at least 0.

    Parameters
    ----------
    vectors_of : maps catalogue rows (b, m) to unit vectors, float32 (b, m, dim); not called if the order stays.
    diversity : 0 keeps the order; with 1, only nearness counts after the first item.

    Returns
    -------
    selected : the candidates with their scores, which need not descend along the list.

    Raises
    ------
    ConfigError
        If diversity is not within 0..1.
    """
    if not 0 <= diversity <= 1:
        raise ConfigError(f"diversity is {diversity}, expected a number from 0 (the order stays) to 1 (most different): correct it")
    k = min(k, candidates.rows.shape[1])
    if diversity == 0 or k == 0:
        return candidates.take(np.broadcast_to(np.arange(k), (len(candidates.users), k)))
    parts = [_select(candidates.rows[i : i + BATCH], vectors_of, diversity, k) for i in range(0, len(candidates.users), BATCH)]
    return candidates.take(np.concatenate([np.empty((0, k), dtype=np.int64), *parts]))


def _select(rows: np.ndarray, vectors_of: Callable[[np.ndarray], np.ndarray], diversity: float, k: int) -> np.ndarray:
    """Return the selected places of `rows` (b, m) in order, int64 (b, k); -1 where no item is left."""
    b, m = rows.shape
    vectors = vectors_of(np.maximum(rows, 0))  # (b, m, dim)
    relevance = 1 / np.log2(np.arange(m) + 2)
    open_places = rows >= 0
    nearness = np.zeros((b, m))
    order = np.full((b, k), -1, dtype=np.int64)
    each = np.arange(b)
    for place in range(k):
        gain = np.where(open_places, (1 - diversity) * relevance - diversity * nearness, -np.inf)
        best = gain.argmax(axis=1)  # of equals the first, which ranks higher
        left = open_places.any(axis=1)
        order[left, place] = best[left]
        open_places[each, best] = False
        nearness = np.maximum(nearness, np.einsum("bmd,bd->bm", vectors, vectors[each, best]))
    return order
