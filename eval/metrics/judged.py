"""Metrics of search lists against graded judgments: one number a query.

The rules of `eval.metrics.lists` hold. An item that nobody has judged counts as not relevant, and `judged` says how many of a list's
items somebody has judged: where that is low, the other metrics say little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eval.metrics.user_items import UserItems


@dataclass(frozen=True)
class Judgments:
    """Distinct judged pairs of a query and a catalogue row, sorted by query, then item.

    Attributes
    ----------
    pairs : what was judged; its "users" are the queries
    rating : float64 (m,), at least 0; an item is relevant from above 0
    """

    pairs: UserItems
    rating: np.ndarray

    @classmethod
    def of(cls, query: np.ndarray, item: np.ndarray, rating: np.ndarray, n_queries: int, n_items: int) -> Judgments:
        """Make the judgments from pairs in any order; of a pair that was judged twice, the higher rating counts.

        Raises
        ------
        ValueError
            A query or an item is out of range, or a rating is negative or nan.
        """
        if not (rating >= 0).all():
            raise ValueError(f"the lowest rating is {rating.min()}, expected none below 0")
        pairs = UserItems.of(query, item, n_queries, n_items)
        highest = np.zeros(len(pairs.keys))
        np.maximum.at(highest, np.searchsorted(pairs.keys, query.astype(np.int64) * n_items + item), rating)
        return cls(pairs, highest)

    @classmethod
    def binary(cls, relevant: UserItems) -> Judgments:
        """Make judgments that give each relevant item the rating 1."""
        return cls(relevant, np.ones(len(relevant.item)))

    @cached_property
    def relevant(self) -> UserItems:
        """The pairs with a rating above 0."""
        return self.pairs.where(self.rating > 0)

    def ratings(self, rows: np.ndarray) -> np.ndarray:
        """Return the rating at each place of lists, float (n_queries, k); 0 for an item unjudged, repeated or padded."""
        query, place = np.nonzero(self.pairs.hits(rows))
        ratings = np.zeros(rows.shape)
        keys = query * np.int64(self.pairs.n_items) + rows[query, place]
        ratings[query, place] = self.rating[np.searchsorted(self.pairs.keys, keys)]
        return ratings

    def ideal(self, k: int) -> np.ndarray:
        """Return the DCG@k of the best list that the whole catalogue allows, float (n_queries,)."""
        order = np.lexsort((-self.rating, self.pairs.user))
        begin = np.cumsum(self.pairs.counts) - self.pairs.counts
        query = self.pairs.user[order]
        place = np.arange(len(order)) - begin[query]
        gains = np.where(place < k, _gain(self.rating[order]) / np.log2(place + 2), 0)
        return np.bincount(query, gains, minlength=self.pairs.n_users)


def graded_ndcg(rows: np.ndarray, judgments: Judgments, k: int) -> np.ndarray:
    """Return the normalised discounted cumulative gain with the gain 2 ** rating - 1.

    DCG@k = sum over ranks i <= k of (2 ** rating - 1) / log2(i + 1). NDCG@k divides it by the DCG@k of the best list that could be
    made of all judged items of the catalogue, found or not. With ratings of 1 it is `eval.metrics.lists.ndcg`.

    Parameters
    ----------
    rows : int (b, k'), catalogue rows, best first, padded with -1
    judgments : of the same b queries

    Returns
    -------
    float (b,), 0 to 1; nan for queries without a relevant item

    References
    ----------
    Burges and others (2005), ICML, "Learning to rank using gradient descent", section 6.
    """
    ratings = judgments.ratings(rows[:, :k])
    found = (_gain(ratings) / np.log2(np.arange(2, ratings.shape[1] + 2))).sum(axis=1)
    ideal = judgments.ideal(k)
    return np.where(ideal > 0, found / np.where(ideal > 0, ideal, 1), np.nan)


def precision(rows: np.ndarray, judgments: Judgments, k: int) -> np.ndarray:
    """Return precision@k: the relevant items among the first k, over k.

    Returns
    -------
    float (b,), 0 to min(k, relevant items) / k; nan for queries without a relevant item

    References
    ----------
    Manning, Raghavan, Schuetze (2008), section 8.4.
    """
    relevant = judgments.relevant
    return np.where(relevant.counts > 0, relevant.hits(rows[:, :k]).sum(axis=1) / k, np.nan)


def judged(rows: np.ndarray, judgments: Judgments, k: int) -> np.ndarray:
    """Return judged@k: the judged items among the first k, relevant or not, over k.

    Returns
    -------
    float (b,), 0 to 1; nan for queries without a judgment

    References
    ----------
    Yilmaz, Kanoulas, Aslam (2008), SIGIR, on incomplete judgments; ir-measures has it as `Judged`.
    """
    pairs = judgments.pairs
    return np.where(pairs.counts > 0, pairs.hits(rows[:, :k]).sum(axis=1) / k, np.nan)


def _gain(rating: np.ndarray) -> np.ndarray:
    return np.exp2(rating) - 1
