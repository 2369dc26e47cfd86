"""The answer path of a search, from top to bottom: read the query, retrieve, filter, rank, diversify, explain, answer.

It has the stages of `recsys.recommend.pipeline.RequestGroup`, and for a known user the recommender's own probabilities. Filters act inside
the search, so k items still come back. Where words of the query ask for what no item has, filters that were read from them are relaxed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.names import LEXICAL_SCORE, LOG_CLICKS, PREFERENCE, RELEVANCE
from ranking.cross_encoder.query_item import QueryTokens
from ranking.filters import Filters
from ranking.merchandising.arrange import arrange_lists, as_ranked, beside, with_rows
from ranking.merchandising.place import Place
from ranking.search_ranker import preferences, with_pair_logits, with_search_features
from recsys.apps.search.components import SearchComponents
from recsys.apps.search.present import ITSELF, NEAREST, NONE_WITHIN, NOT_SHOWN, UNREAD, Asked, fits, present
from recsys.apps.search.reading import Reading
from recsys.apps.search.word_filters import meeting, relaxed
from retrieval.candidates import Candidates, joined
from retrieval.lexical.catalogue_words import item_ids
from retrieval.text_search import Wording, query_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ranking.merchandising.arrange import Arrangement
    from recsys.apps.search.answers import SearchAnswer, Suggestion
    from recsys.apps.search.request import SearchOptions
    from retrieval.lexical.query import QueryFilter
    from retrieval.query_tower.encoded_queries import EncodedQueries

BATCH = 32  # queries that are ranked at once
NO_VECTORS = np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Search(SearchComponents):
    """Answers queries over one recommender: its model, its snapshot and its blocklist."""

    def answer(
        self, options: SearchOptions, queries: Sequence[tuple[str, str | None]], recent: Histories | None = None
    ) -> list[SearchAnswer]:
        """Answer each query (text, user), in order.

        Parameters
        ----------
        recent : what these users did after the snapshot; only for at most `BATCH` queries.

        Raises
        ------
        DataError: an item id, a brand, a category or an aspect of the options is unknown.
        """
        answers: list[SearchAnswer] = []
        for start in range(0, len(queries), BATCH):
            group = SearchGroup.of(self, options, queries[start : start + BATCH], recent)
            answers += group.present(group.rank(group.retrieve()))
        return answers

    def suggest(self, prefix: str, n: int = 8) -> list[Suggestion]:
        """Complete what has been typed so far; at most n."""
        return self.suggester.suggest(prefix, n)


@dataclass(frozen=True)
class SearchGroup:
    """Queries of one request with the stages that answer them; the same stages as `recsys.recommend.pipeline.RequestGroup`.

    Attributes
    ----------
    readings : the queries as they were understood.
    histories : what each user did (b).
    mask : what the options allow, bool (n_items,) or (b, n_items).
    """

    search: Search
    options: SearchOptions
    queries: Sequence[tuple[str, str | None]]
    readings: Sequence[Reading]
    histories: Histories
    mask: np.ndarray

    @classmethod
    def of(
        cls, search: Search, options: SearchOptions, queries: Sequence[tuple[str, str | None]], recent: Histories | None = None
    ) -> SearchGroup:
        """Read the queries, look the users up and apply the filters of the options.

        Raises
        ------
        DataError: an item id, a brand, a category or an aspect of the options is unknown.
        """
        recommender = search.recommender
        snapshot = recommender.snapshot
        histories = Histories.of_users(snapshot.log, snapshot.log.user_rows([user or "" for _, user in queries]), snapshot.now)
        if recent is not None:
            histories = histories.then(recent)
        filters = Filters(
            categories=(options.category,) if options.category else (),
            min_price=options.min_price,
            max_price=options.max_price,
            in_stock=options.in_stock,
            exclude=tuple(snapshot.catalog.rows_or_raise(list(options.exclude)).tolist()),
        )
        mask = filters.allowed(snapshot.catalog, snapshot.prices, histories) & recommender.not_blocked & snapshot.catalog.available
        if options.brand:
            mask &= search.words.items_of_brand(snapshot.catalog.frame["brand"], options.brand)
        if options.praised:
            mask &= search.praised.items(options.praised, len(snapshot.catalog))
        readings = [Reading.of(text, search.words, search.thesaurus, options, search.languages, search.titled_texts) for text, _ in queries]
        return cls(search, options, queries, readings, histories, histories.permitted(mask) if histories.disliked is not None else mask)

    @property
    def ranks(self) -> bool:
        """Whether there is a ranking stage that a late answer can do without: the users' own preferences."""
        return self.search.recommender.ranker is not None and bool(self.histories.lengths.any())

    @cached_property
    def k(self) -> int:
        """List length."""
        return min(self.options.k, len(self.search.recommender.snapshot.catalog))

    @cached_property
    def _encoded(self) -> EncodedQueries:
        """All wordings of all queries, in order."""
        return self.search.recommender.model.encode_queries([wording.text for reading in self.readings for wording in reading.wordings])

    @property
    def _first(self) -> np.ndarray:
        """The place of each query's first wording among all, int64 (b,)."""
        counts = np.array([len(reading.wordings) for reading in self.readings], dtype=np.int64)
        return np.minimum(np.cumsum(counts) - counts, max(int(counts.sum()) - 1, 0))

    @cached_property
    def relaxed(self) -> list[tuple[QueryFilter, ...]]:
        """Filters of each query that were dropped; filled by `retrieve`."""
        return [()] * len(self.readings)

    @cached_property
    def instead(self) -> list[str | None]:
        """Why each query's list is of other items than those asked for; filled by `retrieve`."""
        return [None] * len(self.readings)

    def retrieve(self) -> Candidates:
        """Find items among the allowed ones, by relevance."""
        found, begin = [], 0
        for place, reading in enumerate(self.readings):
            vectors = self._encoded.vectors[begin : begin + len(reading.wordings)] if reading.wordings else NO_VECTORS
            begin += len(reading.wordings)
            found.append(self._retrieve_one(place, reading, vectors))
        return replace(joined(found), users=self.histories)  # with the older purchases, which reasons count

    def _retrieve_one(self, place: int, reading: Reading, vectors: np.ndarray) -> Candidates:
        search, user = self.search, self.histories.take(np.array([place]))
        mask = self._meeting(place, reading)
        if not reading.wordings:
            return self._popular(user, mask) if len(reading.filters) > len(self.relaxed[place]) else _nothing(user)
        row = self._by_id(reading.query.text)
        if row >= 0:
            self.instead[place] = None if mask[row] else NOT_SHOWN
            return self._beside(user, row, mask)
        found = search.text_search.retrieve(reading.wordings, vectors, user, mask)
        if found.valid.any() and not np.any(found.features[LEXICAL_SCORE] > 0):
            unread = search.unread([wording.text for wording in reading.wordings])
            self.instead[place] = UNREAD if unread else NONE_WITHIN if reading.filters or self.options.narrowed else NEAREST
            found = self._popular(user, mask) if unread else found
        return self._with_wanted(place, found, mask)

    def _meeting(self, place: int, reading: Reading) -> np.ndarray:
        """Return the items that the options allow and that meet the filters of the query's words, as many of these as can be met."""
        allowed = self.mask if self.mask.ndim == 1 else self.mask[place]
        if not reading.filters:
            return allowed
        each = [meeting(self.search.recommender.snapshot, one, self.histories, self.search.titled_texts) for one in reading.filters]
        dropped, allowed = relaxed(each, allowed, self.search.text_search.items_with_words(reading.wordings))
        self.relaxed[place] = tuple(reading.filters[one] for one in dropped)
        return allowed

    def _popular(self, user: Histories, mask: np.ndarray) -> Candidates:
        """Return what sells: all of it is as relevant, since no word says more."""
        found = self.search.recommender.popular(user, self.width, mask)
        ones, zeros = np.ones(found.rows.shape, dtype=np.float32), np.zeros(found.rows.shape, dtype=np.float32)
        return replace(found, features={RELEVANCE: ones, LEXICAL_SCORE: zeros})

    def _with_wanted(self, place: int, found: Candidates, mask: np.ndarray) -> Candidates:
        """Add the items that rules of merchandising.toml show for this very query; they are the least relevant until a rule places them."""
        recommender = self.search.recommender
        if recommender.rules.empty:
            return found
        rows = beside(found, recommender.merchandising.asked_for(self._shown(place), datetime.now(UTC)), mask)
        return with_rows(found, Candidates(found.users, rows, np.where(rows >= 0, 0, -np.inf).astype(np.float32)))

    def _shown(self, place: int) -> Place:
        return Place("search", None, self.options.category, self.queries[place][0])

    @property
    def width(self) -> int:
        """How many candidates are needed at least."""
        return max(self.k, self.search.text_search.config.candidates)

    def _by_id(self, text: str) -> int:
        """Return the row of the item that the whole query names by its id; -1 without one."""
        ids = item_ids(text, self.search.recommender.snapshot.catalog, self.search.barcodes)
        return int(self.search.recommender.snapshot.catalog.rows(ids)[0]) if ids else -1

    def _beside(self, user: Histories, row: int, mask: np.ndarray) -> Candidates:
        """Return an item, if it is allowed, and those whose texts are near to it."""
        texts = self.search.text_search
        found = texts.retrieve((Wording("", ()),), texts.vectors[texts.text_of[row]][None], user, mask)
        if not mask[row]:
            return found
        others = found.rows[0] != row
        features = {name: np.concatenate([[np.nan], values[0, others]])[None].astype(np.float32) for name, values in found.features.items()}
        features[RELEVANCE][0, 0] = ITSELF
        rows = np.concatenate([[row], found.rows[0, others]])[None]
        return Candidates(user, rows, features[RELEVANCE], features)

    def rank(self, candidates: Candidates) -> Candidates:
        """Order candidates by relevance, popularity and, for a known user, the recommender's own probability."""
        recommender = self.search.recommender
        odds = preferences(candidates, recommender.retriever, recommender.ranker, len(recommender.snapshot.catalog))
        return self._ranked(candidates, odds)

    def unranked(self, candidates: Candidates) -> Candidates:
        """Order candidates as for an unknown user."""
        return self._ranked(candidates, np.full(candidates.rows.shape, np.nan, dtype=np.float32))

    def _ranked(self, candidates: Candidates, preference: np.ndarray) -> Candidates:
        search, recommender = self.search, self.search.recommender
        keys = [query_key(reading.query.tokens) for reading in self.readings]
        columns = {LOG_CLICKS: recommender.snapshot.query_clicks.values(keys, candidates.rows), PREFERENCE: preference}
        with_all = replace(candidates, features=candidates.features | columns)
        pairs = search.pairs if any(reading.wordings for reading in self.readings) else None
        if pairs is not None:
            queries = QueryTokens(self._encoded.states, self._first)
            with_all = with_pair_logits(with_all, pairs, queries, recommender.snapshot.tokens)
        ranked = search.ranker.rank(with_search_features(with_all, recommender.snapshot.stats, recommender.snapshot.prices))
        return recommender.group_limit(self.options.max_per_group).keep(ranked)

    def present(self, best: Candidates, *, degraded: bool = False) -> list[SearchAnswer]:
        """Make one answer a query. degraded: `best` is `unranked` though the users are known."""
        parts = zip(self.queries, self.readings, self.relaxed, self.instead, strict=True)
        asked = [Asked(*query, reading, dropped, instead) for query, reading, dropped, instead in parts]
        return present(self.search, self.options, asked, best, self._arranged(best))

    def _arranged(self, best: Candidates) -> Arrangement:
        """Arrange each query's candidates by the rules of merchandising.toml that hold for it."""
        recommender, parts = self.search.recommender, []
        if recommender.rules.empty:
            return as_ranked(best, self.options.k)
        for place in range(len(self.queries)):
            rules = recommender.rules_at(self._shown(place), self.options.max_per_group)
            one = best.for_users(np.array([place]))
            if rules is not None:  # what is far from the query is not pinned into its list, unless a rule is for this very query
                asked = recommender.merchandising.asked_for(self._shown(place), datetime.now(UTC))
                rules = rules.among(np.union1d(one.rows[0][one.valid[0] & fits(one, 0)], asked))
            odds = np.exp(one.scores.astype(float))  # scores are log odds, and factors multiply
            parts.append(as_ranked(one, self.options.k) if rules is None else arrange_lists(one, self.options.k, rules, relevance=odds))
        return replace(joined([lists for lists, _ in parts]), users=self.histories), [names[0] for _, names in parts]


def _nothing(user: Histories) -> Candidates:
    return Candidates(user, np.zeros((1, 0), dtype=np.int64), np.zeros((1, 0), dtype=np.float32))
