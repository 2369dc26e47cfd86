"""Fills the rows of a page from top to bottom, so that no product stands on it twice and no category takes it over."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.apps.storefront.answers import Placed, Row
from recsys.apps.storefront.exploration import explore
from recsys.apps.storefront.rows.row import listed

if TYPE_CHECKING:
    from recsys.apps.storefront.request import Turn
    from recsys.apps.storefront.rows.row import RowKind
    from recsys.apps.storefront.visit import Visit
    from recsys.settings.apps.storefront import RowName, StorefrontConfig
    from retrieval.candidates import Candidates

IN_ORDER = ("recently_viewed",)  # rows that promise an order, of which nothing is drawn
NOTHING_LEFT = "nothing that may be shown is left for it"


@dataclass
class Filled:
    """One row with the places of its list that are shown now and later."""

    name: RowName
    kind: RowKind
    found: Candidates
    now: list[int]
    later: list[int]


@dataclass
class Page:
    """A page that is being filled.

    Attributes
    ----------
    categories : code of each item's category, int (n_items,), -1 for none; None: no category is kept from taking over.
    most : how many places of the page one category may take while others have something to show.
    """

    visit: Visit
    config: StorefrontConfig
    categories: np.ndarray | None
    most: int
    rows: list[Filled] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._free = self.visit.mask.copy()
        self._places: Counter[int] = Counter()

    @classmethod
    def of(cls, visit: Visit, places: int, config: StorefrontConfig) -> Page:
        """Begin a page of so many places."""
        categories = None if visit.request.page == "category" else visit.recommender.reasons.shelves["category"]
        return cls(visit, config, categories, max(2, math.ceil(config.category_share * places)))

    def add(self, name: RowName, kind: RowKind, k: int) -> None:
        """Add a row of k items below the others."""
        why = kind.missing(self.visit)
        found = None if why else kind.retrieve(self.visit, k + self.config.depth, self._free)
        ordered = [] if found is None else self._ordered(found, kind, k)
        if found is None or not ordered:
            self.left_out[name] = why or NOTHING_LEFT
            return
        for place in ordered[:k]:
            self._take(int(found.rows[0, place]))
        self.rows.append(Filled(name, kind, found, ordered[:k], ordered[k : k + self.config.depth]))

    def finish(self) -> tuple[Row, ...]:
        """Return the rows. What follows when one is turned over stands neither on the page nor in what follows another."""
        done = []
        for row in self.rows:
            later = []
            for place in row.later:
                item = int(row.found.rows[0, place])
                if self._free[item]:
                    self._take(item)
                    later.append(place)
            done.append(self._shown(row, row.now + later))
        return tuple(done)

    def _shown(self, row: Filled, ordered: list[int]) -> Row:
        """Return a row with the first of its places, or with lower ones drawn from what follows."""
        name, share = uuid.uuid4().hex, 0.0 if row.name in IN_ORDER else self.visit.request.exploration
        drawn = explore(len(ordered), len(row.now), share, name)
        now = [ordered[at] for at in drawn.order.tolist()]
        rest = [place for place in ordered if place not in set(now)]
        items = self._placed(row.found.take(np.array([now], dtype=np.int64)), row.kind)
        items = [replace(item, propensity=share) for item, share in zip(items, drawn.propensity.tolist(), strict=True)]
        return replace(self._row(row.name, row.kind, items, row.found.rows[0, rest].tolist()), impression_id=name)

    def turned(self, turn: Turn, kind: RowKind) -> Row:
        """Return the next part of a row in the order that the page gave it."""
        wanted = self.visit.recommender.snapshot.catalog.rows(turn.items).tolist()
        permitted = [row for row in wanted if row >= 0 and self._free[row]]
        found = listed(self.visit, np.array(permitted))
        if kind.missing(self.visit) is None:
            found = kind.retrieve(self.visit, len(wanted), self._free)
        place = {row: at for at, row in enumerate(found.rows[0].tolist()) if row >= 0}
        now, rest = permitted[: turn.k], permitted[turn.k :]
        still = [row for row in now if row in place]
        of_row = dict(zip(still, self._placed(found.take(np.array([[place[row] for row in still]], dtype=np.int64)), kind), strict=True))
        items = [of_row[row] if row in of_row else self._not_found(row) for row in now]
        numbered = [replace(item, position=turn.after + i) for i, item in enumerate(items, start=1)]
        return replace(self._row(turn.row, kind, numbered, rest), gone=len(wanted) - len(permitted))

    def _take(self, item: int) -> None:
        groups = self.visit.recommender.snapshot.catalog.groups
        self._free[item] = False
        if groups is not None:
            self._free[groups == groups[item]] = False
        if self.categories is not None:
            self._places[int(self.categories[item])] += 1

    def _ordered(self, found: Candidates, kind: RowKind, k: int) -> list[int]:
        """Return the places of a list as they are shown: one item of a product, categories that have their share last."""
        groups, places = self.visit.recommender.snapshot.catalog.groups, self._places.copy()
        first: list[int] = []
        later: list[int] = []
        seen: set[int] = set()
        for place, item in enumerate(found.rows[0].tolist()):
            group = item if groups is None else int(groups[item])
            if item < 0 or not self._free[item] or group in seen:
                continue
            seen.add(group)
            code = -1 if self.categories is None or not kind.spreads else int(self.categories[item])
            if len(first) == k or (code >= 0 and places[code] >= self.most):
                later.append(place)
            else:
                places[code] += 1
                first.append(place)
        return first + later

    def _placed(self, shown: Candidates, kind: RowKind) -> list[Placed]:
        """Return the items of a list without padding, with what the row says of them."""
        facts, scores = self.visit.recommender.facts(shown.rows[0]), shown.scores[0].tolist()
        return [
            Placed(position, *fact, score, said.probability, said.reason)
            for position, (fact, score, said) in enumerate(zip(facts, scores, kind.say(self.visit, shown), strict=True), start=1)
        ]

    def _not_found(self, row: int) -> Placed:
        """Return an item that the row would not find any more: it keeps its place, with what sells of it."""
        (fact,) = self.visit.recommender.facts(np.array([row]))
        return Placed(0, *fact, 0.0, None, self.visit.recommender.buyers.sales(row))

    def _row(self, name: RowName, kind: RowKind, items: list[Placed], rest: list[int]) -> Row:
        title = self.config.titles.get(name, kind.title).replace("{}", kind.subject(self.visit))
        ids = self.visit.recommender.snapshot.catalog.ids
        return Row(name, title, uuid.uuid4().hex, kind.retriever, tuple(items), tuple(str(ids[item]) for item in rest))
