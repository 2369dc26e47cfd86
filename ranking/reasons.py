"""Reasons for recommendations: the feature group that raised an item's score most, in a sentence with its facts.

The ranker's feature contributions (TreeSHAP) are summed by group. The reason is the sentence of the strongest positive
group whose sentence is true of the data. If no group qualifies, the reason is a neutral fact: a group that lowered the
score explains nothing. The model also learns from views and carts, but "bought" always refers to a purchase.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from features.behavior.own_purchases import OwnPurchases
from features.data.split import LABEL_EVENTS
from features.names import (
    ALS_SCORE,
    ARRIVAL_SCORE,
    CROSS_ENCODER_LOGIT,
    EASE_SCORE,
    EASE_TREND_SCORE,
    FUSED_SCORE,
    ITEM_KNN_SCORE,
    ITEM_STAT_PREFIX,
    MARKOV_SCORE,
    NEXT_ITEM_SCORE,
    OWN_PREFIX,
    PRICE_GAP,
    REVIEW_EASE_SCORE,
    TOWER_SCORE,
    UNSOLD_SCORE,
    WORDS_KNN,
    WORDS_LAST,
    WORDS_SIMILARITY,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from features.behavior.recent_buyers import RecentBuyers
    from features.data.catalog import Catalog
    from features.data.histories import Histories
    from features.data.interactions import Interactions
    from retrieval.candidates import Candidates
    from retrieval.collaborative.ease import EASE

# Features of each group. Features of the user alone are equal for all items of a list, so they explain none of them.
GROUPS: dict[str, tuple[str, ...]] = {
    "repeat": (OWN_PREFIX,),
    "item_knn": (EASE_SCORE, EASE_TREND_SCORE, ITEM_KNN_SCORE, ALS_SCORE, MARKOV_SCORE, NEXT_ITEM_SCORE, FUSED_SCORE),
    "close": (TOWER_SCORE, CROSS_ENCODER_LOGIT, REVIEW_EASE_SCORE, WORDS_LAST, WORDS_SIMILARITY, WORDS_KNN),
    "category": ("category_",),
    "brand": ("brand_",),
    "popular": (ITEM_STAT_PREFIX,),
    "price": (PRICE_GAP,),
}
COMMON = 0.5  # share of the catalogue above which a brand or category is uninformative: "National", "Other"


@dataclass(frozen=True)
class Reason:
    """One sentence and the purchases that support it.

    Attributes
    ----------
    text : the sentence; empty for padding.
    named : catalogue rows of the user's purchases that the sentence rests on; empty if it is about other users'
        purchases or a new item.
    """

    text: str
    named: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reasons:
    """Explains candidates of one catalogue.

    Attributes
    ----------
    log : purchases that show whether two items were bought by the same user.
    ease : finds the purchase that supports a candidate most.
    text_vectors : vectors of the distinct texts, float32 (t, dim), unit norm.
    text_of : each item's distinct text, int64 (n_items,).
    buyers : buyers of each item in the last days.
    praise : what reviews praise of some items, by row: the reason where none is found in what the user bought.
    """

    catalog: Catalog
    log: Interactions
    ease: EASE
    text_vectors: np.ndarray
    text_of: np.ndarray
    buyers: RecentBuyers
    praise: Mapping[int, str] = field(default_factory=dict)

    def sentences(self, candidates: Candidates, strength: np.ndarray) -> list[list[str]]:
        """Return the texts of `explain`."""
        return [[reason.text for reason in line] for line in self.explain(candidates, strength)]

    def explain(self, candidates: Candidates, strength: np.ndarray) -> list[list[Reason]]:
        """Return one reason for each candidate of each user.

        Parameters
        ----------
        strength : log odds that each feature group added, float32 (groups, b, k) in the order of `GROUPS`; all 0 for
            candidates that no model ranked.

        Returns
        -------
        reasons : b lists of k; an empty text where a candidate is padding.
        """
        rows, groups = candidates.rows, list(GROUPS)
        users = _liked(candidates.users)
        partners = self._partners(users, rows)
        out = []
        for b in range(len(rows)):
            bought, reasons = OwnPurchases.by(users, b), []
            for k in range(rows.shape[1]):
                facts = Facts(self, candidates, (b, k), bought, int(partners[b, k]))
                added = strength[:, b, k]
                # All strengths are 0 if nothing was ranked: then any true sentence will do.
                order = [groups[i] for i in np.argsort(-added, kind="stable") if added[i] > 0 or not added.any()]
                reasons.append(facts.first_true(order) if rows[b, k] >= 0 else Reason(""))
            out.append(reasons)
        return out

    def repeats(self, candidates: Candidates) -> list[list[str]]:
        """Return how often and when each user bought each candidate; an empty text where the user did not, or dislikes it."""
        users, out = _liked(candidates.users), []
        for b, rows in enumerate(candidates.rows):
            bought = OwnPurchases.by(users, b)
            own = zip(rows.tolist(), np.isin(rows, bought.items).tolist(), strict=True)
            out.append([bought.sentence(row, self.log.clock) if mine else "" for row, mine in own])
        return out

    def _partners(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """Return the purchase that best supports each candidate and shares a buyer with it, int64 (b, k), or -1."""
        partners, _ = self.ease.strongest(users, rows)
        real = (partners >= 0) & (partners != rows)
        if not real.any():
            return np.full(rows.shape, -1, dtype=np.int64)
        pairs, place = np.unique(np.stack([rows[real], partners[real]]), axis=1, return_inverse=True)
        both = self._bought[:, pairs[0]].multiply(self._bought[:, pairs[1]]).sum(axis=0) > 0
        out = np.full(rows.shape, -1, dtype=np.int64)
        out[real] = np.where(np.ravel(both)[place.ravel()], partners[real], -1)
        return out

    @cached_property
    def _bought(self) -> sp.csc_array:
        """1 where a user ever bought an item, int32 (n_users, n_items)."""
        log = self.log.where(np.isin(self.log.event, LABEL_EVENTS))
        matrix = sp.coo_array((np.ones(len(log), np.int32), (log.user, log.item)), shape=(log.n_users, log.n_items)).tocsc()
        matrix.data[:] = 1
        return matrix

    def warm(self) -> None:
        """Build what the first sentence of its kind would wait for."""
        _ = self._bought, self.commonness

    @cached_property
    def shelves(self) -> dict[str, np.ndarray]:
        """Category and brand code of each item, int32 (n_items,); -1 where the catalogue has none."""
        return {name: self.catalog.codes(name) for name in ("category", "brand")}

    @cached_property
    def commonness(self) -> dict[str, np.ndarray]:
        """Share of the catalogue that has each code of `shelves`, float64 (codes,)."""
        return {name: np.bincount(code[code >= 0]) / len(code) for name, code in self.shelves.items()}


def group_weights(features: Sequence[str]) -> np.ndarray:
    """Return 1 where a feature belongs to a group, float32 (features, groups) in the order of `GROUPS`."""
    return np.array([[_belongs(name, prefixes) for prefixes in GROUPS.values()] for name in features], dtype=np.float32)


def _belongs(feature: str, prefixes: tuple[str, ...]) -> bool:
    return feature in prefixes or any(prefix.endswith("_") and feature.startswith(prefix) for prefix in prefixes)


def _liked(users: Histories) -> Histories:
    """Return the purchases of items that the user does not dislike."""
    purchases, disliked = users.purchases, users.disliked
    if disliked is None:
        return purchases
    n_items = int(max(purchases.item.max(initial=0), disliked.item.max(initial=0))) + 1
    return purchases.where(~np.isin(purchases.user * n_items + purchases.item, disliked.user * n_items + disliked.item))


@dataclass(frozen=True)
class Facts:
    """Facts about one candidate.

    Attributes
    ----------
    at : its user and place among `candidates`.
    bought : the user's purchases.
    partner : row of the purchase that supports the candidate most; -1 if there is none.
    """

    reasons: Reasons
    candidates: Candidates
    at: tuple[int, int]
    bought: OwnPurchases
    partner: int

    def first_true(self, groups: list[str]) -> Reason:
        """Return the reason of the first group whose sentence is true; if none is, what reviews praise, or how the item sells."""
        by_group: dict[str, Callable[[], Reason | None]] = {
            "repeat": self._repeat,
            "item_knn": self._bought_together,
            "close": self._close,
            "category": lambda: self._shelf("category", "you often buy from {}"),
            "brand": lambda: self._shelf("brand", "you often buy {}"),
            "popular": self._popular,
            "price": lambda: None,  # a usual price is no reason to buy
        }
        arrival = self.candidates.features.get(ARRIVAL_SCORE)
        if arrival is not None and not np.isnan(arrival[self.at]) and (close := self._close()):
            return Reason(f"new here, {close.text}", close.named)
        return next((reason for group in groups if (reason := by_group[group]())), self._neutral())

    @property
    def _row(self) -> int:
        return int(self.candidates.rows[self.at])

    def _title(self, row: int) -> str:
        return self.reasons.catalog.frame["title"][row]

    def _repeat(self) -> Reason | None:
        text = self.bought.sentence(self._row, self.reasons.log.clock)
        return Reason(text, (self._row,)) if text else None

    def _bought_together(self) -> Reason | None:
        return Reason(f"bought together with {self._title(self.partner)}", (self.partner,)) if self.partner >= 0 else None

    def _close(self) -> Reason | None:
        others = np.unique(self.bought.items[self.bought.items != self._row])
        if not len(others):
            return None
        vectors = self.reasons.text_vectors
        near = vectors[self.reasons.text_of[others]] @ vectors[self.reasons.text_of[self._row]]
        nearest = int(others[near.argmax()])
        return Reason(f"close to {self._title(nearest)} that you bought", (nearest,))

    def _shelf(self, column: str, words: str) -> Reason | None:
        code, row = self.reasons.shelves[column], self._row
        if code[row] < 0 or self.reasons.commonness[column][code[row]] > COMMON:
            return None
        same = code[self.bought.items] == code[row]
        if len(np.unique(self.bought.ages[same])) < 2:
            return None
        text = words.format(self.reasons.catalog.frame[column][self._row].rsplit("|", 1)[-1].strip())
        return Reason(text, tuple(np.unique(self.bought.items[same]).tolist()))

    def _neutral(self) -> Reason:
        if UNSOLD_SCORE in self.candidates.features:
            return Reason("nobody has bought it yet")
        return Reason(self.reasons.praise.get(self._row) or self.reasons.buyers.sales(self._row))

    def _popular(self) -> Reason | None:
        said = self.reasons.buyers.popular(self._row)
        return None if said is None else Reason(said)
