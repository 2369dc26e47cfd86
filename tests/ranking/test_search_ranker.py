"""Ranking of what a search found: more evidence never hurts, and only items near the best relevance compete."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from features.behavior.item_stats import ItemStats
from features.data.histories import Histories
from features.names import (
    BUYERS_28,
    BUYERS_EVER,
    DENSE_SCORE,
    ITEM_PRICE,
    LEXICAL_SCORE,
    LOG_CLICKS,
    PAIR_LOGIT,
    PREFERENCE,
    RELEVANCE,
    RELEVANCE_SHARE,
    SALES,
    SALES_EVER,
)
from ranking.calibration import Calibration
from ranking.cross_encoder.config import QueryPairConfig
from ranking.search_ranker import (
    FEATURES,
    NEAR,
    RISING,
    LabelledLists,
    SearchRanker,
    fit_search_booster,
    with_pair_logits,
    with_search_features,
)
from retrieval.candidates import Candidates

B, K = 80, 12
EVERY = np.ones((B, K), dtype=np.float32)


def made_up(seed: int = 0) -> tuple[Candidates, np.ndarray]:
    """Candidates with all features, and labels that rise with relevance, clicks and preference."""
    rng = np.random.default_rng(seed)
    rows = np.tile(np.arange(K), (B, 1))
    features = {name: rng.random((B, K)).astype(np.float32) for name in FEATURES}
    features[RELEVANCE_SHARE] = rng.uniform(0.3, 1, (B, K)).astype(np.float32)
    features[PREFERENCE][:20] = np.nan  # unknown visitors
    odds = 4 * features[RELEVANCE_SHARE] + 2 * features[LOG_CLICKS] + np.nan_to_num(features[PREFERENCE]) - 5
    labels = rng.random((B, K)) < 1 / (1 + np.exp(-odds))
    return Candidates(Histories.of_baskets([[]] * B, 0), rows, np.zeros((B, K), dtype=np.float32), features), labels


@pytest.fixture(scope="module")
def ranker() -> SearchRanker:
    candidates, labels = made_up()
    booster = fit_search_booster(LabelledLists(candidates, labels, EVERY), np.ones(B, dtype=bool), 0, pairs=True)
    return SearchRanker(booster, Calibration.fit(booster.log_odds(candidates).ravel(), labels.ravel()))


@pytest.mark.parametrize("name", RISING)
def test_more_evidence_never_lowers_the_odds(ranker: SearchRanker, name: str) -> None:
    candidates, _ = made_up(3)
    more = replace(candidates, features=candidates.features | {name: candidates.features[name] + 0.3})
    assert ranker.booster is not None
    before, after = (ranker.booster.log_odds(one) for one in (candidates, more))
    known = ~np.isnan(candidates.features[name])
    assert (after[known] >= before[known] - 1e-6).all()


def test_the_booster_has_learned_what_tells(ranker: SearchRanker) -> None:
    assert ranker.booster is not None
    gain = dict(zip(ranker.booster.names, ranker.booster.gain(), strict=True))
    assert gain[RELEVANCE_SHARE] > gain[SALES]
    assert gain[LOG_CLICKS] > gain[ITEM_PRICE]


def test_items_far_from_the_best_relevance_come_after_all_near_ones_by_relevance(ranker: SearchRanker) -> None:
    candidates, _ = made_up(5)
    far = candidates.features[RELEVANCE_SHARE] < NEAR
    loud = {LOG_CLICKS: np.where(far, 9, 0).astype(np.float32), PREFERENCE: np.where(far, 9, -9).astype(np.float32)}
    ranked = ranker.rank(replace(candidates, features=candidates.features | loud))
    shares = ranked.features[RELEVANCE_SHARE]
    for row in shares:
        near = row >= NEAR
        assert (np.diff(near.astype(int)) <= 0).all(), "near ones first"
        assert (np.diff(row[~near]) <= 0.05).all(), "then by relevance, but for what the odds add"
    assert (np.diff(ranked.scores, axis=1) <= 0).all()


@pytest.mark.parametrize("trained", [True, False])
def test_padding_stays_last_and_an_untrained_ranker_goes_by_relevance(ranker: SearchRanker, trained: bool) -> None:
    candidates, _ = made_up(7)
    order = np.tile(np.arange(K), (B, 1))
    order[:, 8:] = -1
    ranked = (ranker if trained else SearchRanker()).rank(candidates.take(order))
    assert (ranked.rows[:, 8:] == -1).all()
    assert (ranked.rows[:, :8] >= 0).all()
    if not trained:
        quiet = {LOG_CLICKS: np.zeros((B, K), np.float32), SALES: np.zeros((B, K), np.float32)}
        shares = SearchRanker().rank(replace(candidates, features=candidates.features | quiet)).features[RELEVANCE_SHARE]
        assert (np.diff(shares, axis=1) <= 0).all()


def test_scores_of_an_untrained_ranker_are_comparable_between_queries_and_order_the_same() -> None:
    candidates, _ = made_up(8)
    relevance = np.linspace(0.2, 1.5, B, dtype=np.float32)[:, None] * candidates.features[RELEVANCE_SHARE]
    with_relevance = replace(candidates, features=candidates.features | {RELEVANCE: relevance})
    alone, levelled = SearchRanker().rank(candidates), SearchRanker().rank(with_relevance)
    assert np.array_equal(alone.rows, levelled.rows)
    np.testing.assert_allclose(levelled.scores, alone.scores * relevance.max(axis=1, keepdims=True), rtol=1e-5)


def test_it_comes_back_from_its_files(ranker: SearchRanker) -> None:
    candidates, _ = made_up(9)
    for one in (ranker, SearchRanker()):
        again = SearchRanker.from_files(one.to_files())
        assert again.to_files() == one.to_files()
        mine, theirs = one.rank(candidates), again.rank(candidates)
        assert np.array_equal(mine.rows, theirs.rows)
        np.testing.assert_array_equal(one.probabilities(mine), again.probabilities(theirs))
    assert SearchRanker().probabilities(candidates) is None
    ranked = ranker.rank(candidates)
    chances, near = ranker.probabilities(ranked), ranked.features[RELEVANCE_SHARE] >= NEAR
    assert chances is not None
    assert near.any()
    assert ((chances[near] >= 0) & (chances[near] <= 1)).all()
    assert np.isnan(chances[~near]).all(), "scores far from the query are no log odds"


def test_lists_and_candidates_without_weight_are_not_learned_from() -> None:
    candidates, labels = made_up()
    weights = EVERY.copy()
    used = np.arange(B) < B // 2
    weights[:, 6:] = 0
    wrong = np.where(used[:, None] & (weights > 0), labels, ~labels)
    mine, theirs = (fit_search_booster(LabelledLists(candidates, one, weights), used, 0, pairs=False) for one in (labels, wrong))
    assert np.array_equal(mine.log_odds(candidates), theirs.log_odds(candidates))


def test_features_are_shares_of_the_best_and_logarithms_of_counts(shop) -> None:
    stats = ItemStats.fit(shop.log, shop.catalog, shop.log.end)
    prices = np.arange(len(shop.catalog), dtype=np.float64)
    rows = np.array([[3, 7, -1], [5, -1, -1]])
    relevance = np.array([[2.0, 0.5, np.nan], [0.0, np.nan, np.nan]], dtype=np.float32)
    found = Candidates(Histories.of_baskets([[], []], 0), rows, np.zeros((2, 3), dtype=np.float32), {RELEVANCE: relevance})
    features = with_search_features(found, stats, prices).features
    assert features.keys() >= set(FEATURES)
    assert features[RELEVANCE_SHARE][0, :2].tolist() == [1.0, 0.25]
    assert features[RELEVANCE_SHARE][1, 0] == 0
    assert features[SALES][0, 0] == pytest.approx(np.log1p(stats.columns[BUYERS_28][3]))
    assert features[SALES_EVER][0, 1] == pytest.approx(np.log1p(stats.columns[BUYERS_EVER][7]))
    assert features[ITEM_PRICE][1, 0] == pytest.approx(np.log(6))
    assert all(np.isnan(features[name]).all() for name in (LOG_CLICKS, PREFERENCE, LEXICAL_SCORE, DENSE_SCORE, PAIR_LOGIT))


@pytest.mark.parametrize("pairs", [True, False])
def test_only_a_booster_that_was_fitted_with_pairs_reads_them(pairs: bool) -> None:
    candidates, labels = made_up()
    booster = fit_search_booster(LabelledLists(candidates, labels, EVERY), np.ones(B, dtype=bool), 0, pairs=pairs)
    ranker = SearchRanker(booster, Calibration.fit(booster.log_odds(candidates).ravel(), labels.ravel()))
    read = SearchRanker.from_files(ranker.to_files()).booster
    assert read is not None
    assert read.names == booster.names
    assert (PAIR_LOGIT in read.names) is pairs


def test_pairs_are_scored_where_the_relevance_is_highest() -> None:
    class Scorer:
        config = QueryPairConfig(rerank_depth=2)

        def logits(self, left: Any, rows: np.ndarray, tokens: Any) -> np.ndarray:
            assert left == "queries"
            return np.where(rows >= 0, rows * 10.0, np.nan)

    relevance = np.array([[0.1, 0.9, 0.5], [0.3, np.nan, np.nan]], dtype=np.float32)
    rows = np.array([[7, 8, 9], [5, -1, -1]])
    found = Candidates(Histories.of_baskets([[], []], 0), rows, np.zeros((2, 3), dtype=np.float32), {RELEVANCE: relevance})
    scorer, queries, tokens = Scorer(), cast("Any", "queries"), cast("Any", SimpleNamespace(text_of=np.arange(10)))
    logits = with_pair_logits(found, scorer, queries, tokens).features[PAIR_LOGIT]
    np.testing.assert_array_equal(logits, [[np.nan, 80, 90], [50, np.nan, np.nan]])
    assert np.isnan(with_pair_logits(found, None, queries, tokens).features[PAIR_LOGIT]).all()
    assert np.isnan(with_pair_logits(found, scorer, queries, None).features[PAIR_LOGIT]).all()
