"""Alternatives: what a customer could take instead of an item, of its category, with a near text and a near price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.names import ALTERNATIVE_SCORE
from retrieval.candidates import Candidates
from retrieval.topk import top_k

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.histories import Histories
    from retrieval.related.substitutes import CategoryTexts

PRICE_SCALE = 1.0  # ratio of prices, as a natural logarithm, at which an alternative counts 1/e
UNKNOWN_PRICE = 0.5  # what it counts where one of the two prices is unknown


@dataclass(frozen=True)
class Alternatives:
    """Retriever over the texts and prices of one category. Implements `Retriever`.

    The left side is the last item of each history. A score is the cosine of the two texts times exp(-|log of the ratio of prices|).
    Variants of the item's own product are none, nor are items of an unknown category.

    Attributes
    ----------
    texts : CategoryTexts
    prices : float (n_items,)
        Current prices, nan where unknown.
    groups : int (n_items,) or None
        Product of each item, see `features.data.catalog.Catalog.groups`.
    in_stock : bool (n_items,)
        What may be sold; it counts where a request does not say what is allowed.
    """

    texts: CategoryTexts
    prices: np.ndarray
    groups: np.ndarray | None
    in_stock: np.ndarray

    @classmethod
    def of(cls, catalog: Catalog, texts: CategoryTexts, prices: np.ndarray) -> Alternatives:
        """Take products and stock from the catalogue."""
        return cls(texts, prices, catalog.groups, catalog.available)

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Return at most k alternatives to the last item of each history, best first. See `Retriever`."""
        allowed = self.in_stock if allowed is None else allowed
        rows = np.full((len(users), k), -1, dtype=np.int64)
        scores = np.full((len(users), k), -np.inf, dtype=np.float32)
        for user in np.flatnonzero(users.lengths).tolist():
            item = int(users.item[users.offsets[user + 1] - 1])
            near = self._near(item, allowed if allowed.ndim == 1 else allowed[user])
            (best,), (scores[user],) = top_k(self._scores(item, near)[None], k)
            rows[user, best >= 0] = near[best[best >= 0]]
        return Candidates(users, rows, scores, {ALTERNATIVE_SCORE: np.where(rows >= 0, scores, np.nan).astype(np.float32)})

    def _near(self, item: int, allowed: np.ndarray) -> np.ndarray:
        """Return the allowed items of the category that are of another product, int64 (m,)."""
        category = self.texts.category
        if category[item] < 0:
            return np.zeros(0, dtype=np.int64)
        rows = np.flatnonzero((category == category[item]) & allowed)
        other = rows != item if self.groups is None else self.groups[rows] != self.groups[item]
        return rows[other]

    def _scores(self, item: int, rows: np.ndarray) -> np.ndarray:
        """Return the score of each row as an alternative to an item, float32 (m,); -inf for opposite texts."""
        texts, of = np.unique(self.texts.text_of[rows], return_inverse=True)
        cosine = (self.texts.vectors[texts] @ self.texts.vectors[self.texts.text_of[item]])[of]
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.abs(np.log(self.prices[rows] / self.prices[item])) / PRICE_SCALE
        nearness = np.where(np.isfinite(apart), np.exp(-apart), UNKNOWN_PRICE)
        return np.where(cosine > 0, cosine * nearness, -np.inf).astype(np.float32)
