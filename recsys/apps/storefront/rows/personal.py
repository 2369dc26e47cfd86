"""Rows that rest on what the visitor did: the list for them, what they bought before, what they looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.names import DUE_IN_DAYS, EASE_SCORE
from recsys.apps.storefront.rows.row import PlainRow, Said, listed
from recsys.recommend.present import present
from retrieval.collaborative.scoring import TopScores

if TYPE_CHECKING:
    from recsys.apps.storefront.visit import Visit
    from retrieval.candidates import Candidates

NOTHING_KNOWN = "nothing is known of the visitor"


@dataclass(frozen=True)
class ForYou(PlainRow):
    """The items that the visitor is most likely to buy: the list of `recsys recommend`.

    Attributes
    ----------
    ranked : the list, of one visitor; its ranking is a stage of the page of its own.
    by_model : whether the scores are the ranker's probabilities.
    """

    ranked: Candidates
    by_model: bool
    title: str = "For you"
    retriever: str = "two towers, collaborative models and history, ranked by probability of purchase"

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        return None if visit.known else NOTHING_KNOWN

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        del visit
        rows = self.ranked.rows[0]
        places = np.flatnonzero((rows >= 0) & mask[np.maximum(rows, 0)])[:k]
        return self.ranked.take(places[None])

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        group = visit.group
        (answer,) = present(visit.recommender, group.options, group.users, found, personal=group.personal, ranked=self.by_model)
        return [Said(item.probability, item.reason) for item in answer.items]


@dataclass(frozen=True)
class BuyAgainRow(PlainRow):
    """What the visitor bought before and will soon need again, by the chance that they buy it within the next days."""

    title: str = "Buy again"
    retriever: str = "own purchases that are due, by the gaps between them"

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        if not visit.recommender.snapshot.buys_again:
            return "customers of this shop do not buy an item again"
        return None if visit.known else NOTHING_KNOWN

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        return visit.recommender.snapshot.related.buy_again.retrieve(visit.histories, k, mask)

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        bought = visit.histories.purchases
        said = []
        for place, row in enumerate(found.rows[0].tolist()):
            since = float(np.nanmin(bought.days[bought.item == row]))
            usual = max(1, round(since + float(found.features[DUE_IN_DAYS][0, place])))
            last = f"{round(since)} day{'s' * (round(since) != 1)} ago" if round(since) else "today"
            said.append(Said(float(found.scores[0, place]), f"usually every {usual} day{'s' * (usual != 1)}, last {last}"))
        return said


@dataclass(frozen=True)
class BecauseYouBought(PlainRow):
    """What customers buy who bought the visitor's latest purchase."""

    title: str = "Because you bought {}"
    retriever: str = "EASE from one purchase"

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        if self._purchase(visit) is None:
            return "no purchase of the visitor has neighbours" if visit.known else NOTHING_KNOWN
        return None

    def subject(self, visit: Visit) -> str:
        """See `RowKind`."""
        purchase = self._purchase(visit)
        return "" if purchase is None else visit.title(purchase)

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        snapshot = visit.recommender.snapshot
        purchase = Histories.of_baskets([[row for row in (self._purchase(visit),) if row is not None]], snapshot.now)
        return TopScores(snapshot.collaborative.ease, EASE_SCORE).retrieve(purchase, k, mask)

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        reason = f"bought by customers who bought {self.subject(visit)}"
        return [Said(None, reason)] * int(found.valid.sum())

    def _purchase(self, visit: Visit) -> int | None:
        """The latest purchase outside the basket that has neighbours: EASE has some only for items that enough customers bought."""
        ease = visit.recommender.snapshot.collaborative.ease
        bought = visit.histories.purchases.item[::-1].astype(np.int64)
        bought = bought[~np.isin(bought, visit.basket)]
        neighbours = np.diff(ease.weights.indptr)[bought] > 0
        return int(bought[neighbours.argmax()]) if neighbours.any() else None


@dataclass(frozen=True)
class RecentlyViewed(PlainRow):
    """What the visitor looked at, the latest first."""

    title: str = "Recently viewed"
    retriever: str = "the visitor's views and carts"
    in_order = True

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        return None if len(visit.looked_at) else "no view of the visitor is known"

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        return listed(visit, visit.looked_at[mask[visit.looked_at]][:k])

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        del visit
        return [Said(None, "you looked at it")] * int(found.valid.sum())
