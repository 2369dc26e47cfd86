"""A true reason for each item: what moved its score most, told with the facts behind it.

The blend's contributions (TreeSHAP) are summed by what they speak of; the strongest positive one that can be told truthfully is told.
Where there is none, a fact is told that claims no cause: a group that lowered the score is no reason.
The model also learns from views and carts; a sentence says "bought" of what was bought, and of nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from features.data.split import LABEL_EVENTS
from features.names import (
    ALS_SCORE,
    ARRIVAL_SCORE,
    CROSS_ENCODER_LOGIT,
    EASE_SCORE,
    EASE_TREND_SCORE,
    FUSED_SCORE,
    ITEM_BUYERS_7,
    ITEM_BUYERS_28,
    ITEM_KNN_SCORE,
    ITEM_STAT_PREFIX,
    MARKOV_SCORE,
    NEXT_ITEM_SCORE,
    OWN_PREFIX,
    PRICE_GAP,
    TOWER_SCORE,
    UNSOLD_SCORE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from features.data.catalog import Catalog
    from features.data.histories import Histories
    from features.data.interactions import Interactions
    from retrieval.candidates import Candidates
    from retrieval.collaborative.ease import EASE

# What each group of features speaks of. Features of the user alone are the same for all items and explain none of them.
GROUPS: dict[str, tuple[str, ...]] = {
    "repeat": (OWN_PREFIX,),
    "item_knn": (EASE_SCORE, EASE_TREND_SCORE, ITEM_KNN_SCORE, ALS_SCORE, MARKOV_SCORE, NEXT_ITEM_SCORE, FUSED_SCORE),
    "close": (TOWER_SCORE, CROSS_ENCODER_LOGIT),
    "category": ("category_",),
    "brand": ("brand_",),
    "popular": (ITEM_STAT_PREFIX,),
    "price": (PRICE_GAP,),
}
POPULAR_BUYERS = 3  # fewer than these in a week are not "popular"
COMMON = 0.5  # a brand or category that more than this share of the catalogue has says nothing: "National", "Other"


@dataclass(frozen=True)
class Told:
    """A sentence, and the rows of the user's purchases that it rests on; none where it speaks of others' purchases, or of a new item."""

    text: str
    named: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reasons:
    """Tells reasons over one catalogue. log: by which it is checked that two things were bought by the same people.

    text_vectors float32 (t, dim) and text_of int64 (n_items,): how close two items are.
    """

    catalog: Catalog
    log: Interactions
    ease: EASE
    text_vectors: np.ndarray
    text_of: np.ndarray

    def tell(self, candidates: Candidates, strength: np.ndarray) -> list[list[str]]:
        """The sentences of `give`."""
        return [[told.text for told in line] for line in self.give(candidates, strength)]

    def give(self, candidates: Candidates, strength: np.ndarray) -> list[list[Told]]:
        """One sentence for each candidate of each user (b, k); an empty one where padded.

        strength: what each group of features added to the log odds, float32 (groups, b, k) in the order of `GROUPS`.
        """
        rows, groups = candidates.rows, list(GROUPS)
        users = candidates.users.where(np.isin(candidates.users.event, LABEL_EVENTS))
        partners = self._partners(users, rows)
        told = []
        for b in range(len(rows)):
            mine = slice(users.offsets[b], users.offsets[b + 1])
            sentences = []
            for k in range(rows.shape[1]):
                facts = Facts(self, candidates, (b, k), users.item[mine], users.age[mine], int(partners[b, k]))
                added = strength[:, b, k]
                # All of them 0: nothing was ranked, and whatever is true may be told.
                order = [groups[i] for i in np.argsort(-added, kind="stable") if added[i] > 0 or not added.any()]
                sentences.append(facts.first_true(order) if rows[b, k] >= 0 else Told(""))
            told.append(sentences)
        return told

    def _partners(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """What the user bought that says most for each candidate (b, k), and that somebody bought as well as it; -1 where nothing is."""
        partners, _ = self.ease.strongest(users, rows)
        real = (partners >= 0) & (partners != rows)
        pairs, place = np.unique(np.stack([rows[real], partners[real]]), axis=1, return_inverse=True)
        both = self._bought[:, pairs[0]].multiply(self._bought[:, pairs[1]]).sum(axis=0) > 0
        out = np.full(rows.shape, -1, dtype=np.int64)
        out[real] = np.where(np.ravel(both)[place.ravel()], partners[real], -1)
        return out

    @cached_property
    def _bought(self) -> sp.csc_array:
        """Who ever bought what, 1 or nothing, (n_users, n_items)."""
        log = self.log.where(np.isin(self.log.event, LABEL_EVENTS))
        matrix = sp.coo_array((np.ones(len(log), np.int32), (log.user, log.item)), shape=(log.n_users, log.n_items)).tocsc()
        matrix.data[:] = 1
        return matrix

    @cached_property
    def shelves(self) -> dict[str, np.ndarray]:
        """Category and brand code of each item, int32 (n_items,)."""
        return {name: self.catalog.codes(name) for name in ("category", "brand")}

    @cached_property
    def commonness(self) -> dict[str, np.ndarray]:
        """Share of the catalogue that has each code of `shelves`."""
        return {name: np.bincount(code[code >= 0]) / len(code) for name, code in self.shelves.items()}


def group_weights(features: Sequence[str]) -> np.ndarray:
    """1 where a feature speaks of a group, float32 (features, groups) in the order of `GROUPS`."""
    return np.array([[_speaks_of(name, prefixes) for prefixes in GROUPS.values()] for name in features], dtype=np.float32)


def _speaks_of(feature: str, prefixes: tuple[str, ...]) -> bool:
    return feature in prefixes or any(prefix.endswith("_") and feature.startswith(prefix) for prefix in prefixes)


@dataclass(frozen=True)
class Facts:
    """What is true of one candidate. at: its user and place. items, ages: what the user bought, how many days ago. partner: or -1."""

    of: Reasons
    candidates: Candidates
    at: tuple[int, int]
    items: np.ndarray
    ages: np.ndarray
    partner: int

    def first_true(self, groups: list[str]) -> Told:
        """The first sentence that can be said; how it sells, if none can."""
        tellers: dict[str, Callable[[], Told | None]] = {
            "repeat": self._repeat,
            "item_knn": self._together,
            "close": self._close,
            "category": lambda: self._shelf("category", "you often buy from {}"),
            "brand": lambda: self._shelf("brand", "you often buy {}"),
            "popular": self._popular,
            "price": lambda: None,  # nobody buys a thing because of what it usually costs
        }
        arrival = self.candidates.features.get(ARRIVAL_SCORE)
        if arrival is not None and not np.isnan(arrival[self.at]) and (close := self._close()):
            return Told(f"new here, {close.text}", close.named)
        return next((told for group in groups if (told := tellers[group]())), self._neutral())

    @property
    def _row(self) -> int:
        return int(self.candidates.rows[self.at])

    def _title(self, row: int) -> str:
        return self.of.catalog.frame["title"][row]

    def _repeat(self) -> Told | None:
        times = np.unique(self.ages[self.items == self._row])
        if not len(times):
            return None
        last = float(times[0])
        ago = "just now" if last < 1 / 24 else "today" if last < 1 else f"{last:.0f} day{'s' * (round(last) != 1)} ago"
        if len(times) < 2:
            return Told(f"bought once, {ago}", (self._row,))
        gap = float(times[-1] - times[0]) / (len(times) - 1)
        every = f", about every {max(gap, 1):.0f} day{'s' * (round(max(gap, 1)) != 1)}" if gap >= 0.5 else ""
        return Told(f"bought {len(times)} times{every}, last {ago}", (self._row,))

    def _together(self) -> Told | None:
        return Told(f"bought together with {self._title(self.partner)}", (self.partner,)) if self.partner >= 0 else None

    def _close(self) -> Told | None:
        others = np.unique(self.items[self.items != self._row])
        if not len(others):
            return None
        vectors = self.of.text_vectors
        near = vectors[self.of.text_of[others]] @ vectors[self.of.text_of[self._row]]
        nearest = int(others[near.argmax()])
        return Told(f"close to {self._title(nearest)} that you bought", (nearest,))

    def _shelf(self, column: str, words: str) -> Told | None:
        code, row = self.of.shelves[column], self._row
        if code[row] < 0 or self.of.commonness[column][code[row]] > COMMON:
            return None
        same = code[self.items] == code[row]
        if len(np.unique(self.ages[same])) < 2:
            return None
        text = words.format(self.of.catalog.frame[column][self._row].rsplit("|", 1)[-1].strip())
        return Told(text, tuple(np.unique(self.items[same]).tolist()))

    def _neutral(self) -> Told:
        if UNSOLD_SCORE in self.candidates.features:
            return Told("nobody has bought it yet")
        buyers = int(self.candidates.features[ITEM_BUYERS_28][self.at])
        return Told(f"{f'{buyers:,}' if buyers else 'no'} buyer{'s' * (buyers != 1)} in the last 28 days")

    def _popular(self) -> Told | None:
        buyers = float(self.candidates.features[ITEM_BUYERS_7][self.at])
        return Told(f"popular this week: {buyers:,.0f} buyers") if buyers >= POPULAR_BUYERS else None
