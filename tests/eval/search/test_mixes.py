"""Mixes of scores: "BM25 then popularity", tuned weights, and who sees what."""

import numpy as np
import pytest

from eval.metrics.judged import Judgments
from eval.metrics.user_items import UserItems
from eval.search.mixes import TIES, Mix, own_purchases, popularity
from eval.search.query_set import QuerySet
from eval.search.text_scores import LexicalScores, VectorScores
from features.data.interactions import DAY


def fixed(*rows):
    table = np.array(rows, dtype=np.float32)
    return lambda queries, _users: table[[int(query) for query in queries]]


SCORES = {"bm25": fixed([3, 0, 3, 1], [0, 0, 0, 0]), "popularity": fixed([1, 9, 2, 5], [1, 9, 2, 5])}
NOBODY = (None, None)


def test_bm25_then_popularity_orders_equals_by_popularity_and_nothing_else():
    plain = Mix(SCORES, {"bm25": 1})(("0",), (None,), 4)
    then = Mix(SCORES, {"bm25": 1, "popularity": TIES})(("0",), (None,), 4)
    assert plain.tolist() == [[0, 2, 3, -1]]
    assert then.tolist() == [[2, 0, 3, -1]]


def test_a_heavy_weight_lifts_the_popular_above_better_matches_and_nothing_that_does_not_match():
    assert Mix(SCORES, {"bm25": 1, "popularity": 9})(("0", "1"), NOBODY, 4).tolist() == [[3, 2, 0, -1], [-1] * 4]


def test_scores_are_scaled_within_the_query():
    doubled = {**SCORES, "bm25": lambda queries, users: 100 * SCORES["bm25"](queries, users)}
    weights = {"bm25": 1.0, "popularity": 0.7}
    assert (Mix(SCORES, weights)(("0",), (None,), 4) == Mix(doubled, weights)(("0",), (None,), 4)).all()


def test_tuning_takes_the_weights_that_find_what_is_relevant():
    relevant = UserItems.of(np.array([0]), np.array([3]), 1, 4)
    queries = QuerySet("judged", ("0",), (None,), Judgments.binary(relevant))
    tuned = Mix(SCORES, {"bm25": 1}).tuned([{"popularity": weight} for weight in (0, TIES, 9)], queries)
    assert tuned.weights == {"bm25": 1, "popularity": 9}


def test_meaning_finds_what_no_word_matches():
    mix = Mix({**SCORES, "dense": fixed([0, 0.5, 0, 0.1], [0.1, 0, 0.7, 0.2])}, {"bm25": 0.5, "dense": 0.5}, ("bm25", "dense"))
    assert mix(("1",), (None,), 2).tolist() == [[2, 3]]


def test_popularity_counts_buyers_of_the_last_days_before_the_cut_alone(shop):
    cut = shop.log.start + 100 * DAY
    before = shop.log.between(None, cut)
    scores = popularity(before, cut, days=30)(["tea"], [None])[0]
    recent = before.between(cut - 30 * DAY, None)
    bought = {int(item): len(set(recent.user[(recent.item == item) & (recent.event == 0)].tolist())) for item in range(len(shop.catalog))}
    assert np.floor(np.expm1(scores) + 1e-4).astype(int).tolist() == list(bought.values())


def test_own_purchases_are_those_of_the_user_and_nothing_for_a_stranger(shop):
    cut = shop.log.start + 100 * DAY
    before = shop.log.between(None, cut)
    found = own_purchases(before, cut)(["tea"] * 3, ["user-03", None, "nobody"])
    row = before.user_rows(["user-03"])[0]
    assert set(np.flatnonzero(found[0]).tolist()) == set(before.item[(before.user == row) & (before.event == 0)].tolist())
    assert not found[1:].any()


def test_words_find_the_items_that_have_them(shop):
    scores = LexicalScores.of(shop.catalog)(["green tea", "croissant", "green tea", "zzz"], [None] * 4)
    titles = shop.catalog.frame["title"].to_list()
    assert {titles[row] for row in np.flatnonzero(scores[0] == scores[0].max())} <= {"green tea small", "green tea large"}
    assert set(np.flatnonzero(scores[1]).tolist()) == {row for row, title in enumerate(titles) if "croissant" in title}
    assert (scores[0] == scores[2]).all()
    assert not scores[3].any()


def test_bm25_is_tuned_on_the_queries(shop):
    lexical = LexicalScores.of(shop.catalog)
    relevant = UserItems.of(np.array([0]), np.array([0]), 1, len(shop.catalog))
    tuned = lexical.tuned(QuerySet("judged", ("green tea of the house",), (None,), Judgments.binary(relevant)))
    assert tuned.index.config.weights == lexical.index.config.weights
    assert tuned(["rye"], [None]).shape == (1, len(shop.catalog))


def test_vectors_are_compared_by_cosine_and_shared_texts_share_them():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = VectorScores(lambda texts: np.tile([0.6, 0.8], (len(texts), 1)), vectors, np.array([1, 0, 1]))(["any", "any"], NOBODY)
    assert found == pytest.approx(np.tile([0.8, 0.6, 0.8], (2, 1)))
