import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import AP, RR, R, nDCG

from eval.metrics.lists import average_precision, coverage, diversity, hit_rate, mrr, ndcg, novelty, recall
from eval.metrics.user_items import BLOCK, FEW, UserItems

LOG3, LOG6 = math.log2(3), math.log2(6)


def relevant_of(sets, n_items):
    pairs = [(u, i) for u, items in enumerate(sets) for i in items]
    user, item = (np.array([p[axis] for p in pairs], dtype=np.int64) for axis in (0, 1))
    return UserItems.of(user, item, len(sets), n_items)


# One user, list 3 1 4 0 2, relevant 1 2 9: hits at ranks 2 and 5.
GOLDEN = [
    (recall, 5, 2 / 3),
    (recall, 2, 1 / 3),
    (recall, 1, 0.0),
    (hit_rate, 5, 1.0),
    (hit_rate, 1, 0.0),
    (ndcg, 5, (1 / LOG3 + 1 / LOG6) / (1 + 1 / LOG3 + 1 / 2)),
    (ndcg, 2, (1 / LOG3) / (1 + 1 / LOG3)),
    (mrr, 5, 1 / 2),
    (mrr, 1, 0.0),
    (average_precision, 5, (1 / 2 + 2 / 5) / 3),
    (average_precision, 2, (1 / 2) / 2),
]


@pytest.mark.parametrize(("metric", "k", "expected"), GOLDEN)
def test_golden_values(metric, k, expected):
    rows = np.array([[3, 1, 4, 0, 2]])
    assert metric(rows, relevant_of([{1, 2, 9}], 10), k) == pytest.approx([expected])


METRICS = (recall, hit_rate, ndcg, mrr, average_precision)


@pytest.mark.parametrize("metric", METRICS)
def test_a_perfect_list_scores_one_and_an_empty_one_zero(metric):
    relevant = relevant_of([{0, 1}, {0, 1}, set()], 4)
    rows = np.array([[1, 0, -1], [-1, -1, -1], [0, 1, 2]])
    assert metric(rows, relevant, 3) == pytest.approx([1.0, 0.0, np.nan], nan_ok=True)


@pytest.mark.parametrize("metric", METRICS)
def test_an_item_twice_counts_once_and_padding_never(metric):
    relevant = relevant_of([{0, 2}], 4)
    once = metric(np.array([[0, 1, 3, 3]]), relevant, 4)
    assert metric(np.array([[0, 0, 0, -1]]), relevant, 4) == pytest.approx(once)


@pytest.mark.parametrize("metric", METRICS)
def test_a_list_shorter_than_k_is_not_made_easier(metric):
    relevant = relevant_of([{0, 1, 2}], 6)
    assert metric(np.array([[0, 5]]), relevant, 4) == pytest.approx(metric(np.array([[0, 5, 3, 4]]), relevant, 4))


def plain(name, row, wanted, k):
    """The slow plain implementation, for one user."""
    if not wanted:
        return math.nan
    seen, hits = set(), []
    for item in list(row)[:k]:
        hits.append(item in wanted and item not in seen)
        seen.add(item)
    ranks = [place + 1 for place, hit in enumerate(hits) if hit]
    best = min(k, len(wanted))
    return {
        "recall": len(ranks) / len(wanted),
        "hit_rate": float(bool(ranks)),
        "ndcg": sum(1 / math.log2(r + 1) for r in ranks) / sum(1 / math.log2(r + 1) for r in range(1, best + 1)),
        "mrr": 1 / ranks[0] if ranks else 0.0,
        "average_precision": sum((i + 1) / r for i, r in enumerate(ranks)) / best,
    }[name]


@st.composite
def problems(draw):
    n_items, width = draw(st.integers(1, 8)), draw(st.integers(1, 9))
    item = st.integers(0, n_items - 1)
    users = draw(st.lists(st.tuples(st.lists(item, max_size=width), st.sets(item)), min_size=1, max_size=5))
    rows = np.array([row + [-1] * (width - len(row)) for row, _ in users], dtype=np.int64)
    return rows, [wanted for _, wanted in users], n_items, draw(st.integers(1, 12))


@given(problems())
def test_vectorised_metrics_equal_the_plain_ones(problem):
    rows, sets, n_items, k = problem
    relevant = relevant_of(sets, n_items)
    for metric in METRICS:
        expected = [plain(metric.__name__, row, wanted, k) for row, wanted in zip(rows, sets, strict=True)]
        assert metric(rows, relevant, k) == pytest.approx(expected, nan_ok=True), metric.__name__


