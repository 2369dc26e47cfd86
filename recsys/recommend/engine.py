"""What answers are made of: candidates, their ranking, and the telling. Who is answered in which way: `recsys.recommend.pipeline`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.storage.sorted_unique import sorted_unique
from ranking.blocklist import Blocklist
from ranking.filters import Filters
from ranking.ranker import LOG_ODDS, GBDTRanker, with_features
from ranking.reasons import GROUPS, POPULAR_BUYERS, Reasons
from recsys.recommend.answers import Answer, Recommendation
from retrieval.candidates import Candidates
from retrieval.collaborative.scoring import TopScores
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.new_items.arrivals import Arrivals
from retrieval.new_items.unsold import UnsoldScorer
from retrieval.topk import top_k
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from features.data.histories import Histories
    from recsys.artifacts.model import Model, ServedModel
    from recsys.recommend.request import RecommendOptions
    from recsys.snapshot.snapshot import Snapshot

UNKNOWN_USER = "user {!r} has no history here: what is popular now"
UNKNOWN_VISITOR = "nothing is known of the visitor: what is popular now"
UNKNOWN_USER_DEBUTS = "user {!r} has no history here: what is likely to sell soon"
UNKNOWN_VISITOR_DEBUTS = "nothing is known of the visitor: what is likely to sell soon"
UNTRAINED = "no model has been trained: fused retrieval order, without probabilities"


@dataclass(frozen=True)
class Engine:
    """A model over a snapshot."""

    model: Model | ServedModel
    snapshot: Snapshot
    bundle_id: str = ""
    blocklist: Blocklist = field(default_factory=Blocklist)

    @cached_property
    def may_show(self) -> np.ndarray:
        """What the workspace's rules let through, bool (n_items,)."""
        return self.blocklist.allowed(self.snapshot.catalog)

    @cached_property
    def retriever(self) -> HybridRetriever:
        """All sources of candidates."""
        snapshot, model = self.snapshot, self.model
        towers = TwoTowerRetriever(model.tower, snapshot.space, snapshot.index, snapshot.text_of, snapshot.collaborative.popularity.ranking)
        new = self._arrivals
        return HybridRetriever(snapshot.collaborative, towers, model.retrieval, Arrivals.of(self.texts, new) if len(new) else None)

    @cached_property
    def texts(self) -> TwoTowerRetriever:
        """The catalogue by its texts alone, for words that were never anybody's history."""
        snapshot = self.snapshot
        if snapshot.item_id_vectors is None:
            return TwoTowerRetriever(
                self.model.tower, snapshot.space, snapshot.index, snapshot.text_of, snapshot.collaborative.popularity.ranking
            )
        index = ItemIndex.build(snapshot.text_vectors, snapshot.index.config)
        return TwoTowerRetriever(
            self.model.tower, snapshot.text_vectors, index, snapshot.text_of, snapshot.collaborative.popularity.ranking
        )

    @cached_property
    def ranker(self) -> GBDTRanker | None:
        """None for an untrained model."""
        parts = self.model.ranking
        if parts is None:
            return None
        snapshot = self.snapshot
        # Where it changes nothing it need not be read: it is the most that an answer costs.
        cross_encoder = None if parts.residual.idle else parts.cross_encoder
        return GBDTRanker(snapshot.stats, parts.base, parts.residual, cross_encoder, snapshot.tokens, parts.calibration)

    @cached_property
    def reasons(self) -> Reasons:
        snapshot = self.snapshot
        return Reasons(snapshot.catalog, snapshot.log, snapshot.collaborative.ease, snapshot.text_vectors, snapshot.text_of)

    def candidates(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """What retrieval finds, in fused order: at most k a user."""
        return self.retriever.retrieve(users, k, allowed)

    def recommend(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """The best k among the allowed; scores are probabilities if the model is trained. Users without history get what is popular."""
        return self.best(self.candidates(users, max(k, self.model.retrieval.candidates), allowed), k)

    def best(self, found: Candidates, k: int) -> Candidates:
        """The best k of what retrieval found."""
        return self.shown(self._ranked(found), k)

    def _ranked(self, found: Candidates) -> Candidates:
        # Without a ranker the fused order stays; the features are what reasons are told from.
        return self.ranker.rank(found) if self.ranker else with_features(found, self.snapshot.stats)

    def shown(self, ranked: Candidates, k: int) -> Candidates:
        """The first k of ranked candidates, places for new arrivals kept."""
        return ranked.take(self._places(ranked, k))

    def _places(self, ranked: Candidates, k: int) -> np.ndarray:
        """Which candidates make the list, int64 (b, k), -1 where there are too few: the best, and kept places for new arrivals."""
        order = np.arange(k)
        order = np.tile(np.where(order < ranked.rows.shape[1], order, -1), (len(ranked.users), 1))
        arrival = ranked.features.get("arrival", np.full(ranked.rows.shape, np.nan))
        most = min(k, self.model.retrieval.arrivals)
        for b in np.flatnonzero(~np.isnan(arrival).all(axis=1)):
            new = np.argsort(-arrival[b], kind="stable")[:most]  # nan goes last
            new = np.sort(new[~np.isnan(arrival[b, new])])
            behind = new[new >= k]  # the others made the list by themselves, and keep their places
            if len(behind):
                rest = np.setdiff1d(np.arange(k), new)[: k - len(new)]
                order[b] = np.concatenate([np.sort(np.concatenate([rest, new[new < k]])), behind])
        return order

    @cached_property
    def _arrivals(self) -> np.ndarray:
        """Rows of items created of late and not yet bought, int64 (m,)."""
        config, snapshot = self.model.retrieval, self.snapshot
        created = snapshot.catalog.frame["created_at"].dt.epoch("s").fill_null(-1).to_numpy()
        new = (created >= snapshot.now - int(config.arrival_days * DAY)) & (snapshot.stats.columns["buyers_ever"] == 0)
        return np.flatnonzero(new & (config.arrivals > 0))

    def best_beside(self, found: Candidates, k: int) -> Candidates:
        """`best` for visitors of whom nothing is known but a basket: what the basket makes likelier comes first.

        By probability alone everybody would be offered bananas and milk. So half of the log odds that an item has with anybody are taken
        off for the order; scores stay the probabilities, and need not fall along the list.
        """
        ranked = self._ranked(found)
        usual = np.maximum(self._share[np.maximum(ranked.rows, 0)], 0.5 / self._recent_shoppers)
        # Not of the probabilities: calibration makes equals of neighbours, and then the least sold of them would come first.
        by_lift = ranked.ranked(ranked.features[LOG_ODDS] - 0.5 * log_odds(usual), probability=ranked.scores)
        return replace(by_lift, scores=by_lift.features["probability"]).first(k)

    def unsold_items(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Items that nobody has bought yet, those first that are likely to sell soon and near to what the user bought; no probabilities.

        Fewer than k where fewer are unsold.
        """
        snapshot = self.snapshot
        found = TopScores(UnsoldScorer(snapshot.unsold_items, snapshot.text_vectors, snapshot.text_of), "debut").retrieve(users, k, allowed)
        return with_features(found, snapshot.stats)

    def popular(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """What sells now, for people of whom nothing is known. The probability is the share of recent shoppers who bought the item."""
        stats, looked = self.snapshot.stats.columns, self.snapshot.collaborative.popularity.ranking
        # Then by who looked or bought long ago. What has never been sold comes last, but it comes: a rule may leave nothing else.
        dense = np.broadcast_to(stats["buyers_28"] + looked / (looked.max(initial=0) + 1), (len(users), len(looked)))
        rows, _ = top_k(dense if allowed is None else np.where(allowed, dense, -np.inf), k)
        real = np.maximum(rows, 0)
        share = np.where(rows >= 0, self._share[real], -np.inf).astype(np.float32)
        return Candidates(
            users, rows, share, {name: stats[name.removeprefix("item_")][real] for name in ("item_buyers_7", "item_buyers_28")}
        )

    @cached_property
    def _share(self) -> np.ndarray:
        """Share of the shoppers of the last 28 days who bought each item, float (n_items,)."""
        return self.snapshot.stats.columns["buyers_28"] / self._recent_shoppers

    @cached_property
    def _recent_shoppers(self) -> int:
        """At least 1."""
        recent = self.snapshot.log.between(self.snapshot.now - 28 * DAY, None)
        return max(1, len(sorted_unique(recent.user[np.isin(recent.event, LABEL_EVENTS)])))

    def rules(self, options: RecommendOptions) -> Filters:
        """What may be shown."""
        rows_of = self.snapshot.catalog.rows_or_raise
        return Filters(
            categories=(options.category,) if options.category else (),
            max_price=options.max_price,
            in_stock=options.in_stock,
            exclude=tuple(rows_of(list(options.exclude)).tolist()),
            new_only=not self.snapshot.buys_again if options.new_only is None else options.new_only,
        )

    def told(
        self, options: RecommendOptions, users: Sequence[str | None], best: Candidates, *, personal: bool, ranked: bool
    ) -> Iterator[Answer]:
        """Answers with titles, prices and reasons, a user each. personal: not what is popular. ranked: scores are the ranker's."""
        ranker = self.ranker if ranked else None
        contributions = ranker.contributions(best) if ranker and options.explain else {}
        strength = ranker.strengths(best) if ranker else np.zeros((len(GROUPS), *best.rows.shape), dtype=np.float32)
        reasons = self.reasons.sentences(best, strength) if personal or options.unsold else self._popular_reasons(best)
        shares = not personal and not options.unsold  # of recent shoppers: see `popular`
        facts = iter(self.facts(best.rows[best.valid]))
        for b, user in enumerate(users):
            items = []
            for k in np.flatnonzero(best.rows[b] >= 0).tolist():
                item = Recommendation(len(items) + 1, *next(facts), None, "")
                probability = float(best.scores[b, k]) if ranked or shares else None
                parts = tuple((name, float(column[b, k])) for name, column in contributions.items())
                items.append(replace(item, probability=probability, reason=reasons[b][k], contributions=_largest(parts)))
            yield Answer(user, self.bundle_id, self._fallback(options, user, personal=personal), tuple(items))

    def _popular_reasons(self, best: Candidates) -> list[list[str]]:
        week, month = best.features["item_buyers_7"], best.features["item_buyers_28"]
        return [[_sales(*counts) for counts in zip(*rows, strict=True)] for rows in zip(week, month, strict=True)]

    def _fallback(self, options: RecommendOptions, user: str | None, *, personal: bool) -> str | None:
        if personal:
            return None if self.ranker or options.unsold else UNTRAINED  # no model ranks debuts
        if options.unsold:
            return UNKNOWN_VISITOR_DEBUTS if user is None else UNKNOWN_USER_DEBUTS.format(user)
        return UNKNOWN_VISITOR if user is None else UNKNOWN_USER.format(user)

    def facts(self, rows: np.ndarray) -> list[tuple[str, str, str | None, float | None]]:
        """External id, title, category, price (None where unknown) of some items (n,)."""
        named = self.snapshot.catalog.frame.select("item_id", "title", "category")[rows].rows()
        prices = [None if np.isnan(price) else price for price in self.snapshot.prices[rows].tolist()]
        return [(*names, price) for names, price in zip(named, prices, strict=True)]


def _sales(week: float, month: float) -> str:
    """What is true of an item's buyers."""
    if week >= POPULAR_BUYERS:
        return f"popular this week: {week:,.0f} buyers"
    return f"{month:,.0f} buyers in the last 28 days" if month >= POPULAR_BUYERS else "few recent buyers"


def log_odds(probability: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), kept finite."""
    p = np.clip(probability, 1e-9, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)


def _largest(parts: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    """Contributions, the ones that moved most first; those that moved nothing left out."""
    return tuple(sorted((part for part in parts if part[1]), key=lambda part: -abs(part[1])))
