"""Rows that rest on what is in view or in the basket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from recsys.apps.storefront.rows.row import PlainRow, Said
from retrieval.related.alternatives import Alternatives
from retrieval.related.complements import ComplementRetriever

if TYPE_CHECKING:
    from recsys.apps.storefront.visit import Visit
    from retrieval.candidates import Candidates


@dataclass(frozen=True)
class BoughtTogether(PlainRow):
    """Complements: what customers put into the same basket. What they would take instead is left out."""

    title: str = "Bought together"
    retriever: str = "complements: in one basket more often than by chance, without substitutes"

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        if not len(visit.in_hand.item):
            return "the page has no item and the basket is empty"
        related = visit.recommender.snapshot.related
        if not related.built:
            return "the bundle was built without complements: build it again"
        return None if related.complements.weights[visit.in_hand.item].nnz else "nothing is bought together with it"

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        snapshot = visit.recommender.snapshot
        return ComplementRetriever(snapshot.related.complements, snapshot.category_texts).retrieve(visit.in_hand, k, mask)

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        partner, _ = visit.recommender.snapshot.related.complements.strongest(visit.in_hand, found.rows)
        return [Said(None, f"often bought together with {visit.title(row)}") for row in partner[0].tolist()]


@dataclass(frozen=True)
class AlternativesTo(PlainRow):
    """What a customer could take instead of the item in view, or of the last one in the basket."""

    title: str = "Instead of {}"
    retriever: str = "items of the category with a similar text and price"
    spreads = False

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        return None if len(visit.in_hand.item) else "the page has no item and the basket is empty"

    def subject(self, visit: Visit) -> str:
        """See `RowKind`."""
        return visit.title(self._item(visit))

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        snapshot = visit.recommender.snapshot
        source = Alternatives.of(snapshot.catalog, snapshot.category_texts, snapshot.prices)  # made anew: prices and stock change
        return source.retrieve(Histories.of_baskets([[self._item(visit)]], snapshot.now), k, mask)

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        prices = visit.recommender.snapshot.prices
        own = prices[self._item(visit)]
        return [Said(None, f"similar{_compared(price, own)}") for price in prices[found.rows[0]].tolist()]

    def _item(self, visit: Visit) -> int:
        return int(visit.in_hand.item[-1])


def _compared(price: float, own: float) -> str:
    """Return how a price compares, in words; empty where one is unknown or 0."""
    if np.isnan(price) or np.isnan(own) or not own:
        return ""
    change = 100 * (price - own) / own
    if abs(change) < 0.5:
        return ", at the same price"
    return f", {abs(change):.0f}% {'cheaper' if change < 0 else 'dearer'}"
