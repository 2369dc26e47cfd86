"""Training of what ranks a search: a cross-encoder over query and item, and a booster that joins it with all other evidence."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from features.behavior.item_stats import ItemStats
from features.behavior.query_clicks import QueryClicks
from features.names import LOG_CLICKS, LOG_ODDS, PREFERENCE, PRICE
from features.text.embeddings import group
from features.text.template import item_texts, text_hashes
from ranking.calibration import Calibration
from ranking.ranker import GBDTRanker
from ranking.search_ranker import SearchRanker, fit_search_booster, with_search_features
from recsys.training.search_examples import SearchExamples, examples_of_log, examples_of_purchases
from retrieval.candidates import Candidates, joined
from retrieval.collaborative.models import Collaborative
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.lexical.fields import item_fields
from retrieval.lexical.index import LexicalIndex
from retrieval.text_search import TextSearch, Wording, query_key
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    from features.data.split import Split
    from recsys.artifacts.model import Ranking
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels

_log = logging.getLogger(__name__)
BATCH = 32  # lists whose candidates are scored by the recommender at once
HELD_OUT = 4  # every fourth list judges and calibrates


@dataclass(frozen=True)
class SearchWindow:
    """What search knows at the start of a window: texts, sales, the search log before it, and the recommender."""

    split: Split
    text_search: TextSearch
    stats: ItemStats
    retriever: HybridRetriever
    ranker: GBDTRanker
    clicks: QueryClicks
    prices: np.ndarray

    @classmethod
    def of(cls, job: TrainingJob, models: TextModels, ranking: Ranking, *, debiased: bool = True) -> SearchWindow:
        """Stand at the start of the calibration's window: the ranking's scores are out of sample there."""
        window, settings = job.windows.calibration, job.settings
        split = window.split(job.log)
        collaborative = Collaborative.fit(split.history, window.start, settings.retrieval)
        stats = ItemStats.fit(split.history, job.catalog, window.start)
        sales = collaborative.popularity.ranking
        towers = TwoTowerRetriever(models.tower, models.vectors, ItemIndex.build(models.vectors, settings.index), models.text_of, sales)
        first, text_of = group(text_hashes(item_texts(job.catalog)))
        lexical = LexicalIndex.build(item_fields(job.catalog.frame[first]), settings.search.words)
        vectors = models.query_tower.vectors(models.states)
        category_of = job.catalog.codes("category")[first]
        index = ItemIndex.build(vectors, settings.index)
        text_search = TextSearch(lexical, vectors, index, text_of, category_of, sales, settings.search.retrieval)
        before = None if job.queries is None else job.queries.between(None, window.start)
        clicks = QueryClicks.empty()
        if before is not None and len(before):
            clicks = QueryClicks.count(before, lambda text: query_key(lexical.analyzer.tokens(text)), debiased=debiased)
        listed = job.catalog.frame["price"].fill_null(float("nan")).to_numpy()
        prices = np.where(np.isnan(listed), stats.columns[PRICE], listed)
        ranker = GBDTRanker(stats, ranking.base, ranking.residual, None, None, ranking.calibration)
        return cls(split, text_search, stats, HybridRetriever(collaborative, towers, settings.retrieval), ranker, clicks, prices)

    def candidates(self, examples: SearchExamples, models: TextModels) -> Candidates:
        """Retrieve for each query, with all features."""
        users = examples.histories(self.split)
        analyzer = self.text_search.lexical.analyzer
        tokens = [tuple(analyzer.tokens(text)) for text in examples.texts]
        states = models.encoder.token_states(examples.texts, kind="query")
        vectors = models.query_tower.vectors(states, queries=True)
        allowed = np.ones(len(self.text_search.text_of), dtype=bool)
        found = [
            self.text_search.retrieve((Wording(text, words),), vectors[i : i + 1], users.take(np.array([i])), allowed)
            for i, (text, words) in enumerate(zip(examples.texts, tokens, strict=True))
        ]
        candidates = joined(found)
        clicks = self.clicks.values([query_key(words) for words in tokens], candidates.rows)
        columns = {LOG_CLICKS: clicks, PREFERENCE: self._preference(candidates)}
        return with_search_features(replace(candidates, users=users, features=candidates.features | columns), self.stats, self.prices)

    def _preference(self, candidates: Candidates) -> np.ndarray:
        """Return the log odds that each user buys a candidate, as the recommender has them; nan for unknown users."""
        odds = np.full(candidates.rows.shape, np.nan, dtype=np.float32)
        known = np.flatnonzero((candidates.users.lengths > 0) & candidates.valid.any(axis=1))
        for start in range(0, len(known), BATCH):
            some = known[start : start + BATCH]
            odds[some] = preferences(self.retriever, self.ranker, candidates.for_users(some), len(self.prices))
        return odds


def preferences(retriever: HybridRetriever, ranker: GBDTRanker, candidates: Candidates, n_items: int) -> np.ndarray:
    """Return the log odds that known users buy candidates (b, k), as the recommender ranks them among these alone; nan for padding."""
    rows = candidates.rows
    allowed = np.zeros((len(rows), n_items), dtype=bool)
    user, place = np.nonzero(candidates.valid)
    allowed[user, rows[user, place]] = True
    ranked = ranker.rank(retriever.retrieve(candidates.users, rows.shape[1], allowed))
    dense = np.full(allowed.shape, np.nan, dtype=np.float32)
    user, place = np.nonzero(ranked.valid)
    dense[user, ranked.rows[user, place]] = ranked.features[LOG_ODDS][user, place]
    return np.where(rows >= 0, np.take_along_axis(dense, np.maximum(rows, 0), axis=1), np.nan)


def fit_search(job: TrainingJob, models: TextModels, ranking: Ranking, *, debiased: bool = True) -> tuple[SearchRanker, dict[str, Any]]:
    """Fit the search's booster and calibration on lists after the calibration's cut.

    Returns
    -------
    ranker : an untrained one where there is nothing to learn from.
    report : facts for the model card.
    """
    window = SearchWindow.of(job, models, ranking, debiased=debiased)
    examples = None if job.queries is None else examples_of_log(job.queries, window.split, job.seed, debiased=debiased)
    if examples is None:
        examples = examples_of_purchases(job.catalog, window.split, job.seed)
    if examples is None:
        return SearchRanker(), {"learned_from": "nothing: no item has a category, and there is no search log"}
    candidates = window.candidates(examples, models)
    labels = examples.wanted.hits(candidates.rows)
    kept = candidates.valid if examples.shown is None else examples.shown.hits(candidates.rows)
    useful = labels.any(axis=1)
    if not useful.any():
        return SearchRanker(), {"learned_from": "nothing: no query finds what was bought"}
    weights = _weights(examples, candidates)
    held = np.arange(len(labels)) % HELD_OUT == HELD_OUT - 1
    booster = fit_search_booster(candidates, labels, np.where(kept, weights, 0), useful & ~held, job.seed)
    odds = booster.log_odds(candidates)
    judged = held[:, None] & kept
    calibration = Calibration.fit(odds[judged], labels[judged])
    report = {
        "learned_from": examples.source,
        "lists": int(useful.sum()),
        "gain": {name: round(float(gain), 1) for name, gain in zip(booster.names, booster.gain(), strict=True)},
    }
    return SearchRanker(booster, calibration), report


def _weights(examples: SearchExamples, candidates: Candidates) -> np.ndarray:
    """Return the weight of each candidate, float32 (n, k): that of its click, 1 for all others."""
    weights = np.ones(candidates.rows.shape, dtype=np.float32)
    if examples.weight is None:
        return weights
    wanted = examples.wanted
    keys = np.arange(len(weights))[:, None] * np.int64(wanted.n_items) + candidates.rows
    place = np.minimum(np.searchsorted(wanted.keys, keys), len(wanted.keys) - 1)
    found = (wanted.keys[place] == keys) & candidates.valid
    weights[found] = examples.weight[place[found]]
    return weights
