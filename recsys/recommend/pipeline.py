"""The answer path, from top to bottom: request, histories, retrieve, filter, rank, diversify, explain, answer.

`Recommender.answer` runs the path. `RequestGroup` holds the users of a request that take the same route through it, and has one method a
stage: a service stops between stages when its time is up, and presents the order of retrieval. Filters and blocklist act inside the search,
so k items still come back.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from features.data.histories import Histories
from features.names import UNSOLD_SCORE
from ranking.diversity import diversify
from ranking.ranker import LOG_ODDS, with_features
from ranking.variants import bar_products
from recsys.environment import usable_cores
from recsys.recommend.components import Components, log_odds
from recsys.recommend.merchandise import ARRANGED_AMONG, arrange_ranked, with_rule_names, with_wanted
from recsys.recommend.present import matches, present
from recsys.recommend.request import MAX_PER_GROUP
from retrieval.candidates import Candidates
from retrieval.collaborative.scoring import TopScores
from retrieval.new_items.exploration import explore_new_items
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ranking.merchandising.facts import ActiveRules
    from recsys.recommend.answers import Answer, Matches
    from recsys.recommend.request import RecommendOptions

BATCH = 256  # users answered at once
DIVERSE_AMONG = 50  # how many of the best a diverse list is chosen from
Route = Literal["personal", "basket", "popular", "unsold"]


@dataclass(frozen=True)
class Recommender(Components):
    """Answers requests over one model and one snapshot."""

    def answer(self, options: RecommendOptions, users: Sequence[str | None], recent: Histories | None = None) -> Iterator[Answer]:
        """Answer each user, in order.

        Parameters
        ----------
        options : filters and list length; `options.history` counts for every user.
        users : external ids; None is an unknown visitor.
        recent : what these users (b) did after the snapshot; only for at most `BATCH` users.

        Raises
        ------
        DataError: an item id or a category of the options is unknown.
        """
        parts = [users[start : start + BATCH] for start in range(0, len(users), BATCH)]

        def answers(some: Sequence[str | None]) -> list[Answer]:
            by_place: dict[int, Answer] = {}
            for places, group in RequestGroup.groups(self, options, some, recent):
                by_place |= dict(zip(places.tolist(), group.present(group.rank(group.retrieve())), strict=True))
            return [by_place[i] for i in range(len(some))]

        if len(parts) < 2:
            yield from (answer for part in parts for answer in answers(part))
            return
        # numpy, FAISS and LightGBM release the interpreter. No more parts at once than threads, so that no lists pile up.
        threads = usable_cores()
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(parts), threads):
                yield from (answer for lists in pool.map(answers, parts[start : start + threads]) for answer in lists)

    def similar(self, item_id: str, k: int, max_per_group: int = MAX_PER_GROUP, *, variants: bool = False) -> Matches:
        """Find the k items nearest to an item, without the item itself; `variants`: its own variants may be among them.

        Raises
        ------
        DataError: the item is unknown.
        """
        snapshot = self.snapshot
        row = int(snapshot.catalog.rows_or_raise([item_id])[0])
        allowed = snapshot.catalog.available & self.not_blocked
        bar_products(allowed, None if variants else snapshot.catalog.groups, [row])
        vector = snapshot.space[snapshot.text_of[row]]
        return matches(self, item_id, *self.nearest(self.retriever.towers, vector, k, allowed, max_per_group))

    # The stages over histories alone; evaluation and simulation call them as the requests do.

    def recommend(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Retrieve and rank: the best k among the allowed; scores are probabilities if the model is trained."""
        return self.best(self.candidates(users, max(k, self.model.retrieval.candidates), allowed), k)

    def candidates(
        self, users: Histories, k: int, allowed: np.ndarray | None = None, max_per_group: int = MAX_PER_GROUP, places: int = DIVERSE_AMONG
    ) -> Candidates:
        """Retrieve from all sources: k items a user, in fused order; more where their variants would leave less than `places` of a list."""
        limit, permitted = self.group_limit(max_per_group), self._permitted(users, allowed)
        return limit.retrieve(lambda some, mask: self.retriever.retrieve(some, k, mask), users, min(places, k), permitted)

    def unsold_items(self, users: Histories, k: int, allowed: np.ndarray | None = None, max_per_group: int = MAX_PER_GROUP) -> Candidates:
        """Retrieve never-sold items by the probability that the user buys them, where debuts of the past calibrate it.

        Fewer than k where fewer are unsold.
        """
        source, limit = TopScores(self.cold_start, UNSOLD_SCORE), self.group_limit(max_per_group)
        permitted = self._permitted(users, allowed)
        found = limit.retrieve(lambda some, mask: source.retrieve(some, k, mask), users, k, permitted)
        return with_features(limit.keep(found).first(k), self.snapshot.stats)

    def popular(self, users: Histories, k: int, allowed: np.ndarray | None = None, max_per_group: int = MAX_PER_GROUP) -> Candidates:
        """Retrieve what sells now. The score is the share of recent shoppers who bought the item."""
        allowed = self._permitted(users, allowed)
        buyers, ever = self.buyers, self.snapshot.collaborative.popularity.ranking
        # Ties go to all-time popularity. Never-sold items come last, but they come: a filter may leave nothing else.
        scores = buyers.recent + ever / (ever.max(initial=0) + 1)
        allowed = self.group_limit(max_per_group).best_of_groups(scores, allowed)
        dense = np.broadcast_to(scores, (len(users), len(ever)))
        rows, _ = top_k(dense if allowed is None else np.where(allowed, dense, -np.inf), k)
        real = np.maximum(rows, 0)
        share = np.where(rows >= 0, buyers.recent[real] / buyers.shoppers, -np.inf).astype(np.float32)
        return Candidates(users, rows, share)

    def _permitted(self, users: Histories, allowed: np.ndarray | None) -> np.ndarray | None:
        """Leave out what each user dislikes, whatever the filters of a request are."""
        if users.disliked is None or not len(users.disliked.item):
            return allowed
        return users.permitted(np.ones(len(self.snapshot.catalog), dtype=bool) if allowed is None else allowed)

    def best(self, candidates: Candidates, k: int, max_per_group: int = MAX_PER_GROUP, depth: int = 0) -> Candidates:
        """Rank: the best k candidates by probability of purchase; `depth` as in `first_places`."""
        return self.first_places(self.ranked(candidates), k, max_per_group, depth)

    def best_with_basket(self, candidates: Candidates, k: int, max_per_group: int = MAX_PER_GROUP, depth: int = 0) -> Candidates:
        """Rank for unknown visitors with a basket: what the basket makes likelier comes first.

        By probability alone every basket would get bananas and milk. So half of the log odds that an item has with any shopper are
        subtracted for the order. Scores stay probabilities and need not fall along the list.
        """
        ranked = self.ranked(candidates)
        usual = np.maximum(self.recent_share[np.maximum(ranked.rows, 0)], 0.5 / self.recent_shoppers)
        # Log odds, not probabilities: calibration makes equals of neighbours, and then the least sold of them would come first.
        by_lift = ranked.ranked(ranked.features[LOG_ODDS] - 0.5 * log_odds(usual), probability=ranked.scores)
        return self.group_limit(max_per_group).keep(replace(by_lift, scores=by_lift.features["probability"])).first(max(k, depth))

    def first_places(self, ranked: Candidates, k: int, max_per_group: int = MAX_PER_GROUP, depth: int = 0) -> Candidates:
        """The first k of ranked candidates, few variants of a product, with the places that are explored with new items.

        depth : how many items to return; those behind the first k follow in their order.
        """
        kept, share = self.group_limit(max_per_group).keep(ranked), self.model.retrieval.exploration
        return explore_new_items(kept, k, share, (self.list_keys(ranked.users), self.snapshot.catalog.ids), depth)

    def ranked(self, candidates: Candidates) -> Candidates:
        """All candidates by probability of purchase; without a ranker the fused order stays, with the features that reasons need.

        The ranker learned from items that had sold. New arrivals have the probability of the cold-start expert.
        """
        if not self.ranker:
            return with_features(candidates, self.snapshot.stats)
        return self.with_chances(self.ranker.rank(candidates))


