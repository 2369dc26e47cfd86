"""Rows that are the same for every visitor: what sells, and what is new."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from recsys.apps.storefront.rows.row import PlainRow, Said
from retrieval.collaborative.scoring import TopOfAll

if TYPE_CHECKING:
    from recsys.apps.storefront.visit import Visit
    from recsys.recommend.pipeline import Recommender
    from retrieval.candidates import Candidates


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
        return [Said(None, f"new, {_ago(self._age[row])}; {buyers.sales(row)}") for row in found.rows[0].tolist()]


def _ago(days: float) -> str:
    whole = int(days)
    return "since today" if whole < 1 else f"since {whole} day{'s' * (whole != 1)} ago"
