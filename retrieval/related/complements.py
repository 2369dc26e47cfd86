"""Complements: what is bought together with the items of a basket beyond chance, and not instead of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from features.names import COMPLEMENT_SCORE
from retrieval.candidates import Candidates
from retrieval.collaborative.item_weights import ItemWeights
from retrieval.collaborative.scoring import Weighting, history_matrix
from retrieval.related.purchases import Baskets
from retrieval.related.substitutes import SameCustomers, Substitutes
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.data.histories import Histories
    from features.data.interactions import Interactions
    from retrieval.related.substitutes import CategoryTexts

_BLOCK = 1024  # items whose pairs are counted at once


class ComplementsConfig(BaseModel):
    """Parameters of complements; docs/decisions/111 has their tuning.

    Attributes
    ----------
    least_baskets : int
        Items in fewer baskets have no complements and are none.
    half_life : float, optional
        Days after which a basket counts half; None: all count the same.
    least_together : float
        Pairs whose common baskets do not weigh more say nothing: one basket does not make two items complements.
    most_items : int
        Baskets of more items are left out.
    shrinkage : float
        Baskets without the other item that are added to those of each item, so that few baskets promise little.
    near : float
        Cosine of texts from which items of one category are substitutes.
    keep : int
        Complements of an item that remain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    least_baskets: int = Field(default=5, ge=1)
    half_life: float | None = Field(default=120.0, gt=0)
    least_together: float = Field(default=1.0, ge=0)
    most_items: int = Field(default=200, ge=2)
    shrinkage: float = Field(default=20.0, ge=0)
    near: float = Field(default=0.8, gt=0, le=1)
    keep: int = Field(default=50, ge=1)


class Complements(ItemWeights):
    """What each item adds to the chance that another one is in its basket.

    The weight of a pair is (c - e) / (n + s): of n baskets with the first item c hold the second one too, e would by chance, and s is
    the shrinkage; recent baskets count more. Pairs that chance explains have none, nor have substitutes. Weights of several items add up.
    """

    @classmethod
    def fit(cls, log: Interactions, texts: CategoryTexts, config: ComplementsConfig | None = None) -> Complements:
        """Count the baskets of a log, with a cap on each user's share."""
        config = config or ComplementsConfig()
        baskets = Baskets.of(log.capped(), config.most_items, config.half_life)
        rule = Substitutes(texts, SameCustomers.of(baskets), config.near)
        parts = list(_blocks(baskets, rule, config)) or [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
        first, second, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        pairs = (first.astype(np.int32), second.astype(np.int32))  # in a bundle, int64 would be half of the matrix
        return cls(sp.coo_array((weight, pairs), shape=(log.n_items, log.n_items)).tocsr(), Weighting())


@dataclass(frozen=True)
class ComplementRetriever:
    """Complements of whole baskets: no item of the basket, and none that could replace one of them. Implements `Retriever`.

    The left side is what the basket holds, `Histories.of_baskets`.

    Attributes
    ----------
    complements : Complements
    texts : CategoryTexts
        By which a complement of one item is told to be a substitute of another one: of its category, with a near text.
    near : float
        Cosine from which texts are near.
    """

    complements: Complements
    texts: CategoryTexts
    near: float = ComplementsConfig().near

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Return at most k complements of each basket, best first. See `Retriever`."""
        rows = np.full((len(users), k), -1, dtype=np.int64)
        scores = np.full((len(users), k), -np.inf, dtype=np.float32)
        held = history_matrix(users, self.complements.n_items, self.complements.weighting)
        sums = (held @ self.complements.weights).tocsr()
        sums.sort_indices()  # ties go by row
        for user in range(len(users)):
            begin, end = sums.indptr[user : user + 2]
            items, added = sums.indices[begin:end].astype(np.int64), sums.data[begin:end]
            basket = held.indices[held.indptr[user] : held.indptr[user + 1]].astype(np.int64)
            eligible = ~np.isin(items, basket) & ~self.texts.any_near(items, basket, self.near)
            if allowed is not None:
                eligible &= (allowed if allowed.ndim == 1 else allowed[user])[items]
            items = items[eligible]
            (best,), (scores[user],) = top_k(added[eligible][None], k)
            rows[user, best >= 0] = items[best[best >= 0]]
        return Candidates(users, rows, scores, {COMPLEMENT_SCORE: np.where(rows >= 0, scores, np.nan).astype(np.float32)})


def _blocks(baskets: Baskets, rule: Substitutes, config: ComplementsConfig) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield first item, second item and weight of the pairs that remain, for some first items at a time."""
    known = np.flatnonzero(np.bincount(baskets.item, minlength=baskets.n_items) >= config.least_baskets)
    count = np.bincount(baskets.item, baskets.weight[baskets.basket], minlength=baskets.n_items)
    share = count / max(baskets.weight.sum(), 1e-9)
    by_basket = baskets.matrix[:, known]
    by_item = by_basket.T.tocsr()
    for begin in range(0, len(known), _BLOCK):
        joint = (by_item[begin : begin + _BLOCK] @ by_basket).tocoo()
        first, second, together = joint.row + begin, joint.col, joint.data.astype(np.float64)
        pair = (together > config.least_together) & (first != second)
        first, second, together = known[first[pair]], known[second[pair]], together[pair]
        weight = (together - count[first] * share[second]) / (count[first] + config.shrinkage)
        beyond = weight > 0
        beyond[beyond] = ~rule.among(first[beyond], second[beyond], together[beyond])
        first, second, weight = first[beyond], second[beyond], weight[beyond]
        best = _strongest(first, second, weight, config.keep)
        yield first[best], second[best], weight[best].astype(np.float32)


def _strongest(first: np.ndarray, second: np.ndarray, weight: np.ndarray, keep: int) -> np.ndarray:
    """Return the indices of the `keep` largest weights of each first item, ties by the row of the second."""
    order = np.lexsort((second, -weight, first))
    of = first[order]
    return order[np.arange(len(order)) - np.searchsorted(of, of) < keep]
