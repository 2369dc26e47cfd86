"""A true reason for each item: what moved its score most, told with the facts behind it.

The blend's contributions (TreeSHAP) are summed by what they speak of; the strongest positive one that can be told truthfully is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from features.catalog import Catalog
    from retrieval.candidates import Candidates
    from retrieval.collaborative import EASE

# What each group of features speaks of. Features of the user alone are the same for all items and explain none of them.
GROUPS: dict[str, tuple[str, ...]] = {
    "repeat": ("own_",),
    "together": ("ease", "ease_trend", "together", "als", "fused"),
    "close": ("tower", "cross_encoder"),
    "category": ("category_",),
    "brand": ("brand_",),
    "popular": ("item_",),
    "price": ("price_gap",),
}
POPULAR_BUYERS = 3  # fewer than these in a week are not "popular"


@dataclass(frozen=True)
class Reasons:
    """Tells reasons over one catalogue. text_vectors float32 (t, dim) and text_of int64 (n_items,): how close two items are."""

    catalog: Catalog
    ease: EASE
    text_vectors: np.ndarray
    text_of: np.ndarray

    def tell(self, candidates: Candidates, contributions: Mapping[str, np.ndarray]) -> list[list[str]]:
        """One sentence for each candidate of each user (b, k); an empty one where padded.

        contributions: of each feature to the log odds, float32 (b, k).
        """
        moved = {group: _moved(contributions, prefixes, candidates.rows.shape) for group, prefixes in GROUPS.items()}
        groups = list(moved)
        strength = np.stack([moved[group] for group in groups])  # (groups, b, k)
        together, _ = self.ease.strongest(candidates.users, candidates.rows)
        told = []
        for b in range(len(candidates.rows)):
            held = np.unique(candidates.users.item[candidates.users.user == b])
            sentences = []
            for k in range(candidates.rows.shape[1]):
                row = int(candidates.rows[b, k])
                facts = Facts(self, candidates, (b, k), held, int(together[b, k]))
                order = [groups[i] for i in np.argsort(-strength[:, b, k], kind="stable") if strength[i, b, k] > 0]
                sentences.append(facts.first_true([*order, *groups]) if row >= 0 else "")
            told.append(sentences)
        return told


def _moved(contributions: Mapping[str, np.ndarray], prefixes: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray:
    total = np.zeros(shape, dtype=np.float32)
    for name, column in contributions.items():
        if name in prefixes or any(prefix.endswith("_") and name.startswith(prefix) for prefix in prefixes):
            total = total + column
    return total


@dataclass(frozen=True)
class Facts:
    """What is true of one candidate. at: its user and place. held: items of the user's history. partner: its co-purchase, or -1."""

    of: Reasons
    candidates: Candidates
    at: tuple[int, int]
    held: np.ndarray
    partner: int

    def first_true(self, groups: list[str]) -> str:
        """The first sentence that can be said; that it suits the shop's buyers, if nothing else can."""
        tellers: dict[str, Callable[[], str | None]] = {
            "repeat": self._repeat,
            "together": self._together,
            "close": self._close,
            "category": lambda: self._shelf("category", "you often buy from {}"),
            "brand": lambda: self._shelf("brand", "you often buy {}"),
            "popular": self._popular,
            "price": lambda: None,  # nobody buys a thing because of what it usually costs
        }
        return next((told for group in groups if (told := tellers[group]())), "found among what similar shoppers buy")

    def _evidence(self, name: str) -> float:
        return float(self.candidates.evidence[name][self.at])

    def _title(self, row: int) -> str:
        return self.of.catalog.frame["title"][row]

    def _repeat(self) -> str | None:
        count, gap, last = (self._evidence(f"own_{name}") for name in ("count", "gap", "last"))
        if not count >= 1 or np.isnan(last):
            return None
        ago = "just now" if last < 1 / 24 else "today" if last < 1 else f"{last:.0f} day{'s' * (round(last) != 1)} ago"
        if count < 2:
            return f"bought once, {ago}"
        every = f", about every {max(gap, 1):.0f} day{'s' * (round(max(gap, 1)) != 1)}" if gap >= 0.5 else ""
        return f"bought {count:.0f} times{every}, last {ago}"

    def _together(self) -> str | None:
        row = int(self.candidates.rows[self.at])
        return f"bought together with {self._title(self.partner)}" if self.partner >= 0 and self.partner != row else None

    def _close(self) -> str | None:
        row = int(self.candidates.rows[self.at])
        others = self.held[self.held != row]
        if not len(others):
            return None
        vectors = self.of.text_vectors
        near = vectors[self.of.text_of[others]] @ vectors[self.of.text_of[row]]
        return f"close to {self._title(int(others[near.argmax()]))} that you bought"

    def _shelf(self, column: str, words: str) -> str | None:
        if not self._evidence(f"{column}_count") >= 2:
            return None
        name = self.of.catalog.frame[column][int(self.candidates.rows[self.at])]
        return words.format(name.rsplit("|", 1)[-1].strip()) if name else None

    def _popular(self) -> str | None:
        buyers = self._evidence("item_buyers_7")
        return f"popular this week: {buyers:,.0f} buyers" if buyers >= POPULAR_BUYERS else None
