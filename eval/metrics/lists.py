"""Metrics of recommendation lists: one number a user, so that means, slices and intervals follow from the same arrays.

Rules that hold for all of them:

- `rows` is int (b, k'): catalogue rows, best first, padded with -1. Its order is taken as it is.
- Ties are settled where the lists are made, without a look at the labels: `retrieval.topk.top_k` prefers the lower row,
  `Candidates.ranked` keeps the order of the stage before and puts scores of nan last, and baselines prefer the item
  with more buyers before the cut. A scorer that gives every item the same score gets the list of such a rule and no
  more.
- Truncation: only the first k places count. A list shorter than k is not made easier: every formula divides by k or by
  the number of relevant items.
- Padding never counts. An item that stands twice counts at its first place only.
- A user without a relevant item gets nan; means over users leave nan out.

docs/metrics.md has all of them with worked examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from eval.metrics.user_items import UserItems

# Users whose vectors `diversity` holds at once.
_BLOCK = 1024


def _per_user(values: np.ndarray, relevant: UserItems) -> np.ndarray:
    """Return the values, nan where a user has no relevant item."""
    return np.where(relevant.counts > 0, values, np.nan)


def recall(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """Return recall@k, the share of the relevant items that stand in the first k places.

    recall@k = |top k and relevant| / |relevant|. With more than k relevant items even the best list stays below 1.

    Parameters
    ----------
    rows : int (b, k'), catalogue rows, best first, padded with -1
    relevant : the relevant items of the same b users

    Returns
    -------
    float (b,), 0 to min(k, |relevant|) / |relevant|; nan for users without a relevant item

    References
    ----------
    Manning, Raghavan, Schuetze (2008), Introduction to Information Retrieval, section 8.3.
    """
    return _per_user(relevant.hits(rows[:, :k]).sum(axis=1) / np.maximum(relevant.counts, 1), relevant)


def hit_rate(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """Return the hit rate: 1 where at least one of the first k items is relevant, else 0.

    Returns
    -------
    float (b,); nan for users without a relevant item

    References
    ----------
    Deshpande and Karypis (2004), ACM TOIS 22(1).
    """
    return _per_user(relevant.hits(rows[:, :k]).any(axis=1).astype(float), relevant)


def ndcg(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """Return the normalised discounted cumulative gain with binary relevance.

    DCG@k = sum over hits at rank i <= k of 1 / log2(i + 1). NDCG@k = DCG@k / IDCG@k, where IDCG@k is the DCG of the
    best list of k, which has min(k, |relevant|) hits at its head.

    Returns
    -------
    float (b,), 0 to 1; nan for users without a relevant item

    References
    ----------
    Jarvelin and Kekalainen (2002), ACM TOIS 20(4), sections 2.2 and 2.3.
    """
    hits = relevant.hits(rows[:, :k])
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[1.0], np.cumsum(discounts)])  # the first stands for no relevant item and becomes nan
    dcg = (hits * discounts[: hits.shape[1]]).sum(axis=1)
    return _per_user(dcg / ideal[np.minimum(relevant.counts, k)], relevant)


def mrr(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """Return the reciprocal rank: 1 / rank of the first relevant item, 0 where the first k places hold none.

    Its mean over users is MRR@k.

    Returns
    -------
    float (b,), 0 to 1; nan for users without a relevant item

    References
    ----------
    Voorhees (1999), The TREC-8 Question Answering Track Report.
    """
    hits = relevant.hits(rows[:, :k])
    ranks = np.arange(1, hits.shape[1] + 1)
    return _per_user((hits / ranks).max(axis=1, initial=0.0), relevant)


def average_precision(rows: np.ndarray, relevant: UserItems, k: int) -> np.ndarray:
    """Return the average precision; its mean over users is MAP@k.

    AP@k = sum over hits at rank i <= k of (hits in the first i) / i, divided by min(k, |relevant|), so that a perfect
    list of k earns 1. trec_eval divides by |relevant| instead.

    Returns
    -------
    float (b,), 0 to 1; nan for users without a relevant item

    References
    ----------
    Manning, Raghavan, Schuetze (2008), section 8.4. The divisor is that of the ACM RecSys challenges.
    """
    hits = relevant.hits(rows[:, :k])
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _per_user((hits * precision).sum(axis=1) / np.clip(relevant.counts, 1, k), relevant)


def coverage(rows: np.ndarray, k: int, n_items: int) -> float:
    """Return catalogue coverage: the share of `n_items` that stand in the first k places of any list.

    It is a property of all lists together, so it has no interval over users. It grows with the number of users: compare
    systems on the same users.

    Parameters
    ----------
    n_items : how many items could be shown

    References
    ----------
    Ge, Delgado-Battenfeld, Jannach (2010), RecSys.
    """
    shown = sorted_unique(rows[:, :k])
    return float((shown >= 0).sum() / n_items) if n_items else float("nan")


def novelty(rows: np.ndarray, buyers: np.ndarray, n_buyers: int, k: int) -> np.ndarray:
    """Return the mean self-information of the first k items, in bits.

    -log2(buyers of the item / `n_buyers`), averaged over the places that are filled. An item without buyers counts as
    bought by one user; otherwise it would be infinitely novel.

    Parameters
    ----------
    buyers : int (n_items,), distinct buyers of each item before the cut
    n_buyers : users with a purchase before the cut

    Returns
    -------
    float (b,); nan for empty lists

    References
    ----------
    Castells, Hurley, Vargas (2015), Recommender Systems Handbook, chapter 26, section 26.3.
    """
    top = rows[:, :k]
    bits = np.log2(max(n_buyers, 1) / np.maximum(buyers, 1))
    filled = top >= 0
    total = np.where(filled, bits[np.maximum(top, 0)], 0).sum(axis=1)
    return np.where(filled.any(axis=1), total / np.maximum(filled.sum(axis=1), 1), np.nan)


def diversity(rows: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    """Return the intra-list distance: 1 - the mean cosine between any two of the first k items.

    The sum over pairs follows from the squared length of the sum of the unit vectors.

    Parameters
    ----------
    vectors : float (n_items, dim), of any length; a vector of zeros is at right angles to all others

    Returns
    -------
    float (b,), 0 to 2; nan for lists of fewer than two items

    References
    ----------
    Zhang and Hurley (2008), RecSys.
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
