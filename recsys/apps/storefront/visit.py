"""What is known of a visitor when a page is made: history, basket, the item or category in view, and what may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.names import CART, EVENTS, VIEW
from ranking.variants import bar_products
from recsys.recommend.pipeline import RequestGroup
from recsys.recommend.request import RecommendOptions

if TYPE_CHECKING:
    from recsys.apps.storefront.request import PageRequest
    from recsys.recommend.pipeline import Recommender

LOOKED_AT = tuple(EVENTS.index(kind) for kind in (VIEW, CART))


@dataclass(frozen=True)
class Visit:
    """One visitor of one page.

    Attributes
    ----------
    group : the visitor's request for a list: histories of one user, and the route that answers it.
    basket : catalogue rows of the basket's items, oldest first.
    item : catalogue row of the item of a product page.
    viewed : catalogue rows of `PageRequest.viewed`, oldest first.
    mask : what may be shown, bool (n_items,).
    notes : what of the request was not used.
    """

    recommender: Recommender
    request: PageRequest
    group: RequestGroup
    basket: tuple[int, ...]
    item: int | None
    viewed: tuple[int, ...]
    mask: np.ndarray
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, recommender: Recommender, request: PageRequest, depth: int, recent: Histories | None = None, *, merchandising: bool = True
    ) -> Visit:
        """Look up what a request names.

        Parameters
        ----------
        depth : how many items the list for the visitor must hold.
        recent : what the user did after the snapshot.
        merchandising : whether the list has what rules want to show in it, ranked with the others.

        Raises
        ------
        DataError
            The item of a product page, or the category, is unknown.
        """
        catalog = recommender.snapshot.catalog
        basket, left_out = _known(recommender, request.basket)
        viewed, never_seen = _known(recommender, request.viewed)
        notes = [
            f"{some} of {len(given)} items of {name} are not in the catalogue: left out"
            for some, given, name in ((left_out, request.basket, "the basket"), (never_seen, request.viewed, "those viewed"))
            if some
        ]
        item = None if request.item is None else int(catalog.rows_or_raise([request.item])[0])
        held = [str(catalog.ids[row]) for row in (*basket, *(() if item is None else (item,)))]
        options = RecommendOptions(
            history=tuple(str(catalog.ids[row]) for row in basket),
            k=depth,
            category=request.category,
            max_price=request.max_price,
            in_stock=request.in_stock,
            exclude=tuple(held),
            page=request.page,
            row="for_you",
            merchandising=merchandising,
        )
        ((_, group),) = RequestGroup.groups(recommender, options, [request.user], recent)
        mask = (group.mask if group.mask.ndim == 1 else group.mask[0]).copy()
        bar_products(mask, catalog.groups, [*basket, *([] if item is None else [item])])
        return cls(recommender, request, group, tuple(basket), item, tuple(viewed), mask, tuple(notes))

    @property
    def histories(self) -> Histories:
        """The visitor's history, of one user."""
        return self.group.histories

    @cached_property
    def known(self) -> bool:
        """Whether anything is known of the visitor."""
        return bool(self.histories.lengths.any())

    @cached_property
    def in_hand(self) -> Histories:
        """The basket and the item in view as a history of one user."""
        return Histories.of_baskets([[*self.basket, *(() if self.item is None else (self.item,))]], self.recommender.snapshot.now)

    @cached_property
    def looked_at(self) -> np.ndarray:
        """Rows of the items that the visitor looked at, the latest first, each once, int64 (m,)."""
        seen = self.histories.item[np.isin(self.histories.event, LOOKED_AT)].astype(np.int64)
        latest_first = np.concatenate([seen, np.array(self.viewed, dtype=np.int64)])[::-1]
        return latest_first[np.sort(np.unique(latest_first, return_index=True)[1])]

    def title(self, row: int) -> str:
        """Return the title of an item."""
        return str(self.recommender.snapshot.catalog.frame["title"][row])


def _known(recommender: Recommender, items: tuple[str, ...]) -> tuple[list[int], int]:
    """Return the rows of the items that the catalogue has, and how many it has not."""
    rows = recommender.snapshot.catalog.rows(items).tolist() if items else []
    known = [row for row in rows if row >= 0]
    return known, len(rows) - len(known)
