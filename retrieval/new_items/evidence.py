"""What is known of items that nobody has bought: their texts' nearest sold texts, first sales of their kind, and the user's taste.

Items that share a text are told apart by nothing that a customer sees, so all of this is by text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import faiss
import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from features.behavior.item_stats import distinct_buyers, narrow_codes
from features.data.interactions import DAY
from features.names import BRAND, CATEGORY
from retrieval.collaborative.scoring import Weighting, history_matrix

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.histories import Histories
    from features.data.interactions import Interactions
    from retrieval.index import ItemIndex

NEIGHBOURS = 50  # nearest sold texts of a text
SQUARINGS = 3  # of the cosine, to its 8th power: .9 counts .43, .5 counts .004
RECENT, LONG = 28, 91  # days over which sales and first sales are counted
SHRINKAGE = 10.0  # items of the wider group that a text's, or a category's, rate of first sales counts with
RIDGE = 0.03  # of the map from texts to collaborative factors
FLOOR = 0.1  # similarity of what is near to nothing that a user bought
HISTORY = Weighting(count="log", half_life=90.0)


@dataclass(frozen=True)
class Kinds:
    """Text, category, and category with brand of each item, and its price.

    Attributes
    ----------
    text, category, brand : int64 (n_items,), codes.
    price : float64 (n_items,), nan where unknown.
    """

    text: np.ndarray
    category: np.ndarray
    brand: np.ndarray
    price: np.ndarray

    @classmethod
    def of(cls, catalog: Catalog, text_of: np.ndarray) -> Kinds:
        """Read a catalogue; `text_of` is the distinct text of each item, int64 (n_items,)."""
        category, brand = narrow_codes(catalog, CATEGORY).astype(np.int64), narrow_codes(catalog, BRAND)
        both = np.unique(category * (int(brand.max(initial=0)) + 1) + brand, return_inverse=True)[1]
        price = catalog.frame["price"].fill_null(float("nan")).to_numpy()
        return cls(text_of, category, both.astype(np.int64), np.where(price > 0, price, np.nan))

    @property
    def coarse_to_fine(self) -> tuple[np.ndarray, ...]:
        """Codes of the groups that a rate is shrunk along."""
        return self.category, self.brand, self.text


@dataclass(frozen=True)
class TextGraph:
    """Nearest sold texts of some texts.

    Attributes
    ----------
    texts : int64 (q,), ascending.
    near : int64 (q, NEIGHBOURS), nearest texts, -1 where there are fewer.
    cosine : float32 (q, NEIGHBOURS)
    """

    texts: np.ndarray
    near: np.ndarray
    cosine: np.ndarray

    @classmethod
    def of(cls, texts: np.ndarray, vectors: np.ndarray, index: ItemIndex, sold: np.ndarray) -> TextGraph:
        """Search the texts that sold, bool (t,)."""
        if index.kind != "flat":
            near, cosine = index.search(vectors[texts], NEIGHBOURS, sold)
        else:  # a product of matrices finds the same of all texts at once in a quarter of the time
            places = np.flatnonzero(sold)
            with threadpool_limits(1):
                cosine, near = faiss.knn(vectors[texts], vectors[places], NEIGHBOURS, metric=faiss.METRIC_INNER_PRODUCT)
            near = np.where(near >= 0, places[near], -1) if len(places) else near
        return cls(texts, near, np.where(near >= 0, cosine, 0).astype(np.float32))

    def table(self, texts: np.ndarray, sold: np.ndarray) -> sp.csr_array:
        """Return the sharpened cosine of each text and those of `texts` (g,) that it is near to, among the sold ones, csr (t, g)."""
        at = np.searchsorted(self.texts, texts)
        near = self.near[at]
        weight = np.maximum(self.cosine[at], 0)
        for _ in range(SQUARINGS):
            weight = weight * weight
        column, place = np.nonzero((near >= 0) & (weight > 0) & sold[np.maximum(near, 0)])
        entries = (weight[column, place], (near[column, place], column))
        return sp.coo_array(entries, shape=(len(sold), len(texts)), dtype=np.float32).tocsr()


@dataclass(frozen=True)
class UnsoldTexts:
    """Distinct texts of the items that nobody had bought before a moment.

    Attributes
    ----------
    rows : int64 (m,), those items.
    group : int64 (m,), the place of each one's text.
    first : int64 (g,), an item of each text.
    near : see `TextGraph.table`.
    factors : float32 (g, d), what a text suggests an item's collaborative factors to be.
    columns : float32 (g, columns), what is known of the text itself, see `_columns`.
    first_sale : float32 (n_items,), days before the moment; nan where never sold.
    """

    rows: np.ndarray
    group: np.ndarray
    first: np.ndarray
    near: sp.csr_array
    factors: np.ndarray
    columns: np.ndarray
    first_sale: np.ndarray

    @classmethod
    def at(cls, log: Interactions, now: int, kinds: Kinds, graph: TextGraph, vectors: np.ndarray, factors: np.ndarray) -> UnsoldTexts:
        """Describe the moment `now`, in seconds since the epoch.

        Parameters
        ----------
        log : events before `now`.
        vectors : of the distinct texts, float32 (t, dim).
        factors : of the items, float32 (n_items, d). Those of items that were not sold yet are not read.
        """
        first_sale = np.full(log.n_items, -np.inf)
        np.maximum.at(first_sale, log.item, (now - log.time) / DAY)
        sold = np.isfinite(first_sale)
        first_sale = np.where(sold, first_sale, np.nan).astype(np.float32)
        rows = np.flatnonzero(~sold)
        texts, first, group = np.unique(kinds.text[rows], return_index=True, return_inverse=True)
        sold_texts = np.bincount(kinds.text[sold], minlength=len(vectors)) > 0
        near = graph.table(texts, sold_texts)
        columns = _columns(log, now, kinds, first_sale)[rows[first]]
        mapped = map_factors(vectors, kinds.text[sold], factors[sold], texts)
        return cls(rows, group, rows[first], near, mapped, columns, first_sale)


def map_factors(vectors: np.ndarray, text_of: np.ndarray, factors: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Return the collaborative factors that texts suggest, by ridge regression over the sold texts, float32 (len(texts), d).

    Parameters
    ----------
    text_of, factors : of the sold items, int (s,) and float32 (s, d).

    References
    ----------
    Gantner et al. 2010, "Learning attribute-to-feature mappings for cold-start recommendations", ICDM.
    """
    if not len(text_of):
        return np.zeros((len(texts), factors.shape[1]), dtype=np.float32)
    counts = np.bincount(text_of, minlength=len(vectors)).astype(np.float32)
    known = np.flatnonzero(counts)
    mean = sp.coo_array((1 / counts[text_of], (text_of, np.arange(len(text_of)))), shape=(len(vectors), len(text_of))).tocsr() @ factors
    centre = vectors[known].mean(axis=0)
    x = (vectors[known] - centre).astype(np.float64)
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ mean[known])
    return ((vectors[texts] - centre) @ weights).astype(np.float32)


