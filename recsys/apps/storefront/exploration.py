"""Shows some answers with their lower places drawn by chance, and says how probable each item was at its place.

Without chance a log cannot say what other lists would have earned. A share of the answers (epsilon) has its lower places filled with a
random order of the items that stood there and the next ones; the others stay as they are. So the probability of an item at a place is
exact, over all answers, which the off-policy estimators need with `--slates independent`. Thompson sampling has no such closed form.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

KEPT = 0.5  # share of a list's places, from the top, that are never drawn
POOL = 2  # items that are drawn from, as a multiple of the places that are drawn


@dataclass(frozen=True)
class Explored:
    """A list as it is shown.

    Attributes
    ----------
    order : int64 (k,), places in the ranked list.
    propensity : float64 (k,), the probability that this item is shown there, above 0.
    reach : how many of the ranked items may be shown, from the best one on.
    """

    order: np.ndarray
    propensity: np.ndarray
    reach: int


def explore(ranked: int, k: int, share: float, key: str, kept: int | None = None) -> Explored:
    """Choose k of the ranked items for one answer.

    Parameters
    ----------
    ranked : how many items there are, best first. Only the first k count where nothing is drawn.
    share : of the answers that are drawn; 0 shows the best k.
    key : of the answer, such as its impression_id: the same one draws the same list.
    kept : places from the top that are never drawn; None keeps half.
    """
    k = min(k, ranked)
    kept = min(k, int(np.ceil(KEPT * k)) if kept is None else kept)
    drawn_places = k - kept
    pool = min(ranked - kept, POOL * drawn_places)
    order, propensity = np.arange(k), np.ones(k)
    if share <= 0 or pool < 2:  # there is nothing to draw from
        return Explored(order, propensity, k)
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    if rng.random() < share:
        order[kept:] = kept + rng.permutation(pool)[:drawn_places]
    usual = order == np.arange(k)
    propensity[kept:] = (share / pool + (1 - share) * usual)[kept:]
    return Explored(order, propensity, kept + pool)


def place_probabilities(ranked: int, k: int, share: float, kept: int | None = None) -> np.ndarray:
    """Return the probability of each ranked item at each place, float64 (k, ranked): the logging policy in full."""
    k = min(k, ranked)
    kept = min(k, int(np.ceil(KEPT * k)) if kept is None else kept)
    pool = min(ranked - kept, POOL * (k - kept))
    out = np.zeros((k, ranked))
    out[np.arange(k), np.arange(k)] = 1.0
    if share > 0 and pool >= 2:
        out[kept:] *= 1 - share
        out[kept:, kept : kept + pool] += share / pool
    return out
