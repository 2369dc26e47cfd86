"""Rows that are the same for every visitor: what sells, and what is new."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from recsys.apps.storefront.rows.row import PlainRow, Said
from retrieval.collaborative.scoring import TopOfAll
from retrieval.related.trending import Trend

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.apps.storefront.places import Places
    from recsys.apps.storefront.visit import Visit
    from recsys.recommend.pipeline import Recommender
    from retrieval.candidates import Candidates

KEPT_PLACES = 50
NO_GROWTH = "nothing has grown in the last week"


@dataclass(frozen=True)
class Popular(PlainRow):
    """What most shoppers bought in the last 28 days."""

    title: str = "Popular"
    retriever: str = "share of recent shoppers who bought it"

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        return visit.recommender.popular(visit.histories, k, mask)

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        buyers = visit.recommender.buyers
        return [Said(float(share), buyers.seller(row)) for row, share in zip(found.rows[0].tolist(), found.scores[0].tolist(), strict=True)]


@dataclass(frozen=True)
class NewArrivals(PlainRow):
    """Items that came into the catalogue, or were first sold, in the last weeks, by how they sell since.

    Attributes
    ----------
    days : for which an item is new.
    """

    recommender: Recommender
    days: float
    title: str = "New"
    retriever: str = "date of arrival and buyers since"

    @cached_property
    def _age(self) -> np.ndarray:
        """Days since each item came, float (n_items,); inf where nothing tells."""
        snapshot = self.recommender.snapshot
        created = snapshot.catalog.frame["created_at"].dt.epoch("s").cast(float).fill_null(float("nan")).to_numpy()
        log = snapshot.log
        if np.isnan(created).all() and log.moments is not None:  # a shop without dates of arrival: the first sale tells
            sold = np.isin(log.event, LABEL_EVENTS)
            first = np.full(len(snapshot.catalog), np.inf)
            np.minimum.at(first, log.item[sold], log.moments[sold])
            created = np.where(first > log.moments.min() + self.days * DAY, first, np.nan)
        return np.nan_to_num((snapshot.now - created) / DAY, nan=np.inf, neginf=np.inf)

    @cached_property
    def _source(self) -> TopOfAll:
        new = self._age <= self.days
        return TopOfAll(np.where(new, 1 + self.recommender.buyers.recent, 0).astype(np.float32), "score")

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        del visit
        return None if self._source.scores.any() else f"nothing came into the catalogue in the last {self.days:.0f} days"

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        return self._source.retrieve(visit.histories, k, mask)

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        buyers = visit.recommender.buyers
        return [Said(None, f"new, {_ago(float(self._age[row]))}; {buyers.sales(row)}") for row in found.rows[0].tolist()]


@dataclass(frozen=True)
class Trending(PlainRow):
    """What has more buyers this week than before."""

    recommender: Recommender
    title: str = "Trending"
    retriever: str = "growth of the buyers of the last week over the weeks before"

    @cached_property
    def _trend(self) -> Trend:
        return Trend.of(self.recommender.snapshot.log, self.recommender.snapshot.now)

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        del visit
        return None if self._trend.scores.any() else NO_GROWTH

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        return self._trend.retriever.retrieve(visit.histories, k, mask)

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        del visit
        return _grown(self._trend, found)


@dataclass(frozen=True)
class TrendingHere(PlainRow):
    """What has more buyers this week than before among the customers of the visitor's place.

    Attributes
    ----------
    places : None where `storefront.place` names no attribute of the table of customers.
    """

    recommender: Recommender
    places: Places | None
    title: str = "Trending in {}"
    retriever: str = "growth of the buyers of the last week in one place"

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        if self.places is None:
            return "storefront.place names no attribute of the table of customers"
        place = self._place(visit)
        if place is None:
            return "the visitor's place is not known"
        return None if self._trend(place).scores.any() else NO_GROWTH

    def subject(self, visit: Visit) -> str:
        """See `RowKind`."""
        return self._place(visit) or ""

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """See `RowKind`."""
        return self._trend(self.subject(visit)).retriever.retrieve(visit.histories, k, mask)

    def say(self, visit: Visit, found: Candidates) -> list[Said]:
        """See `RowKind`."""
        return _grown(self._trend(self.subject(visit)), found)

    def _place(self, visit: Visit) -> str | None:
        if self.places is None:
            return None
        return self.places.named(visit.request.place) if visit.request.place else self.places.of_user(visit.request.user)

    @cached_property
    def _trend(self) -> Callable[[str], Trend]:
        """The trend of a place, counted when it is first asked for; a trend has two numbers an item, so not all are kept."""
        snapshot, places = self.recommender.snapshot, self.places

        @lru_cache(maxsize=KEPT_PLACES)
        def counted(place: str) -> Trend:
            among = np.zeros(snapshot.log.n_users, dtype=bool) if places is None else places.users(place, snapshot.log.user_ids)
            return Trend.of(snapshot.log, snapshot.now, among=among)

        return counted


def _grown(trend: Trend, found: Candidates) -> list[Said]:
    lines = []
    for row in found.rows[0].tolist():
        buyers, expected = trend.buyers[row], trend.expected[row]
        lines.append(Said(None, f"{buyers:,.0f} buyers in the last {trend.days} days, {expected:,.0f} were to be expected"))
    return lines


def _ago(days: float) -> str:
    whole = int(days)
    return "since today" if whole < 1 else f"since {whole} day{'s' * (whole != 1)} ago"
