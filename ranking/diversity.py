"""A list of different things: maximal marginal relevance with a dial (Carbonell & Goldstein 1998)."""

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
    """The k places filled one after another by the item with the best (1 - diversity) * relevance - diversity * nearness.

    Relevance is what NDCG gives an item's place in `candidates`, 1 / log2(1 + place): 1 at the top, whatever scale the scores have.
    Nearness is the cosine to the nearest item already chosen, at least 0. With 0 the order stays; with 1 the first item leads and
    only difference counts after it. Items keep their scores, which therefore need not fall along the list.

    vectors_of: catalogue rows (b, m) -> float32 (b, m, dim), unit norm; asked for candidates alone, and for none where the order stays.

    Raises
    ------
    ConfigError: diversity is not within 0..1.
    """
    if not 0 <= diversity <= 1:
        raise ConfigError(f"diversity is {diversity}, expected a number from 0 (the order stays) to 1 (most different): correct it")
    k = min(k, candidates.rows.shape[1])
    if diversity == 0 or k == 0:
        return candidates.take(np.broadcast_to(np.arange(k), (len(candidates.users), k)))
    parts = [_chosen(candidates.rows[i : i + BATCH], vectors_of, diversity, k) for i in range(0, len(candidates.users), BATCH)]
    return candidates.take(np.concatenate([np.empty((0, k), dtype=np.int64), *parts]))


def _chosen(rows: np.ndarray, vectors_of: Callable[[np.ndarray], np.ndarray], diversity: float, k: int) -> np.ndarray:
    """Places of `rows` (b, m) in the order chosen, int64 (b, k), -1 where no item is left."""
    b, m = rows.shape
    held = vectors_of(np.maximum(rows, 0))  # (b, m, dim)
    relevance = 1 / np.log2(np.arange(m) + 2)
    open_places = rows >= 0
    nearness = np.zeros((b, m))
    order = np.full((b, k), -1, dtype=np.int64)
    each = np.arange(b)
    for place in range(k):
        gain = np.where(open_places, (1 - diversity) * relevance - diversity * nearness, -np.inf)
        best = gain.argmax(axis=1)  # the first of equals, so the better ranked
        left = open_places.any(axis=1)
        order[left, place] = best[left]
        open_places[each, best] = False
        nearness = np.maximum(nearness, np.einsum("bmd,bd->bm", held, held[each, best]))
    return order
