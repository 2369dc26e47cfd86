"""Features of (customer, product) pairs: few products against all customers, by columns and not by lists.

The models of recommendations score the whole catalogue for a customer. Here the products are few, so only their columns of the item-item
matrices are multiplied with the histories.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from features.behavior.user_item import behavior_features
from features.names import (
    ALS_SCORE,
    BUYERS_28,
    BUYERS_91,
    EASE_SCORE,
    ITEM_KNN_SCORE,
    ITEM_STAT_PREFIX,
    LIKE_ALS,
    LIKE_BOUGHT,
    LIKE_BUYERS,
    LIKE_EASE,
    LIKE_KNN,
    LIKE_SELLING,
    LIKE_TEXT,
    OWN_PREFIX,
    PRICE_GAP,
    TOWER_SCORE,
)
from recsys.apps.customers.audience.products import sharpened
from retrieval.collaborative.scoring import Weighting, history_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.data.histories import Histories
    from recsys.apps.customers.audience.products import Kind, Product
    from recsys.recommend.pipeline import Recommender
    from retrieval.collaborative.item_weights import ItemWeights

Table = dict[str, np.ndarray]  # feature -> float32 (customers, products)
USERS_AT_ONCE = 512
TASTE = Weighting(count="log", half_life=90.0)
# What a product that nobody has bought lacks; category and brand stand in the customer's other purchases.
_OF_THE_ITEM = (OWN_PREFIX, ITEM_STAT_PREFIX)
_OF_ITS_LABELS = ("brand_", "text_", PRICE_GAP)


@dataclass(frozen=True)
class PairFeatures:
    """Features at one recommender's moment, for one group of customers.

    Attributes
    ----------
    users : the customers' histories.
    """

    recommender: Recommender
    users: Histories

    def of(self, kind: Kind, products: Sequence[Product]) -> Table:
        """Return the features of products of one kind."""
        rows = np.array([product.row for product in products], dtype=np.int64)
        table = self._behaviour(rows)
        if kind == "sold":
            return table | self._scores(_columns(products, self._n_items)) | {TOWER_SCORE: self._taste(products)[0]}
        table = {name: column for name, column in table.items() if not name.startswith(_OF_THE_ITEM)}
        unknown = np.array([not product.known for product in products])
        for name in table:
            if name.startswith(_OF_ITS_LABELS):
                table[name] = np.where(unknown, np.nan, table[name]).astype(np.float32)
        return table | (self._of_new(products) if kind == "unsold" else self._of_category(products))

    def _of_new(self, products: Sequence[Product]) -> Table:
        columns = _columns(products, self._n_items)
        near, nearest = self._taste(products)
        scores = self._scores(columns)
        stats = self.recommender.snapshot.stats.columns
        selling = np.array([product.weights @ stats[BUYERS_28][product.rows] for product in products], dtype=np.float32)
        return {
            LIKE_TEXT: nearest,
            TOWER_SCORE: near,
            LIKE_EASE: scores[EASE_SCORE],
            LIKE_KNN: scores[ITEM_KNN_SCORE],
            LIKE_ALS: scores[ALS_SCORE],
            LIKE_BOUGHT: (self._history(TASTE) @ columns).toarray(),
            LIKE_SELLING: np.broadcast_to(selling, near.shape),
        }

    def _of_category(self, products: Sequence[Product]) -> Table:
        columns, shape = _columns(products, self._n_items), (len(self.users), len(products))
        scores = self._scores(columns)
        stats = self.recommender.snapshot.stats.columns
        out = {LIKE_EASE: scores[EASE_SCORE], LIKE_KNN: scores[ITEM_KNN_SCORE], LIKE_ALS: scores[ALS_SCORE]}
        for name in (BUYERS_28, BUYERS_91):
            total = np.array([stats[name][product.rows].sum() for product in products], dtype=np.float32)
            out[LIKE_BUYERS.format(name)] = np.broadcast_to(total, shape)
        return out

    def _behaviour(self, rows: np.ndarray) -> Table:
        parts = []
        for start in range(0, max(1, len(self.users)), USERS_AT_ONCE):
            some = np.arange(start, min(start + USERS_AT_ONCE, len(self.users)))
            listed = np.broadcast_to(rows, (len(some), len(rows)))
            parts.append(behavior_features(self.users.take(some), listed, self.recommender.snapshot.stats))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _scores(self, columns: sp.csc_array) -> Table:
        """Return collaborative scores; `columns` are weights of items by product, (n_items, products)."""
        models = self.recommender.snapshot.collaborative
        factors = columns.T @ models.als.factors
        return {
            EASE_SCORE: self._sums(models.ease, columns),
            ITEM_KNN_SCORE: self._sums(models.item_knn, columns),
            ALS_SCORE: (models.als.user_factors(self.users) @ factors.T).astype(np.float32),
        }

    def _sums(self, model: ItemWeights, columns: sp.csc_array) -> np.ndarray:
        return (self._history(model.weighting) @ (model.weights @ columns)).toarray().astype(np.float32)

    def _taste(self, products: Sequence[Product]) -> tuple[np.ndarray, np.ndarray]:
        """Return how near each product's text is to what customers bought: of all together, and summed with the 8th power."""
        snapshot = self.recommender.snapshot
        vectors = np.stack([p.vector if len(p.vector) else snapshot.text_vectors[snapshot.text_of[p.row]] for p in products])
        cosine = snapshot.text_vectors @ vectors.T
        texts = self._texts
        total = np.maximum(np.asarray(texts.sum(axis=1)).ravel(), 1e-9)[:, None]
        return ((texts @ cosine) / total).astype(np.float32), (texts @ sharpened(cosine)).astype(np.float32)

    def nearest_text(self, products: Sequence[Product]) -> np.ndarray:
        """Return the cosine of each product's text and the nearest that a customer bought, 0 without any, float32 (customers, products)."""
        snapshot = self.recommender.snapshot
        out = np.zeros((len(self.users), len(products)), dtype=np.float32)
        texts = self._texts
        some = np.flatnonzero(np.diff(texts.indptr) > 0)
        for column, product in enumerate(products):
            cosine = snapshot.text_vectors @ product.vector
            out[some, column] = np.maximum.reduceat(cosine[texts.indices], texts.indptr[some])
        return out

    @cached_property
    def _texts(self) -> sp.csr_array:
        """Weights of the texts that customers bought, (customers, texts)."""
        snapshot = self.recommender.snapshot
        return history_matrix(self.users.with_items(snapshot.text_of), len(snapshot.text_vectors), TASTE)

    def _history(self, weighting: Weighting) -> sp.csr_array:
        return self.users.once(self, weighting.model_dump_json(), lambda: history_matrix(self.users, self._n_items, weighting))

    @property
    def _n_items(self) -> int:
        return len(self.recommender.snapshot.catalog)


def _columns(products: Sequence[Product], n_items: int) -> sp.csc_array:
    """Return the weights of items by product, float32 (n_items, products)."""
    rows = np.concatenate([product.rows for product in products])
    weights = np.concatenate([product.weights for product in products])
    column = np.repeat(np.arange(len(products)), [len(product.rows) for product in products])
    return sp.coo_array((weights, (rows, column)), shape=(n_items, len(products)), dtype=np.float32).tocsc()
