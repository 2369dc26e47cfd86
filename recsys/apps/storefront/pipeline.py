"""The storefront of one bundle: makes pages, and turns their rows over.

The list for the visitor is the one that `recsys recommend` gives, with the same stages: retrieve, rank, present. The other rows are cheap
and are filled while the page is presented.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ranking.merchandising.place import ROWS
from recsys.apps.storefront.answers import PageAnswer, RowAnswer
from recsys.apps.storefront.page import Page
from recsys.apps.storefront.places import Places
from recsys.apps.storefront.request import PageRequest, RowRequest
from recsys.apps.storefront.rows.personal import BecauseYouBought, BuyAgainRow, ForYou, RecentlyViewed
from recsys.apps.storefront.rows.related import AlternativesTo, BoughtTogether
from recsys.apps.storefront.rows.shop import NewArrivals, Popular, Trending, TrendingHere
from recsys.apps.storefront.visit import Visit
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from features.data.histories import Histories
    from ranking.merchandising.place import RowName
    from recsys.apps.storefront.request import RowTurn
    from recsys.apps.storefront.rows.row import RowKind
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.apps.storefront import StorefrontConfig
    from recsys.workspace.workspace import Workspace


@dataclass(frozen=True)
class Storefront:
    """The rows over one recommender.

    Attributes
    ----------
    places : None where `StorefrontConfig.place` names no attribute.
    """

    recommender: Recommender
    config: StorefrontConfig
    places: Places | None = None

    @classmethod
    def open(cls, recommender: Recommender, config: StorefrontConfig, workspace: Workspace) -> Storefront:
        """Open the rows with what the workspace's table of customers says.

        Raises
        ------
        DataError
            `StorefrontConfig.place` names an attribute that no customer has.
        """
        customers = workspace.load_customers() if config.place else None
        return cls(recommender, config, Places.read(customers, config.place) if customers and config.place else None)

    def answer(self, request: PageRequest, recent: Histories | None = None, config: StorefrontConfig | None = None) -> PageAnswer:
        """Make a page.

        Parameters
        ----------
        recent : what the user did after the snapshot.
        config : other settings than the storefront's.

        Raises
        ------
        DataError
            See `PageRequest.layout` and `Visit.of`.
        """
        stages = PageStages.of(self, request, recent, config)
        return stages.present(stages.rank(stages.retrieve()))[0]

    def turn(self, turn: RowTurn, recent: Histories | None = None) -> RowAnswer:
        """Turn a row over: the items that follow, in the order that the page gave them, from whatever bundle is in use by now.

        Raises
        ------
        DataError
            The item of the product page, or the category, is not in the catalogue any more.
        """
        stages = TurnStages.of(self, turn, recent)
        return stages.present(stages.rank(stages.retrieve()))[0]

    def warm(self) -> None:
        """Make a page of all rows, so that the first visitor does not wait for what they count."""
        users, items = self.recommender.snapshot.log.user_ids[:1].tolist(), self.recommender.snapshot.catalog.ids[:1].tolist()
        for user in (None, *users):
            self.answer(PageRequest("home", user, basket=tuple(items), rows=tuple(RowRequest(name, 1) for name in ROWS)))

    @cached_property
    def kinds(self) -> dict[RowName, RowKind]:
        """The rows that need no ranking."""
        return {
            "buy_again": BuyAgainRow(),
            "bought_together": BoughtTogether(),
            "alternatives": AlternativesTo(),
            "because_you_bought": BecauseYouBought(),
            "recently_viewed": RecentlyViewed(),
            "trending": Trending(self.recommender),
            "trending_here": TrendingHere(self.recommender, self.places),
            "new_arrivals": NewArrivals(self.recommender, self.recommender.model.retrieval.arrival_days),
            "popular": Popular(),
        }


@dataclass(frozen=True)
class VisitStages:
    """The stages of an answer to one visitor: those of the list for the visitor, where the answer has one.

    Attributes
    ----------
    config : the storefront's, or that of an arm of an experiment.
    listed : whether the answer has the row `for_you`, and something is known of the visitor.
    """

    storefront: Storefront
    config: StorefrontConfig
    visit: Visit
    listed: bool

    @property
    def ranks(self) -> bool:
        """Whether there is a ranking stage."""
        return self.listed and self.visit.group.ranks

    def retrieve(self) -> Candidates:
        """Find candidates of the list for the visitor."""
        if self.listed:
            return self.visit.group.retrieve()
        return Candidates(self.visit.histories, np.empty((1, 0), dtype=np.int64), np.empty((1, 0), dtype=np.float32))

    def rank(self, candidates: Candidates) -> Candidates:
        """Order them by probability of purchase."""
        return self.visit.group.rank(candidates) if self.listed else candidates

    def unranked(self, candidates: Candidates) -> Candidates:
        """Keep the order of retrieval."""
        return self.visit.group.unranked(candidates) if self.listed else candidates

    def kind(self, name: RowName, best: Candidates, *, degraded: bool) -> RowKind:
        """Return a row, the list for the visitor being `best`."""
        return ForYou(best, self.ranks and not degraded) if name == "for_you" else self.storefront.kinds[name]


@dataclass(frozen=True)
class PageStages(VisitStages):
    """The stages of a page."""

    layout: tuple[tuple[RowName, int], ...]

    @classmethod
    def of(
        cls, storefront: Storefront, request: PageRequest, recent: Histories | None = None, config: StorefrontConfig | None = None
    ) -> PageStages:
        """Look up what a request names; `config` None takes the storefront's."""
        config = config or storefront.config
        layout = request.layout(config)
        places = sum(k for _, k in layout)
        # The list for the visitor must survive the rows above it.
        visit = Visit.of(storefront.recommender, request, places + config.depth, recent, merchandising=config.merchandising)
        listed = visit.known and any(name == "for_you" for name, _ in layout)
        return cls(storefront, config, visit, listed, tuple(layout))

    def present(self, best: Candidates, *, degraded: bool = False) -> list[PageAnswer]:
        """Fill the rows. degraded: `best` is `unranked` though there is a ranker."""
        config, visit = self.config, self.visit
        layout: list[tuple[RowName, RowKind, int]] = [(name, self.kind(name, best, degraded=degraded), k) for name, k in self.layout]
        page = Page.of(visit, layout, config)
        for row in layout:
            page.add(*row)
        request = visit.request
        rows = page.finish()
        bundle_id = self.storefront.recommender.bundle_id
        return [PageAnswer(request.page, request.user, bundle_id, uuid.uuid4().hex, rows, page.left_out, visit.notes)]


@dataclass(frozen=True)
class TurnStages(VisitStages):
    """The stages of turning a row over: only the items that follow are candidates."""

    turn: RowTurn

    @classmethod
    def of(cls, storefront: Storefront, turn: RowTurn, recent: Histories | None = None) -> TurnStages:
        """Look up what the page's request named, and the items."""
        visit = Visit.of(storefront.recommender, turn.request, len(turn.items), recent, merchandising=False)
        rows = storefront.recommender.snapshot.catalog.rows(turn.items)
        mask = np.zeros(len(visit.mask), dtype=bool)
        mask[rows[rows >= 0]] = True
        mask &= visit.mask
        visit = replace(visit, mask=mask, group=replace(visit.group, mask=mask))
        return cls(storefront, storefront.config, visit, visit.known and turn.row == "for_you", turn)

    def present(self, best: Candidates, *, degraded: bool = False) -> list[RowAnswer]:
        """Put the items into the page's order. degraded: `best` is `unranked` though there is a ranker."""
        turn = self.turn
        row = Page.of(self.visit, (), self.config).turned(turn, self.kind(turn.row, best, degraded=degraded))
        return [RowAnswer(self.storefront.recommender.bundle_id, row)]