@dataclass(frozen=True)
class RequestGroup:
    """The users of a request that take the same route.

    Attributes
    ----------
    users : external ids (b), None for an unknown visitor.
    histories : what each did (b), with the request's own history and recent events.
    mask : what may be recommended, bool (n_items,) or (b, n_items).
    route : where candidates come from, and whether they are ranked.
    """

    recommender: Recommender
    options: RecommendOptions
    users: Sequence[str | None]
    histories: Histories
    mask: np.ndarray
    route: Route

    @classmethod
    def groups(
        cls, recommender: Recommender, options: RecommendOptions, users: Sequence[str | None], recent: Histories | None = None
    ) -> Iterator[tuple[np.ndarray, RequestGroup]]:
        """Look the users up, apply the filters, and group users by route; yields places in `users` (int64) and their group.

        Raises
        ------
        DataError: an item id or a category of the options is unknown.
        """
        snapshot = recommender.snapshot
        basket = snapshot.catalog.rows_or_raise(list(options.history)).tolist()
        histories = Histories.of_users(snapshot.log, snapshot.log.user_rows([user or "" for user in users]), snapshot.now)
        known = histories.lengths > 0
        for later in (recent, Histories.of_baskets([basket] * len(users), snapshot.now) if basket else None):
            histories = histories if later is None else histories.then(later)
        allowed = options.filters(snapshot).allowed(snapshot.catalog, snapshot.prices, histories) & recommender.not_blocked
        some_history = histories.lengths > 0
        routes: list[tuple[Route, np.ndarray]] = [
            ("personal", known),
            ("basket", ~known & some_history),
            ("popular", ~some_history & ~known),
        ]
        if options.unsold:  # users without history form a group of their own: their list is not personal
            routes = [("unsold", some_history), ("unsold", ~some_history)]
        for route, members in routes:
            places = np.flatnonzero(members)
            if not len(places):
                continue
            group = histories.take(places)
            mask = allowed if allowed.ndim == 1 else allowed[places]
            if route == "basket":  # an item of the basket is no recommendation
                mask = np.broadcast_to(mask, (len(places), len(snapshot.catalog))).copy()
                for some in (group, group.purchases):
                    mask[some.user, some.item] = False
            yield places, cls(recommender, options, [users[i] for i in places.tolist()], group, mask, route)

    @cached_property
    def k(self) -> int:
        """List length."""
        return min(self.options.k, len(self.recommender.snapshot.catalog))

    @cached_property
    def width(self) -> int:
        """How many ranked items are needed: more than k only where diversity chooses among them."""
        return max(self.k, DIVERSE_AMONG) if self.options.diversity else self.k

    @cached_property
    def rules(self) -> ActiveRules | None:
        """The rules of merchandising.toml that hold for the lists; None without any."""
        options = self.options
        return self.recommender.rules_at(options.place, options.max_per_group) if options.merchandising else None

    def depth(self, found: int) -> int:
        """How many ranked items are kept: all that were found where rules arrange them, or one that they want might be lost."""
        return self.width if self.rules is None else max(self.width, found)

    @property
    def max_per_group(self) -> int:
        """The limit of variants in the ranking; where rules arrange a list they limit them, or a pinned variant might be lost."""
        return self.options.max_per_group if self.rules is None else len(self.recommender.snapshot.catalog)

    @property
    def personal(self) -> bool:
        """Whether the list rests on the users' own events."""
        return self.route != "popular" and bool(self.histories.lengths.any())

    @property
    def ranks(self) -> bool:
        """Whether the route has a ranking stage."""
        return self.route in ("personal", "basket") and self.recommender.ranker is not None

    def retrieve(self) -> Candidates:
        """Find candidates among the allowed items; the list itself on a route without ranking."""
        recommender, source = self.recommender, None
        if self.route in ("popular", "unsold"):
            source = recommender.popular if self.route == "popular" else recommender.unsold_items
            found = source(self.histories, self.depth(ARRANGED_AMONG), self.mask, self.options.max_per_group)
        else:
            most = max(self.width, recommender.model.retrieval.candidates)
            found = recommender.candidates(self.histories, most, self.mask, self.options.max_per_group, self.width)
        return found if self.rules is None else with_wanted(recommender, found, self.rules, self.mask, source)

    def rank(self, candidates: Candidates) -> Candidates:
        """Order candidates by probability of purchase, or by what the basket makes likelier; scores are probabilities."""
        if not self.ranks:
            return self.unranked(candidates)
        best = self.recommender.best if self.route == "personal" else self.recommender.best_with_basket
        return best(candidates, self.width, self.max_per_group, self.depth(candidates.rows.shape[1]))

    def unranked(self, candidates: Candidates) -> Candidates:
        """Keep the order of retrieval, with the features that reasons need."""
        if self.route in ("popular", "unsold"):
            return candidates
        with_all = with_features(candidates, self.recommender.snapshot.stats)
        if self.route == "personal":
            return self.recommender.first_places(with_all, self.width, self.max_per_group, self.depth(candidates.rows.shape[1]))
        return self.recommender.group_limit(self.max_per_group).keep(with_all).first(self.depth(candidates.rows.shape[1]))

    def present(self, best: Candidates, *, degraded: bool = False) -> list[Answer]:
        """Diversify, arrange, explain, and make one answer a user. degraded: `best` is `unranked` though there is a ranker."""
        parts, placed = self.recommender, None
        if self.rules is None:
            best = diversify(best, parts.snapshot.vectors_of, self.options.diversity, self.k)
        else:
            best, placed = arrange_ranked(parts, best, self.k, self.rules, self.options.diversity)
        answers = present(parts, self.options, self.users, best, personal=self.personal, ranked=self.ranks and not degraded)
        return answers if placed is None else with_rule_names(answers, placed)
