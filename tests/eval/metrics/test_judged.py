"""Metrics against graded judgments: values by hand, the oracle ir-measures, and the rules of lists."""

import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import AP, RR, Judged, P, R, nDCG

from eval.metrics.judged import Judgments, graded_ndcg, judged, precision
from eval.metrics.lists import average_precision, mrr, ndcg, recall


def judgments_of(ratings: list[dict[int, float]], n_items: int) -> Judgments:
    rows = [(query, item, rating) for query, one in enumerate(ratings) for item, rating in one.items()]
    query, item, rating = (np.array([row[axis] for row in rows]) for axis in range(3))
    return Judgments.of(query.astype(np.int64), item.astype(np.int64), rating.astype(float), len(ratings), n_items)


# The list 3 1 4 0; rated: 1 -> 3, 0 -> 1, 4 -> 0, and 9 -> 2, which the list lacks.
ROWS = np.array([[3, 1, 4, 0]])
RATED = judgments_of([{1: 3, 0: 1, 4: 0, 9: 2}], 10)


@pytest.mark.parametrize(
    ("metric", "k", "expected"),
    [
        (graded_ndcg, 10, (7 / math.log2(3) + 1 / math.log2(5)) / (7 + 3 / math.log2(3) + 1 / math.log2(4))),
        (graded_ndcg, 2, (7 / math.log2(3)) / (7 + 3 / math.log2(3))),
        (graded_ndcg, 1, 0.0),
        (precision, 10, 2 / 10),
        (precision, 2, 1 / 2),
        (judged, 10, 3 / 10),
        (judged, 4, 3 / 4),
    ],
)
def test_values_by_hand(metric, k, expected):
    assert metric(ROWS, RATED, k) == pytest.approx([expected])


def test_queries_with_nothing_relevant_are_undefined_and_those_judged_are_still_counted():
    rated = judgments_of([{1: 0}, {1: 2}], 4)
    rows = np.array([[1, 2], [2, 1]])
    assert math.isnan(graded_ndcg(rows, rated, 2)[0])
    assert math.isnan(precision(rows, rated, 2)[0])
    assert judged(rows, rated, 2).tolist() == [0.5, 0.5]


def test_of_a_pair_judged_twice_the_higher_rating_counts():
    twice = Judgments.of(np.array([0, 0, 0]), np.array([2, 2, 1]), np.array([1.0, 3.0, 1.0]), 1, 3)
    assert twice.ratings(np.array([[1, 2]])).tolist() == [[1, 3]]


def test_an_item_that_stands_twice_earns_once():
    assert RATED.ratings(np.array([[1, 1, -1, 5]])).tolist() == [[3, 0, 0, 0]]


@pytest.mark.parametrize("rating", [-1.0, math.nan])
def test_a_rating_below_zero_is_refused(rating):
    with pytest.raises(ValueError, match="expected none below 0"):
        Judgments.of(np.array([0]), np.array([0]), np.array([rating]), 1, 1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_with_ratings_of_one_it_is_the_binary_ndcg(seed, k):
    rng = np.random.default_rng(seed)
    rated = judgments_of([{int(item): 1.0 for item in rng.permutation(9)[: rng.integers(1, 9)]} for _ in range(4)], 9)
    rows = np.stack([rng.permutation(9)[:6] for _ in range(4)])
    np.testing.assert_allclose(graded_ndcg(rows, rated, k), ndcg(rows, rated.relevant, k))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_the_ideal_list_earns_one_and_no_list_more(seed, k):
    rng = np.random.default_rng(seed)
    ratings = [{item: float(rng.integers(0, 4)) for item in range(9)} for _ in range(3)]
    rated = judgments_of(ratings, 9)
    best = np.array([sorted(one, key=lambda item, one=one: -one[item]) for one in ratings])
    other = np.stack([rng.permutation(9) for _ in range(3)])
    ideal = graded_ndcg(best, rated, k)
    assert ideal[~np.isnan(ideal)] == pytest.approx(1.0)
    found = graded_ndcg(other, rated, k)
    assert (found[~np.isnan(found)] <= 1 + 1e-12).all()


def test_metrics_agree_with_ir_measures():
    rng = np.random.default_rng(5)
    n, n_items, k = 40, 60, 10
    rows = np.stack([rng.permutation(n_items)[:30] for _ in range(n)])
    ratings = [{int(item): float(rng.integers(0, 4)) for item in rng.permutation(n_items)[:25]} | {59: 1.0} for _ in range(n)]
    rated = judgments_of(ratings, n_items)
    # The provider of nDCG takes gains as they are: 2 ** rating - 1 is handed over as the rating.
    run = [ir_measures.ScoredDoc(f"{q:03d}", str(i), 100.0 - place) for q, row in enumerate(rows) for place, i in enumerate(row)]
    gains = [ir_measures.Qrel(f"{q:03d}", str(i), round(2**r - 1)) for q, one in enumerate(ratings) for i, r in one.items()]
    theirs = {measure: np.zeros(n) for measure in (nDCG @ k, P @ k, Judged @ k, R @ 100, RR @ k, AP @ 100)}
    for found in ir_measures.iter_calc(list(theirs), gains, run):
        theirs[found.measure][int(found.query_id)] = found.value
    np.testing.assert_allclose(graded_ndcg(rows, rated, k), theirs[nDCG @ k])
    np.testing.assert_allclose(precision(rows, rated, k), theirs[P @ k])
    np.testing.assert_allclose(judged(rows, rated, k), theirs[Judged @ k])
    np.testing.assert_allclose(recall(rows, rated.relevant, 100), theirs[R @ 100])
    np.testing.assert_allclose(mrr(rows, rated.relevant, k), theirs[RR @ k])
    np.testing.assert_allclose(average_precision(rows, rated.relevant, 100), theirs[AP @ 100])
