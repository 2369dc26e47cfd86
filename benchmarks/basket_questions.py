"""Baskets without one of their items: the questions of `benchmarks.complements`, and which items would replace one of the basket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.data.interactions import DAY
from retrieval.collaborative.popularity import Popularity
from retrieval.related.complements import ComplementsConfig
from retrieval.related.purchases import Baskets
from retrieval.related.substitutes import CategoryTexts, SameCustomers, Substitutes, row_products

if TYPE_CHECKING:
    from collections.abc import Sequence

    import scipy.sparse as sp

    from features.data.interactions import Interactions

K = 10
WINDOW = 28 * DAY
BATCH = 256
Lists = Callable[[list[np.ndarray]], np.ndarray]  # ranked rows (b, n) for each of b baskets, padded with -1


@dataclass(frozen=True)
class Questions:
    """Baskets without one of their items."""

    user: np.ndarray
    baskets: list[np.ndarray]
    target: np.ndarray


@dataclass(frozen=True)
class Bench:
    """A log at a cut, with the texts of its items.

    Attributes
    ----------
    towers : the texts as the towers see them, for `recsys similar`.
    """

    log: Interactions
    cut: int
    texts: CategoryTexts
    towers: CategoryTexts

    @cached_property
    def history(self) -> Interactions:
        """What was known at the cut."""
        return self.log.between(None, self.cut)

    @cached_property
    def known(self) -> np.ndarray:
        """Items that had sold, bool (n_items,)."""
        return np.bincount(self.history.item, minlength=self.log.n_items) > 0

    @cached_property
    def popularity(self) -> np.ndarray:
        """Recent buyers of each item."""
        return Popularity.fit(self.history, self.cut).ranking

    @cached_property
    def past(self) -> Baskets:
        """All baskets before the cut."""
        return Baskets.of(self.history)

    @cached_property
    def _rule(self) -> Substitutes:
        return Substitutes(self.texts, SameCustomers.of(self.past), ComplementsConfig().near)

    @cached_property
    def _by_item(self) -> sp.csr_array:
        return self.past.matrix.T.tocsr()

    def substitutes(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return which pairs of items are substitutes as known at the cut, bool (m,)."""
        found = self.texts.same_category(first, second)
        pairs = np.flatnonzero(found)
        first, second = first[pairs], second[pairs]
        found[pairs] = self._rule.among(first, second, row_products(self._by_item, first, second))
        return found

    def questions(self, seed: int, count: int) -> Questions:
        """Draw baskets of the window after the cut, and an item of each."""
        window = Baskets.of(self.log.between(self.cut, self.cut + WINDOW))
        draw = np.random.default_rng(seed)
        user, baskets, target = [], [], []
        lines = np.split(window.item, np.searchsorted(window.basket, np.arange(1, len(window))))
        for basket in draw.permutation(len(window))[:count].tolist():
            items = lines[basket][self.known[lines[basket]]]
            if len(items) < 2:
                continue
            pair = self.substitutes(np.repeat(items, len(items)), np.tile(items, len(items))).reshape(len(items), -1)
            np.fill_diagonal(pair, val=False)
            eligible = np.flatnonzero(~pair.any(axis=1))
            if not len(eligible):
                continue
            place = int(draw.choice(eligible))
            user.append(window.user[basket])
            baskets.append(np.delete(items, place))
            target.append(items[place])
        return Questions(np.array(user), baskets, np.array(target))

    def without_substitutes(self, lists: np.ndarray, baskets: Sequence[np.ndarray]) -> np.ndarray:
        """Leave out of each list what could replace an item of the basket, and keep the order of the others."""
        user = np.repeat(np.arange(len(baskets)), [len(basket) * lists.shape[1] for basket in baskets])
        first = np.concatenate([np.repeat(basket, lists.shape[1]) for basket in baskets])
        place = np.concatenate([np.tile(np.arange(lists.shape[1]), len(basket)) for basket in baskets])
        second = lists[user, place]
        real = second >= 0
        hit = np.zeros(len(second), dtype=bool)
        hit[real] = self.substitutes(first[real], second[real])
        drop = np.zeros(lists.shape, dtype=bool)
        drop[user[hit], place[hit]] = True
        order = np.argsort(drop, axis=1, kind="stable")
        return np.take_along_axis(np.where(drop, -1, lists), order, axis=1)

    def found_at(self, lists: Lists, questions: Questions, *, filtered: bool) -> np.ndarray:
        """Return the place of each target in its list, from 1; inf beyond `K`."""
        places = []
        for begin in range(0, len(questions.target), BATCH):
            part = slice(begin, begin + BATCH)
            rows = lists(questions.baskets[part])
            rows = (self.without_substitutes(rows, questions.baskets[part]) if filtered else rows)[:, :K]
            same = rows == questions.target[part, None]
            places.append(np.where(same.any(axis=1), same.argmax(axis=1) + 1.0, np.inf))
        return np.concatenate(places)
