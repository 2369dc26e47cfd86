"""Fills the rows of a page from top to bottom, so that no product stands on it twice and no category takes it over."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ranking.diversity import diversify
from ranking.merchandising.place import Place
from ranking.variants import bar_products
from recsys.apps.storefront.answers import Placed, Row
from recsys.apps.storefront.exploration import explore
from recsys.apps.storefront.rows.row import Said, listed
from recsys.recommend.request import MAX_PER_GROUP

if TYPE_CHECKING:
    from ranking.merchandising.facts import ActiveRules
    from ranking.merchandising.place import RowName
    from recsys.apps.storefront.request import RowTurn
    from recsys.apps.storefront.rows.row import RowKind
    from recsys.apps.storefront.visit import Visit
    from recsys.settings.apps.storefront import StorefrontConfig
    from retrieval.candidates import Candidates

NOTHING_LEFT = "nothing that may be shown is left for it"
Layout = Sequence[tuple["RowName", "RowKind", int]]  # rows from top to bottom, and how many items each shows


@dataclass(frozen=True)
class Filled:
    """One row with what it shows now and later.

    Attributes
    ----------
    found : the list that the row found, of one visitor.
    shown : rows of the items that it shows; a rule may show some that the row did not find.
    rules, propensity : of each item, the rule that placed it, and the probability that it is shown there.
    later : rows of the items that follow, best first.
    best : rows of the items that stand there where chance draws nothing.
    held : rows of the items that chance may show here, and no other row may.
    """

    name: RowName
    kind: RowKind
    impression_id: str
    found: Candidates
    shown: list[int]
    rules: Sequence[str | None]
    propensity: np.ndarray
    later: list[int]
    best: list[int]
    held: frozenset[int] = frozenset()


@dataclass
class Page:
    """A page that is being filled.

    Attributes
    ----------
    categories : code of each item's category, int (n_items,), -1 for none; None: no category is kept from taking over.
    most : how many places of the page one category may take while others have something to show.
    pinned : row of the page -> items that a rule pins there: no other row shows them or their variants.
    """

    visit: Visit
    config: StorefrontConfig
    categories: np.ndarray | None
    most: int
    pinned: dict[RowName, list[int]] = field(default_factory=dict)
    rows: list[Filled] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._free = self.visit.mask.copy()
        self._places: Counter[int] = Counter()
        self._groups = self.visit.recommender.snapshot.catalog.groups

    @classmethod
    def of(cls, visit: Visit, layout: Layout, config: StorefrontConfig) -> Page:
        """Begin a page of some rows."""
        categories = None if visit.request.page == "category" else visit.recommender.reasons.shelves["category"]
        most = max(2, math.ceil(config.category_share * sum(k for _, _, k in layout)))
        page = cls(visit, config, categories, most)
        if visit.recommender.rules.pin:
            page._keep_pinned(layout)
        return page

    def _keep_pinned(self, layout: Layout) -> None:
        """Keep each pinned item for the first row that pins it and can show it."""
        kept: set[int] = set()
        for name, kind, k in layout:
            rules = self._rules(name)
            if rules is not None and kind.missing(self.visit) is None:
                mine = [item for position, (item, _) in rules.pins.items() if position <= k and item not in kept and self._free[item]]
                self.pinned[name] = mine
                kept.update(mine)

    def _rules(self, name: RowName) -> ActiveRules | None:
        """Return the rules of merchandising.toml that hold for a row; None where none does."""
        request = self.visit.request
        place = Place(request.page, name, request.category)
        return self.visit.recommender.rules_at(place, MAX_PER_GROUP) if self.config.merchandising else None

    def add(self, name: RowName, kind: RowKind, k: int) -> None:
        """Add a row of k items below the others."""
        allowed = self._free.copy()
        bar_products(allowed, self._groups, [item for other, items in self.pinned.items() if other != name for item in items])
        why = kind.missing(self.visit)
        found = None if why else self._ordered(kind.retrieve(self.visit, k + self.config.depth, allowed), kind, k, allowed)
        filled = None if found is None else self._filled(name, kind, found, k, allowed)
        if filled is None or not filled.shown:
            self.left_out[name] = why or NOTHING_LEFT
            return
        # What rows below show must not depend on what chance drew here, and so must neither their propensities.
        for item in filled.best:
            self._take(item)
        bar_products(self._free, self._groups, list(filled.held))
        self.rows.append(filled)

    def finish(self) -> tuple[Row, ...]:
        """Return the rows. What follows when one is turned over stands neither on the page nor in what follows another."""
        done = []
        for row in self.rows:
            rest = []
            for item in row.later[: self.config.depth]:
                if self._free[item] or item in row.held:
                    self._take(item)
                    rest.append(item)
            placed = self._placed(row.shown, row.found, row.kind)
            items = [
                replace(item, rule=rule, propensity=propensity)
                for item, rule, propensity in zip(placed, row.rules, row.propensity.tolist(), strict=True)
            ]
            done.append(self._row(row.name, row.kind, items, rest, row.impression_id))
        return tuple(done)

    def turned(self, turn: RowTurn, kind: RowKind) -> Row:
        """Return the next part of a row in the order that the page gave it."""
        wanted = self.visit.recommender.snapshot.catalog.rows(turn.items).tolist()
        permitted = [row for row in wanted if row >= 0 and self._free[row]]
        found = listed(self.visit, np.array(permitted))
        if kind.missing(self.visit) is None:
            found = kind.retrieve(self.visit, len(wanted), self._free)
        now, rest = permitted[: turn.k], permitted[turn.k :]
        items = self._placed(now, found, kind, turn.after)
        return replace(self._row(turn.row, kind, items, rest, uuid.uuid4().hex), gone=len(wanted) - len(permitted))

    def _take(self, item: int) -> None:
        bar_products(self._free, self._groups, [item])
        if self.categories is not None:
            self._places[int(self.categories[item])] += 1

    def _ordered(self, found: Candidates, kind: RowKind, k: int, allowed: np.ndarray) -> Candidates:
        """Return a list as it is shown, without padding: one item of a product, categories that have their share of the page last."""
        if self.config.diversity and not kind.in_order:
            found = diversify(found, self.visit.recommender.snapshot.vectors_of, self.config.diversity, found.rows.shape[1])
        groups, places = self._groups, self._places.copy()
        first: list[int] = []
        later: list[int] = []
        seen: set[int] = set()
        for place, item in enumerate(found.rows[0].tolist()):
            group = item if groups is None else int(groups[item])
            if item < 0 or not allowed[item] or group in seen:
                continue
            seen.add(group)
            code = -1 if self.categories is None or kind.in_order or not kind.spreads else int(self.categories[item])
            if len(first) == k or (code >= 0 and places[code] >= self.most):
                later.append(place)
            else:
                places[code] += 1
                first.append(place)
        return found.take(np.array([first + later], dtype=np.int64).reshape(1, -1))

    def _filled(self, name: RowName, kind: RowKind, ordered: Candidates, k: int, allowed: np.ndarray) -> Filled:
        """Arrange a row by the rules that hold there, or else let chance draw its lower places where exploration is on."""
        impression_id, rules = uuid.uuid4().hex, self._rules(name)
        if rules is not None:  # with what follows, so that the rules hold there too
            lists, (names,) = self.visit.recommender.arranged(ordered, k + self.config.depth, rules, allowed)
            items = lists.rows[0][lists.valid[0]].tolist()
            shown = items[:k]
            return Filled(name, kind, impression_id, ordered, shown, names[:k], np.ones(len(shown)), items[k:], shown)
        items = ordered.rows[0].tolist()
        drawn = explore(len(items), k, 0.0 if kind.in_order else self.config.exploration, impression_id)
        shown = [items[place] for place in drawn.order.tolist()]
        later, held = [item for item in items if item not in set(shown)], frozenset(items[: drawn.reach])
        return Filled(name, kind, impression_id, ordered, shown, (None,) * len(shown), drawn.propensity, later, items[:k], held)

    def _placed(self, rows: list[int], found: Candidates, kind: RowKind, after: int = 0) -> list[Placed]:
        """Return items with what the row says of them; of those that it did not find, how they sell.

        Parameters
        ----------
        after : the position before the first of them.
        """
        recommender = self.visit.recommender
        place = {row: at for at, row in enumerate(found.rows[0].tolist()) if row >= 0}
        known = [row for row in rows if row in place]
        own = found.take(np.array([place[row] for row in known], dtype=np.int64).reshape(1, -1))
        said = dict(zip(known, zip(own.scores[0].tolist(), kind.say(self.visit, own), strict=True), strict=True))
        placed = []
        for position, (row, fact) in enumerate(zip(rows, recommender.facts(np.array(rows, dtype=np.int64)), strict=True), start=after + 1):
            score, about = said[row] if row in said else (0.0, Said(None, recommender.buyers.sales(row)))
            placed.append(Placed(position, *fact, score, about.probability, about.reason))
        return placed

    def _row(self, name: RowName, kind: RowKind, items: list[Placed], rest: list[int], impression_id: str) -> Row:
        title = self.config.titles.get(name, kind.title).replace("{}", kind.subject(self.visit))
        ids = self.visit.recommender.snapshot.catalog.ids
        return Row(name, title, impression_id, kind.retriever, tuple(items), tuple(str(ids[item]) for item in rest))