def test_metrics_agree_with_ir_measures():
    rng = np.random.default_rng(3)
    n_users, n_items, k = 40, 30, 10
    rows = np.stack([rng.permutation(n_items)[:20] for _ in range(n_users)])
    sets = [set(rng.permutation(n_items)[: rng.integers(1, 15)].tolist()) for _ in range(n_users)]
    relevant = relevant_of(sets, n_items)
    qrels = [ir_measures.Qrel(f"{u:03d}", str(i), 1) for u, items in enumerate(sets) for i in items]
    run = [ir_measures.ScoredDoc(f"{u:03d}", str(i), 100.0 - rank) for u, row in enumerate(rows) for rank, i in enumerate(row)]
    theirs = {measure: np.zeros(n_users) for measure in (nDCG @ k, R @ k, RR @ k, AP @ k)}
    for found in ir_measures.iter_calc(list(theirs), qrels, run):
        theirs[found.measure][int(found.query_id)] = found.value
    np.testing.assert_allclose(ndcg(rows, relevant, k), theirs[nDCG @ k])
    np.testing.assert_allclose(recall(rows, relevant, k), theirs[R @ k])
    np.testing.assert_allclose(mrr(rows, relevant, k), theirs[RR @ k])
    # trec_eval divides by all relevant items, even beyond k.
    ours = average_precision(rows, relevant, k) * np.minimum(k, relevant.counts) / relevant.counts
    np.testing.assert_allclose(ours, theirs[AP @ k])


def test_coverage_counts_each_item_once_and_no_padding():
    assert coverage(np.array([[0, 1, 5], [1, -1, 6]]), 2, 8) == pytest.approx(2 / 8)
    assert math.isnan(coverage(np.array([[-1]]), 1, 0))


def test_novelty_is_the_mean_of_bits():
    # Bought by 8, 2 and 0 of 8 users: 0, 2 and (as if by one) 3 bits.
    found = novelty(np.array([[0, 1, 2], [1, -1, -1], [-1, -1, -1]]), np.array([8, 2, 0]), 8, 3)
    assert found == pytest.approx([5 / 3, 2.0, np.nan], nan_ok=True)


def test_diversity_on_paper():
    vectors = np.array([[2.0, 0.0], [5.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]])
    rows = np.array([[0, 1, -1], [0, 2, -1], [0, 3, -1], [0, 1, 2], [0, -1, -1], [0, 4, -1]])
    # Parallel, at right angles, opposite, (1 + 0 + 0) / 3, alone, with a vector of zeros.
    assert diversity(rows, vectors, 3) == pytest.approx([0.0, 1.0, 2.0, 2 / 3, np.nan, 1.0], nan_ok=True)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_diversity_equals_the_sum_over_pairs(seed, k):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(9, 4))
    row = rng.permutation(9)[:k]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = [unit[a] @ unit[b] for a in row for b in row if a != b]
    assert diversity(row[None], vectors, k) == pytest.approx([1 - np.mean(cosines)])


def test_rows_out_of_range_are_refused():
    with pytest.raises(ValueError, match="item rows run from 0 to 4, expected 0 to 3"):
        relevant_of([{0, 4}], 4)
    with pytest.raises(ValueError, match="2 lists for 1 users"):
        relevant_of([{0}], 4).hits(np.zeros((2, 1), dtype=np.int64))


@given(problems())
def test_mask_and_has_agree(problem):
    _, sets, n_items, _ = problem
    pairs = relevant_of(sets, n_items)
    users = np.arange(len(sets))[::-1]
    mask = pairs.mask(users)
    assert [set(np.flatnonzero(row).tolist()) for row in mask] == sets[::-1]
    assert (pairs.has(users[:, None], np.arange(n_items)[None, :]) == mask).all()


@pytest.mark.parametrize("most", [1, FEW, FEW + 1])
def test_hits_of_more_users_than_one_block(most: int) -> None:
    """User u gets u, u + 1, u + 2 (modulo the items), u. Relevant is u + 1; to the last user `most` items."""
    users, items = BLOCK + 3, 50
    everyone = np.arange(users)
    last, wanted = np.full(most, users - 1), (users + np.arange(most)) % items
    pairs = UserItems.of(np.concatenate([everyone, last]), np.concatenate([(everyone + 1) % items, wanted]), users, items)
    rows = (everyone[:, None] + np.array([0, 1, 2, 0])) % items
    expected = np.tile([False, True, False, False], (users, 1))
    expected[-1] = [False, True, most > 1, False]  # relevant are u + 1, u + 2, and so on
    assert np.array_equal(pairs.hits(rows), expected)
