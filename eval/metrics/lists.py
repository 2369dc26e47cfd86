"""How good lists of items are: one number a user, so that means, slices and intervals follow from the same arrays.

What holds for all of them:

- `rows` is int (b, k'), catalogue rows best first, padded with -1; its order is taken as it is. Ties are settled before, where the lists
  are made, and never by looking at the labels: `retrieval.topk.top_k` gives them to the lower row, `Candidates.ranked` keeps the order
  that the stage before had found and puts scores of nan last, baselines prefer the item with more buyers before the cut. So a scorer that
  gives every item the same score gets a list that knows nothing of the user, and earns what such a list earns.
- Padding never counts, and an item that stands twice counts at its first place only.
- Users without a relevant item get nan: means leave them out.
- A list shorter than k is not made easier: every formula divides by what was asked for, or by what was relevant.

docs/metrics.md has them all with worked examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from eval.metrics.user_items import UserItems

# Users whose vectors are held at once by `diversity`.
_BLOCK = 1024


def _per_user(values: np.ndarray, relevant: UserItems) -> np.ndarray:
    return np.where(relevant.counts > 0, values, np.nan)


def recall(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """Share of the relevant items found in the first k places, float (b,).

    |top k and relevant| / |relevant|: with more than k relevant items even the best list stays below 1.
    Manning, Raghavan, Schuetze (2008), Introduction to Information Retrieval, section 8.3.
    """
    return _per_user(relevant.hits(rows[:, :k]).sum(axis=1) / np.maximum(relevant.counts, 1), relevant)


def hit_rate(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """1 where at least one of the first k items is relevant, else 0; float (b,). Deshpande and Karypis (2004), ACM TOIS 22(1)."""
    return _per_user(relevant.hits(rows[:, :k]).any(axis=1).astype(float), relevant)


def ndcg(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """Normalised discounted cumulative gain with binary relevance, float (b,).

    DCG = sum over hits at rank i <= k of 1 / log2(i + 1); divided by the DCG of the best list of k, which has
    min(k, |relevant|) hits at its head. Jarvelin and Kekalainen (2002), ACM TOIS 20(4).
    """
    hits = relevant.hits(rows[:, :k])
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[1.0], np.cumsum(discounts)])  # the first is never used: no relevant item, no figure
    gained = (hits * discounts[: hits.shape[1]]).sum(axis=1)
    return _per_user(gained / ideal[np.minimum(relevant.counts, k)], relevant)


def mrr(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """One over the rank of the first relevant item, 0 where none is in the first k places; float (b,). Voorhees (1999), TREC-8."""
    hits = relevant.hits(rows[:, :k])
    ranks = np.arange(1, hits.shape[1] + 1)
    return _per_user((hits / ranks).max(axis=1, initial=0.0), relevant)


def average_precision(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """Mean over the relevant items of the precision at their ranks, float (b,); its mean over users is MAP@k.

    Sum over hits at rank i <= k of (hits in the first i) / i, divided by min(k, |relevant|), so that a perfect list earns 1.
    trec_eval divides by |relevant| instead. Manning, Raghavan, Schuetze (2008), section 8.4; the cut as at the ACM RecSys challenges.
    """
    hits = relevant.hits(rows[:, :k])
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _per_user((hits * precision).sum(axis=1) / np.clip(relevant.counts, 1, k), relevant)


def coverage(rows: np.ndarray, k: int, n_items: int) -> float:
    """Share of the `n_items` that could be shown that stand in the first k places of somebody's list.

    Ge, Delgado-Battenfeld, Jannach (2010), RecSys. It is a figure of all lists together, so it has no interval over users, and it grows
    with the number of users: compare systems on the same ones.
    """
    shown = sorted_unique(rows[:, :k])
    return float((shown >= 0).sum() / n_items) if n_items else float("nan")


def novelty(rows: np.ndarray, buyers: np.ndarray, n_buyers: int, k: int) -> np.ndarray:
    """Mean self-information of the first k items, in bits, float (b,): -log2 of the share of users who had bought the item before the cut.

    Parameters
    ----------
    buyers: distinct buyers of each item, int (n_items,). n_buyers: all users with a purchase.

    An item that nobody bought counts as bought by one, or it would be infinitely new. Empty lists get nan. Castells, Hurley, Vargas (2015),
    Recommender Systems Handbook, chapter 26.
    """
    top = rows[:, :k]
    bits = np.log2(max(n_buyers, 1) / np.maximum(buyers, 1))
    held = top >= 0
    total = np.where(held, bits[np.maximum(top, 0)], 0).sum(axis=1)
    return np.where(held.any(axis=1), total / np.maximum(held.sum(axis=1), 1), np.nan)


def diversity(rows: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    """One minus the mean cosine between any two of the first k items, float (b,); nan for lists of fewer than two.

    Parameters
    ----------
    vectors: float (n_items, dim), of any length; an item with a vector of zeros is at right angles to all others.

    Intra-list distance: Zhang and Hurley (2008), RecSys. The sum over pairs follows from the length of the sum of the unit vectors.
    """
    out = np.full(len(rows), np.nan)
    for begin in range(0, len(rows), _BLOCK):
        top = rows[begin : begin + _BLOCK, :k]
        unit = vectors[np.maximum(top, 0)].astype(np.float64)  # (block, k, dim)
        norms = np.linalg.norm(unit, axis=2, keepdims=True)
        unit = np.where((norms > 0) & (top >= 0)[:, :, None], unit / np.where(norms > 0, norms, 1), 0)
        squares = (unit**2).sum(axis=(1, 2))
        m = (top >= 0).sum(axis=1)
        cosines = ((unit.sum(axis=1) ** 2).sum(axis=1) - squares) / np.maximum(m * (m - 1), 1)
        out[begin : begin + _BLOCK] = np.where(m > 1, 1 - cosines, np.nan)
    return out