def _columns(log: Interactions, now: int, kinds: Kinds, first_sale: np.ndarray) -> np.ndarray:
    """Return what is known of each item's text at `now`, float32 (n_items, 2).

    The log rate of first sales by text, shrunk to brand and category, and the log of the number of unsold items that share the text.
    """
    unsold = np.isnan(first_sale)
    newly = first_sale <= LONG
    buyers = np.where(newly, distinct_buyers(log, (now - log.time) / DAY <= LONG), 0)
    tried = (unsold | newly).astype(float)
    rate = np.full(log.n_items, (buyers.sum() + 1) / (tried.sum() + 1))
    for code in kinds.coarse_to_fine:
        rate = (np.bincount(code, buyers)[code] + SHRINKAGE * rate) / (np.bincount(code, tried)[code] + SHRINKAGE)
    sharing = np.bincount(kinds.text, unsold)[kinds.text]
    return np.stack([np.log(rate), np.log(np.maximum(sharing, 1))], axis=1).astype(np.float32)


def similarity(users: Histories, unsold: UnsoldTexts, kinds: Kinds) -> np.ndarray:
    """Return the sharpened cosine of each unsold text to what each user bought, summed over purchases by weight, float32 (b, g)."""
    return (history_matrix(users.with_items(kinds.text), unsold.near.shape[0], HISTORY) @ unsold.near).toarray()


def tastes(users: Histories, unsold: UnsoldTexts, kinds: Kinds, user_factors: np.ndarray) -> dict[str, np.ndarray]:
    """Return how near each unsold text is to what each user bought, float32 (b, g) each."""
    first = unsold.first
    out = {"text": np.log(FLOOR + similarity(users, unsold, kinds)), "factors": _products(user_factors, unsold.factors)}
    for name, code in (("category", kinds.category), ("brand", kinds.brand)):
        bought = history_matrix(users.with_items(code), int(code.max(initial=0)) + 1, HISTORY)
        out[name] = np.log(FLOOR + bought[:, code[first]].toarray())
    return out | {"price": _price_gap(users, kinds.price[first])}


def _products(users: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Return the products of users (b, d) and texts (g, d), float32 (b, g)."""
    out = np.empty((len(users), len(texts)), dtype=np.float32)
    # One product a user: BLAS sums a batch in another order, and a list would depend on the rest of the batch.
    for row, user in zip(out, users, strict=True):
        np.matmul(texts, user, out=row)
    return out


def _price_gap(users: Histories, prices: np.ndarray) -> np.ndarray:
    """Return the absolute log ratio of each price and the user's usual one, float32 (b, g); 0 where either is unknown."""
    paid = np.log(np.where(users.price > 0, users.price, np.nan))
    known = np.isfinite(paid)
    count = np.bincount(users.user[known], minlength=len(users))
    usual = np.bincount(users.user[known], paid[known], minlength=len(users)) / np.maximum(count, 1)
    gap = np.abs(np.log(prices)[None, :] - np.where(count > 0, usual, np.nan)[:, None])
    return np.nan_to_num(gap).astype(np.float32)


def habits(users: Histories, first_sale: np.ndarray) -> dict[str, np.ndarray]:
    """Return how much each user bought of late, and which share of it had just begun to sell, as logs, float32 (b,) each."""
    late = users.age <= LONG
    events = np.bincount(users.user[late], minlength=len(users))
    young = late & (first_sale[users.item] - users.age <= RECENT)
    share = np.bincount(users.user[young], minlength=len(users)) / np.maximum(events, 1)
    return {"events": np.log1p(events).astype(np.float32), "novelty": np.log(0.01 + share).astype(np.float32)}
