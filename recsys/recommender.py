"""The recommender: one object that answers a known user, a basket given on the spot, and somebody nobody knows."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.histories import Histories
from features.interactions import DAY
from features.split import LABEL_EVENTS
from ranking.diversity import diversify
from ranking.ranker import LOG_ODDS, BlendRanker, with_features
from ranking.reasons import GROUPS, POPULAR_BUYERS, Reasons
from ranking.rules import Rules
from ranking.withheld import Withheld
from recsys.answers import Answer, Match, Matches, Recommendation
from retrieval.arrivals import Arrivals
from retrieval.candidates import Candidates
from retrieval.debuts import DebutScorer
from retrieval.index import ItemIndex
from retrieval.joint import JointRetriever
from retrieval.scorers import TopScores
from retrieval.topk import top_k
from retrieval.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsys.model import Model, ServedModel
    from recsys.options import RecommendOptions
    from recsys.snapshot import Snapshot

BATCH = 256  # users answered at once
UNKNOWN_USER = "user {!r} has no history here: what is popular now"
UNKNOWN_VISITOR = "nothing is known of the visitor: what is popular now"
UNTRAINED = "no model has been trained: fused retrieval order, without probabilities"
DIVERSE_AMONG = 50  # how many of the best a varied list is chosen from


@dataclass(frozen=True)
class Recommender:
    """A model over a snapshot."""

    model: Model | ServedModel
    snapshot: Snapshot
    bundle_id: str = ""
    withheld: Withheld = field(default_factory=Withheld)

    @cached_property
    def may_show(self) -> np.ndarray:
        """What the workspace's rules let through, bool (n_items,)."""
        return self.withheld.allowed(self.snapshot.catalog)

    @cached_property
    def retriever(self) -> JointRetriever:
        """All sources of candidates."""
        snapshot, model = self.snapshot, self.model
        towers = Towers(model.tower, snapshot.space, snapshot.index, snapshot.text_of, snapshot.collaborative.popularity.ranking)
        new = self._arrivals
        return JointRetriever(snapshot.collaborative, towers, model.retrieval, Arrivals.of(self._texts, new) if len(new) else None)

    @cached_property
    def _texts(self) -> Towers:
        """The catalogue by its texts alone, for words that were never anybody's history."""
        snapshot = self.snapshot
        if snapshot.learned is None:
            return Towers(self.model.tower, snapshot.space, snapshot.index, snapshot.text_of, snapshot.collaborative.popularity.ranking)
        index = ItemIndex.build(snapshot.text_vectors, snapshot.index.config)
        return Towers(self.model.tower, snapshot.text_vectors, index, snapshot.text_of, snapshot.collaborative.popularity.ranking)

    @cached_property
    def ranker(self) -> BlendRanker | None:
        """None for an untrained model."""
        parts = self.model.ranking
        if parts is None:
            return None
        snapshot = self.snapshot
        # Where it changes nothing it need not be read: it is the most that an answer costs.
        cross_encoder = None if parts.correction.idle else parts.cross_encoder
        return BlendRanker(snapshot.stats, parts.first, parts.correction, cross_encoder, snapshot.tokens, parts.calibration)

    @cached_property
    def reasons(self) -> Reasons:
        snapshot = self.snapshot
        return Reasons(snapshot.catalog, snapshot.log, snapshot.collaborative.ease, snapshot.text_vectors, snapshot.text_of)

    def candidates(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """What retrieval finds, in fused order: at most k a user."""
        return self.retriever.retrieve(users, k, allowed)

    def recommend(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """The best k among the allowed; scores are probabilities if the model is trained. Users without history get what is popular."""
        found = self.candidates(users, max(k, self.model.retrieval.candidates), allowed)
        # Without a ranker the fused order stays; the features are what reasons are told from.
        ranked = self.ranker.rank(found) if self.ranker else with_features(found, self.snapshot.stats)
        return self.shown(ranked, k)

    def shown(self, ranked: Candidates, k: int) -> Candidates:
        """The first k of ranked candidates, places for new arrivals kept."""
        return ranked.take(self._places(ranked, k))

    def _places(self, ranked: Candidates, k: int) -> np.ndarray:
        """Which candidates make the list, int64 (b, k), -1 where there are too few: the best, and kept places for new arrivals."""
        order = np.arange(k)
        order = np.tile(np.where(order < ranked.rows.shape[1], order, -1), (len(ranked.users), 1))
        arrival = ranked.evidence.get("arrival", np.full(ranked.rows.shape, np.nan))
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
        new = (created >= snapshot.now - int(config.arrival_days * DAY)) & (snapshot.stats.columns["buyers_10000"] == 0)
        return np.flatnonzero(new & (config.arrivals > 0))

    def about_basket(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """`recommend` for visitors of whom nothing is known but a basket: what the basket makes likelier comes first.

        By probability alone everybody would be offered bananas and milk. So half of the log odds that an item has with anybody are taken
        off for the order; scores stay the probabilities, and need not fall along the list.
        """
        ranked = self.recommend(users, max(k, self.model.retrieval.candidates), allowed)
        if self.ranker is not None:
            usual = np.maximum(self._share[np.maximum(ranked.rows, 0)], 0.5 / self._recent_shoppers)
            # Not of the probabilities: calibration makes equals of neighbours, and then the least sold of them would come first.
            by_lift = ranked.ranked(ranked.evidence[LOG_ODDS] - 0.5 * log_odds(usual), probability=ranked.scores)
            ranked = replace(by_lift, scores=by_lift.evidence["probability"])
        return ranked.take(np.broadcast_to(np.arange(k), (len(users), k)))

    def debuts(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Items that nobody has bought yet, those first that are likely to sell soon and near to what the user bought; no probabilities.

        Fewer than k where fewer are unsold.
        """
        snapshot = self.snapshot
        found = TopScores(DebutScorer(snapshot.debuts, snapshot.text_vectors, snapshot.text_of), "debut").retrieve(users, k, allowed)
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
        return max(1, len(np.unique(recent.user[np.isin(recent.event, LABEL_EVENTS)])))

    def answer(self, options: RecommendOptions, users: Sequence[str | None]) -> Iterator[Answer]:
        """One answer a user, in order; `options.history` counts for all of them."""
        basket = self.snapshot.catalog.rows_or_raise(list(options.history)).tolist()
        parts = [users[start : start + BATCH] for start in range(0, len(users), BATCH)]

        def answers(some: Sequence[str | None]) -> list[Answer]:
            rows = self.snapshot.log.user_rows(["" if user is None else user for user in some])
            histories = Histories.of_users(self.snapshot.log, rows, self.snapshot.now)
            known = histories.lengths > 0
            if basket:
                histories = histories.then(Histories.of_baskets([basket] * len(some), self.snapshot.now))
            return self._answers(options, some, histories, known)

        if len(parts) < 2:
            yield from (answer for part in parts for answer in answers(part))
            return
        # numpy, FAISS and LightGBM let other threads work meanwhile. No more at once than there are threads: no lists pile up.
        threads = os.cpu_count() or 1
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(parts), threads):
                yield from (answer for found in pool.map(answers, parts[start : start + threads]) for answer in found)

    def _answers(self, options: RecommendOptions, users: Sequence[str | None], histories: Histories, known: np.ndarray) -> list[Answer]:
        """known: whether the log knows each user, bool (b,)."""
        snapshot = self.snapshot
        allowed = self._rules(options).allowed(snapshot.catalog, snapshot.prices, histories) & self.may_show
        basket = ~known & (histories.lengths > 0)
        answers: dict[int, Answer] = {}
        ways = ((self.recommend, known), (self.about_basket, basket), (self.popular, ~known & ~basket))
        for find, group in ((self.debuts, known | ~known),) if options.debuts else ways:
            at = np.flatnonzero(group)
            if not len(at):
                continue
            some = histories.take(at)
            mask = allowed if allowed.ndim == 1 else allowed[at]
            if find == self.about_basket:  # what lies in the basket already is no answer
                mask = np.broadcast_to(mask, (len(at), len(snapshot.catalog))).copy()
                mask[some.user, some.item] = False
            # More than k only where a choice is made among them: the places kept for new arrivals are a list's last.
            k = min(options.k, len(snapshot.catalog))
            best = find(some, max(k, DIVERSE_AMONG) if options.diversity else k, mask)
            best = diversify(best, snapshot.vectors.vectors, options.diversity, k)
            told = self._told(options, [users[i] for i in at.tolist()], best, personal=find != self.popular)
            answers |= dict(zip(at.tolist(), told, strict=True))
        return [answers[i] for i in range(len(users))]

    def _rules(self, options: RecommendOptions) -> Rules:
        rows_of = self.snapshot.catalog.rows_or_raise
        return Rules(
            categories=(options.category,) if options.category else (),
            max_price=options.max_price,
            in_stock=options.in_stock,
            exclude=tuple(rows_of(list(options.exclude)).tolist()),
            new_only=not self.snapshot.buys_again if options.new_only is None else options.new_only,
        )

    def _told(self, options: RecommendOptions, users: Sequence[str | None], best: Candidates, *, personal: bool) -> Iterator[Answer]:
        """Answers with titles, prices and reasons, a user each."""
        ranked = self.ranker is not None and not options.debuts
        ranker = self.ranker if personal and ranked else None
        contributions = ranker.contributions(best) if ranker and options.explain else {}
        strength = ranker.strengths(best) if ranker else np.zeros((len(GROUPS), *best.rows.shape), dtype=np.float32)
        reasons = self.reasons.tell(best, strength) if personal else self._popular_reasons(best)
        facts = iter(self._facts(best.rows[best.valid]))
        for b, user in enumerate(users):
            items = []
            for k in np.flatnonzero(best.rows[b] >= 0).tolist():
                item = Recommendation(len(items) + 1, *next(facts), None, "")
                probability = float(best.scores[b, k]) if ranked or not personal else None
                parts = tuple((name, float(column[b, k])) for name, column in contributions.items())
                items.append(replace(item, probability=probability, reason=reasons[b][k], contributions=_largest(parts)))
            yield Answer(user, self.bundle_id, self._fallback(user, personal=personal), tuple(items))

    def _popular_reasons(self, best: Candidates) -> list[list[str]]:
        week, month = best.evidence["item_buyers_7"], best.evidence["item_buyers_28"]
        return [[_sales(*counts) for counts in zip(*rows, strict=True)] for rows in zip(week, month, strict=True)]

    def _fallback(self, user: str | None, *, personal: bool) -> str | None:
        if personal:
            return None if self.ranker else UNTRAINED
        return UNKNOWN_VISITOR if user is None else UNKNOWN_USER.format(user)

    def _facts(self, rows: np.ndarray) -> list[tuple[str, str, str | None, float | None]]:
        """External id, title, category, price (None where unknown) of some items (n,)."""
        named = self.snapshot.catalog.frame.select("item_id", "title", "category")[rows].rows()
        prices = [None if np.isnan(price) else price for price in self.snapshot.prices[rows].tolist()]
        return [(*names, price) for names, price in zip(named, prices, strict=True)]

    def similar(self, item_id: str, k: int) -> Matches:
        """Items nearest to an item, itself left out."""
        snapshot = self.snapshot
        row = int(snapshot.catalog.rows_or_raise([item_id])[0])
        allowed = snapshot.catalog.available & self.may_show
        allowed[row] = False
        return self._matches(self.retriever.towers, item_id, snapshot.space[snapshot.text_of[row]], k, allowed)

    def search(self, text: str, k: int) -> Matches:
        """Items nearest in meaning to some words."""
        encoder, tower = self.model.encoder, self.model.tower
        vector = tower.item_vectors(encoder.pool(encoder.keep([text])))[0]
        return self._matches(self._texts, text, vector, k, self.snapshot.catalog.available & self.may_show)

    def _matches(self, towers: Towers, query: str, vector: np.ndarray, k: int, allowed: np.ndarray) -> Matches:
        rows, scores = towers.nearest(vector[None], min(k, len(allowed)), allowed)
        found = rows[0][rows[0] >= 0]
        matches = [Match(i + 1, *facts, float(scores[0, i])) for i, facts in enumerate(self._facts(found))]
        return Matches(query, self.bundle_id, tuple(matches))


def _sales(week: float, month: float) -> str:
    """What is true of an item's buyers."""
    if week >= POPULAR_BUYERS:
        return f"popular this week: {week:,.0f} buyers"
    return f"popular of late: {month:,.0f} buyers in 28 days" if month >= POPULAR_BUYERS else "few have bought it of late"


def log_odds(probability: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), kept finite."""
    p = np.clip(probability, 1e-9, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)


def _largest(parts: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    """Contributions, the ones that moved most first; those that moved nothing left out."""
    return tuple(sorted((part for part in parts if part[1]), key=lambda part: -abs(part[1])))
