"""Training of what ranks a search: a cross-encoder over query and item, and a booster that joins it with all other evidence."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from features.behavior.item_stats import ItemStats
from features.names import LOG_CLICKS, PREFERENCE, RELEVANCE
from features.text.languages.scripts import scripts_beside_each_other
from features.text.token_states import ItemTokens
from ranking.calibration import Calibration
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.query_item import QueryTokens
from ranking.cross_encoder.trainer import GradedPairs, fit_cross_encoder
from ranking.ranker import GBDTRanker
from ranking.search_ranker import LabelledLists, SearchRanker, fit_search_booster, preferences, with_pair_logits, with_search_features
from recsys.training.search_lists.examples import SearchExamples, search_examples
from recsys.training.search_lists.log_gate import LogGate, list_ndcg
from recsys.training.search_tower import fit_queries
from retrieval.candidates import joined
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.significance import significant_gain
from retrieval.text_search import TextSearch, Wording, count_clicks, query_key
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    from pathlib import Path

    from features.behavior.query_clicks import QueryClicks
    from features.data.split import Split
    from ranking.gbdt import Booster
    from recsys.artifacts.ranking import Ranking
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels

_log = logging.getLogger(__name__)
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
        collaborative = job.collaborative(window)
        stats = ItemStats.fit(split.history, job.catalog, window.start)
        sales = collaborative.popularity.ranking
        towers = TwoTowerRetriever(models.tower, models.vectors, ItemIndex.build(models.vectors, settings.index), models.text_of, sales)
        first, text_of, _ = job.distinct_texts
        lexical = job.lexical
        vectors = models.query_tower.vectors(models.states)
        category_of = job.catalog.codes("category")[first]
        index = ItemIndex.build(vectors, settings.index)
        scripts = scripts_beside_each_other(job.catalog.frame["title"].gather(first), models.encoder.tokenizer)
        text_search = TextSearch(lexical, vectors, index, text_of, category_of, sales, settings.search.retrieval, scripts)
        before = None if job.queries is None else job.queries.between(None, window.start)
        # What answers are given by has counted the whole log: without the share, all of its values would be larger than those seen here.
        share = 1.0 if before is None or job.queries is None else len(before) / max(len(job.queries), 1)
        clicks = count_clicks(before, lexical, debiased=debiased, share=share)
        prices = stats.current_prices(job.catalog)
        retriever = HybridRetriever(collaborative, towers, settings.retrieval, texts=job.text_similarity(models.text_of, collaborative))
        ranker = GBDTRanker(stats, ranking.base, ranking.residual, None, None, ranking.calibration)
        return cls(split, text_search, stats, retriever, ranker, clicks, prices)

    def lists(self, examples: SearchExamples, vectors: np.ndarray) -> LabelledLists:
        """Retrieve for each query, whose vectors are float32 (n, dim), with all features."""
        users = examples.histories(self.split)
        analyzer = self.text_search.lexical.analyzer
        tokens = [tuple(analyzer.tokens(text)) for text in examples.texts]
        allowed = np.ones(len(self.text_search.text_of), dtype=bool)
        found = [
            self.text_search.retrieve((Wording(text, words),), vectors[i : i + 1], users.take(np.array([i])), allowed)
            for i, (text, words) in enumerate(zip(examples.texts, tokens, strict=True))
        ]
        candidates = joined(found)
        clicks = self.clicks.values([query_key(words) for words in tokens], candidates.rows)
        columns = {LOG_CLICKS: clicks, PREFERENCE: preferences(candidates, self.retriever, self.ranker, len(self.prices))}
        candidates = replace(candidates, users=users, features=candidates.features | columns)
        return examples.labelled(with_search_features(candidates, self.stats, self.prices))


def fit_search(
    job: TrainingJob, models: TextModels, ranking: Ranking, work: Path, *, debiased: bool = True
) -> tuple[SearchRanker, CrossEncoder | None, dict[str, Any]]:
    """Fit the search's booster, its calibration, and the cross-encoder if it lowers the held-out lists' cross-entropy.

    First the queries' side of `models.query_tower` is trained in place, and kept if search then finds more.

    Returns
    -------
    ranker : an untrained one where there is nothing to learn from.
    cross_encoder : None where it earns nothing.
    report : facts for the model card.
    """
    window = SearchWindow.of(job, models, ranking, debiased=debiased)
    before = None if job.queries is None else job.queries.between(None, window.split.cut)
    tower = fit_queries(job, models, window.text_search, before, work, debiased=debiased)
    window = replace(window, text_search=replace(window.text_search, config=tower.config))
    parts = search_examples(job.catalog, job.queries, window.split, job.seed, debiased=debiased)
    if not parts:
        return SearchRanker(), None, {"learned_from": "nothing: no item has a category, and there is no search log"} | tower.facts
    states = models.encoder.token_states([text for part in parts for text in part.texts], kind="query")
    queries, vectors = QueryTokens.of(states), models.query_tower.vectors(states, queries=True)
    begins = np.cumsum([len(part.texts) for part in parts[:-1]])
    data = LabelledLists.joined([window.lists(part, some) for part, some in zip(parts, np.split(vectors, begins), strict=True)])
    labels = data.labels
    if not labels.any():
        return SearchRanker(), None, {"learned_from": "nothing: no query finds what was bought"} | tower.facts
    held = np.arange(len(labels)) % HELD_OUT == HELD_OUT - 1
    gate = LogGate.of(parts, data, held, job.seed)
    data = gate.applied(data)
    of_first = np.arange(len(held)) < len(parts[0].texts)  # of the log, if there is one
    learned = gate.lists | ~of_first
    lists = labels.any(axis=1) & learned
    tokens = ItemTokens(models.states, models.text_of)
    pairs = _fit_pairs(job, models, data, queries, lists & ~held, work)
    data = replace(data, candidates=with_pair_logits(data.candidates, pairs, queries, tokens))
    booster, comparison = _with_or_without_pairs(data, (lists & ~held, held & learned, held & lists), job.seed)
    # The lists that customers really asked for, where there are any, tell how often a candidate is bought.
    judged = (held & of_first)[:, None] & (data.weights > 0)
    report = tower.facts | {
        "learned_from": " and ".join(part.source for part in parts[0 if gate.lists else 1 :]),
        "search_log": gate.report,
        "lists": int(lists.sum()),
        **comparison,
        "gain": {name: round(float(gain), 1) for name, gain in zip(booster.names, booster.gain(), strict=True)},
    }
    pairs.cpu()  # where the model is stored and served
    ranker = SearchRanker(booster, Calibration.fit(booster.log_odds(data.candidates)[judged], labels[judged]))
    return ranker, pairs if comparison["reads_cross_encoder"] else None, report


def _fit_pairs(
    job: TrainingJob, models: TextModels, data: LabelledLists, queries: QueryTokens, lists: np.ndarray, work: Path
) -> CrossEncoder:
    """Train the cross-encoder on the most relevant candidates of some lists, and on what was wanted."""
    config = job.settings.search.pairs
    relevance = np.where(data.candidates.valid, data.candidates.features[RELEVANCE], -np.inf)
    place = np.argsort(np.argsort(-relevance, axis=1, kind="stable"), axis=1, kind="stable")
    used = lists[:, None] & (data.weights > 0) & (data.labels | (place < config.rerank_depth))
    query, at = np.nonzero(used)
    graded = GradedPairs(
        queries, query, data.candidates.rows[query, at], data.labels[query, at].astype(np.float32), data.weights[query, at]
    )
    model = CrossEncoder.upon(models.encoder, config).to(next(models.query_tower.parameters()).device)
    folder = work / "search"
    folder.mkdir(parents=True, exist_ok=True)
    fit_cross_encoder(model, graded, ItemTokens(models.states, models.text_of), folder, job.seed, job.progress)
    return model


def _with_or_without_pairs(
    data: LabelledLists, lists: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int
) -> tuple[Booster, dict[str, Any]]:
    """Fit the booster with and without the cross-encoder's logits; return the one that earns its place, and facts for the model card.

    lists: those that fit, those whose cross-entropy is compared, and those whose NDCG@10 is, bool (n,) each.
    """
    fit, judged, listed = lists
    boosters = {reads: fit_search_booster(data, fit, seed, pairs=reads) for reads in (False, True)}
    losses = {reads: _losses(booster, data, judged) for reads, booster in boosters.items()}
    hits = {reads: _ndcg(SearchRanker(booster), data, listed) for reads, booster in boosters.items()}
    earns = significant_gain(losses[False] - losses[True]) and hits[True] >= hits[False]
    return boosters[earns], {
        "cross_encoder_saves": round(float((losses[False] - losses[True]).sum() / max(losses[False].sum(), 1e-9)), 4),
        "ndcg@10_with_and_without_it": [round(hits[True], 4), round(hits[False], 4)],
        "reads_cross_encoder": earns,
    }


def _losses(booster: Booster, data: LabelledLists, lists: np.ndarray) -> np.ndarray:
    """Return the mean cross-entropy of each of some lists, float64 (m,)."""
    odds = np.where(data.candidates.valid, booster.log_odds(data.candidates), 0.0)[lists]
    losses = (np.logaddexp(0, odds) - data.labels[lists] * odds) * data.weights[lists]
    return losses.sum(axis=1) / np.maximum(data.weights[lists].sum(axis=1), 1e-9)


def _ndcg(ranker: SearchRanker, data: LabelledLists, lists: np.ndarray) -> float:
    """Return the mean NDCG@10 of some lists, among their own candidates."""
    some = np.flatnonzero(lists)
    return float(list_ndcg(ranker, data.candidates.for_users(some), data.labels[some]).mean()) if len(some) else 0.0
