"""The parts that answer: retriever, ranker and reasons over one model and one snapshot, each built when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from features.behavior.recent_buyers import RecentBuyers
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import ARRIVAL_SCORE, BUYERS_28, BUYERS_EVER
from features.reviews.summary import praise
from features.storage.sorted_unique import sorted_unique
from ranking.blocklist import Blocklist
from ranking.merchandising.arrange import arrange_lists, as_ranked, beside, lowest_scores, with_rows
from ranking.merchandising.facts import ActiveLimit, Merchandising
from ranking.merchandising.rules import MerchandisingRules
from ranking.ranker import LOG_ODDS, GBDTRanker
from ranking.reasons import Reasons
from ranking.variants import GroupLimit
from retrieval.candidates import Candidates
from retrieval.hybrid import HybridRetriever
from retrieval.new_items.arrivals import Arrivals
from retrieval.text_similarity import TextSimilarity
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    from ranking.merchandising.arrange import Arrangement
    from ranking.merchandising.facts import ActiveRules
    from ranking.merchandising.place import Place
    from recsys.artifacts.model import Model, ServedModel
    from recsys.snapshot.snapshot import Snapshot
    from retrieval.index import NearestItems
    from retrieval.new_items.cold_start import ColdStartScorer


@dataclass(frozen=True)
class Components:
    """A model over a snapshot.

    Attributes
    ----------
    model : the trained model, or the one of a bundle.
    snapshot : catalogue, log, vectors and counts at one moment.
    bundle_id : the bundle that both come from; empty outside a bundle.
    blocklist : what must never be recommended.
    rules : what a merchandiser changes in ranked lists.
    index : searched in place of the snapshot's, such as the same one on a cluster, see `recsys.recommend.cluster_index`.
    """

    model: Model | ServedModel
    snapshot: Snapshot
    bundle_id: str = ""
    blocklist: Blocklist = field(default_factory=Blocklist)
    rules: MerchandisingRules = field(default_factory=MerchandisingRules)
    index: NearestItems | None = None

    @property
    def not_blocked(self) -> np.ndarray:
        """Items that the blocklist lets through, bool (n_items,)."""
        return self._listed & self.snapshot.catalog.available if self.blocklist.unavailable else self._listed

    @cached_property
    def _listed(self) -> np.ndarray:
        return self.blocklist.listed(self.snapshot.catalog)

    @property
    def merchandising(self) -> Merchandising:
        """The rules over the snapshot's items, made anew where a rule reads prices or stock and these have changed."""
        found, snapshot = self._merchandising, self.snapshot
        if found.by_numbers and (found.prices is not snapshot.prices or found.stock is not snapshot.catalog.stock):
            vars(self)["_merchandising"] = found = replace(found, prices=snapshot.prices, stock=snapshot.catalog.stock)
        return found

    @cached_property
    def _merchandising(self) -> Merchandising:
        snapshot = self.snapshot
        return Merchandising(self.rules, snapshot.catalog, snapshot.prices, snapshot.stats.columns[BUYERS_28], snapshot.catalog.stock)

    def with_rules(self, rules: MerchandisingRules) -> Self:
        """Return the same parts under other rules of merchandising.toml."""
        return replace(self, rules=rules)

    def rules_at(self, place: Place, max_per_group: int, moment: datetime | None = None) -> ActiveRules | None:
        """Return the rules that hold at a place, by default now, and the limit of variants; None where no rule does."""
        if self.rules.empty:
            return None
        active = self.merchandising.at(place, moment or datetime.now(UTC))
        groups = self.snapshot.catalog.groups
        if not active or groups is None:
            return active or None
        return replace(active, limits=(*active.limits, ActiveLimit("max_per_group", groups, max_per_group)))

    def arranged(self, found: Candidates, k: int, rules: ActiveRules | None, allowed: np.ndarray) -> Arrangement:
        """Arrange ranked lists by the rules of `rules_at`, such as those of a row of a page.

        Parameters
        ----------
        found : more candidates than k, if limits are to have a choice.
        allowed : bool (n_items,), what the lists may hold; items that the rules want to show are looked for in it.

        Returns
        -------
        The lists of k, and of each list the rule that placed each item: None where the ranking did.
        """
        if rules is None:
            return as_ranked(found, k)
        wanted = beside(found, rules.wanted, allowed & self.not_blocked)
        return arrange_lists(with_rows(found, Candidates(found.users, wanted, lowest_scores(found, wanted))), k, rules)

    @cached_property
    def retriever(self) -> HybridRetriever:
        """All candidate sources."""
        snapshot, model = self.snapshot, self.model
        index = snapshot.index if self.index is None else self.index
        towers = TwoTowerRetriever(model.tower, snapshot.space, index, snapshot.text_of, snapshot.collaborative.popularity.ranking)
        new = self._new_items
        arrivals = Arrivals(self.cold_start, new) if new.any() else None
        texts = TextSimilarity.of(snapshot.lexical, snapshot.text_of, snapshot.collaborative) if model.retrieval.texts else None
        return HybridRetriever(snapshot.collaborative, towers, model.retrieval, arrivals, texts)

    @cached_property
    def cold_start(self) -> ColdStartScorer:
        """The scorer of items that nobody has bought."""
        snapshot = self.snapshot
        return snapshot.cold_start.scorer(snapshot.catalog, snapshot.text_of, snapshot.collaborative.als)

    def with_chances(self, ranked: Candidates) -> Candidates:
        """Give new arrivals the expert's probability, and their place by it; where past debuts calibrate none, the ranker's stays."""
        replaced = self.by_expert(ranked)
        if not replaced.any():
            return ranked
        chance = ranked.features[ARRIVAL_SCORE]
        odds = np.where(replaced, log_odds(np.where(replaced, chance, 0.5)), ranked.features[LOG_ODDS]).astype(np.float32)
        return ranked.ranked(np.where(replaced, chance, ranked.scores), None, **{LOG_ODDS: odds})

    def by_expert(self, ranked: Candidates) -> np.ndarray:
        """Return which items have the cold-start expert's probability in place of the ranker's, bool (b, k)."""
        chance = ranked.features.get(ARRIVAL_SCORE)
        if chance is None or not self.snapshot.cold_start.calibrated:
            return np.zeros(ranked.rows.shape, dtype=bool)
        return ranked.valid & ~np.isnan(chance)

    def list_keys(self, users: Histories) -> list[str]:
        """Return user and day of each list, by which its explored places are drawn; unknown users share one key.

        The day is that of the histories, which end with the bundle: its lists stay as they are until the next refresh.
        """
        ids, day = self.snapshot.log.user_ids, users.now // DAY
        rows = np.full(len(users), -1) if users.rows is None else users.rows
        return [f"{ids[row] if row >= 0 else ''} {day}" for row in rows.tolist()]

    def nearest(
        self, retriever: TwoTowerRetriever, vector: np.ndarray, k: int, allowed: np.ndarray, max_per_group: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the items nearest to a vector, few variants of a product, and their cosines, (1, k) each."""
        k, limit = min(k, len(allowed)), self.group_limit(max_per_group)

        def nearest(users: Histories, mask: np.ndarray | None) -> Candidates:
            return Candidates(users, *retriever.nearest(vector[None], k, mask))

        best = limit.keep(limit.retrieve(nearest, Histories.of_baskets([[]], self.snapshot.now), k, allowed)).first(k)
        return best.rows, best.scores

    def group_limit(self, max_per_group: int) -> GroupLimit:
        """The limit of variants of a product in a list."""
        snapshot = self.snapshot
        return GroupLimit(snapshot.catalog.groups, snapshot.collaborative.popularity.ranking, max_per_group)

    @cached_property
    def ranker(self) -> GBDTRanker | None:
        """None for an untrained model."""
        parts = self.model.ranking
        if parts is None:
            return None
        # A cross-encoder that changes no score is not run: it is the most expensive part of an answer.
        cross_encoder = None if parts.residual.idle else parts.cross_encoder
        return GBDTRanker(self.snapshot.stats, parts.base, parts.residual, cross_encoder, self.snapshot.tokens, parts.calibration)

    @cached_property
    def reasons(self) -> Reasons:
        """Reasons over the snapshot's catalogue and log."""
        snapshot = self.snapshot
        ease = snapshot.collaborative.ease
        return Reasons(snapshot.catalog, snapshot.log, ease, snapshot.text_vectors, snapshot.text_of, self.buyers, self.praise)

    @cached_property
    def praise(self) -> dict[int, str]:
        """What reviews praise of each item, by row, as a clause."""
        return praise(self.snapshot.reviews)

    @cached_property
    def buyers(self) -> RecentBuyers:
        """Buyers of each item in the last days, by the calendar."""
        return RecentBuyers.of(self.snapshot.log, self.snapshot.stats, self.snapshot.now)

    @cached_property
    def recent_share(self) -> np.ndarray:
        """Share of the last 28 days' shoppers who bought each item, float (n_items,)."""
        return self.snapshot.stats.columns[BUYERS_28] / self.recent_shoppers

    @cached_property
    def recent_shoppers(self) -> int:
        """Number of shoppers in the last 28 days, at least 1."""
        recent = self.snapshot.log.between(self.snapshot.now - 28 * DAY, None)
        return max(1, len(sorted_unique(recent.user[np.isin(recent.event, LABEL_EVENTS)])))

    def facts(self, rows: np.ndarray) -> list[tuple[str, str, str | None, float | None]]:
        """External id, title, category and price (None where unknown) of items (n,)."""
        frame = self.snapshot.catalog.frame
        # By index: `select` and `gather` start the query engine, which takes longer than a list of items.
        named = zip(*(frame[name][rows].to_list() for name in ("item_id", "title", "category")), strict=True)
        prices = [None if np.isnan(price) else price for price in self.snapshot.prices[rows].tolist()]
        return [(*names, price) for names, price in zip(named, prices, strict=True)]

    @cached_property
    def _new_items(self) -> np.ndarray:
        """Which items were created recently and never sold, bool (n_items,)."""
        config, snapshot = self.model.retrieval, self.snapshot
        created = snapshot.catalog.frame["created_at"].dt.epoch("s").fill_null(-1).to_numpy()
        return (created >= snapshot.now - int(config.arrival_days * DAY)) & (snapshot.stats.columns[BUYERS_EVER] == 0)


def log_odds(probability: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), finite."""
    p = np.clip(probability, 1e-9, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)
