"""Maximal marginal relevance: the dial from one end to the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from features.data.histories import Histories
from features.errors import ConfigError
from ranking.diversity import BATCH, diversify
from retrieval.candidates import Candidates

N_ITEMS, M, K, B = 60, 30, 8, BATCH + 5


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Ten kinds of six items each; items of a kind are near duplicates."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.standard_normal((10, 16)), 6, axis=0) + 0.1 * rng.standard_normal((N_ITEMS, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    """Users who each like one kind best, so that the top of the list is alike; user 1 has three candidates, user 2 none."""
    rng = np.random.default_rng(1)
    rows = np.array([rng.permutation(N_ITEMS)[:M] for _ in range(B)])
    rows[0] = np.arange(M)
    rows[1, 3:] = -1
    rows[2] = -1
    scores = np.where(rows >= 0, -np.sort(-rng.random((B, M)), axis=1), -np.inf).astype(np.float32)
    users = Histories.of_baskets([[]] * B, now=0)
    return Candidates(users, rows, scores, {"row": np.where(rows >= 0, rows, np.nan).astype(np.float32)})


def alikeness(chosen: Candidates, vectors: np.ndarray) -> float:
    """Mean cosine between the items of each list, over full lists."""
    full = vectors[chosen.rows[chosen.valid.all(axis=1)]]
    near = np.einsum("bid,bjd->bij", full, full)
    return float(near[:, *np.triu_indices(chosen.rows.shape[1], 1)].mean())


def slow_mmr(rows: list[int], vectors: np.ndarray, diversity: float, k: int) -> list[int]:
    left, chosen = [row for row in rows if row >= 0], []
    relevance = {row: 1 / np.log2(2 + place) for place, row in enumerate(left)}
    while left and len(chosen) < k:
        nearest = {row: max([0.0, *(float(vectors[row] @ vectors[other]) for other in chosen)]) for row in left}
        best = max(left, key=lambda row: (1 - diversity) * relevance[row] - diversity * nearest[row])
        chosen.append(best)
        left.remove(best)
    return chosen + [-1] * (k - len(chosen))


def test_at_nought_the_order_stays(candidates, vectors):
    chosen = diversify(candidates, vectors.__getitem__, 0.0, K)
    assert np.array_equal(chosen.rows, candidates.rows[:, :K])
    assert np.array_equal(chosen.scores, candidates.scores[:, :K])


def test_only_vectors_of_candidates_are_requested(candidates, vectors):
    requested: list[np.ndarray] = []

    def vectors_of(rows: np.ndarray) -> np.ndarray:
        requested.append(rows)
        return vectors[rows]

    diversify(candidates, vectors_of, 0.0, K)
    assert requested == []
    diversify(candidates, vectors_of, 0.5, K)
    assert np.array_equal(np.concatenate(requested), np.maximum(candidates.rows, 0))


def test_at_one_no_kind_comes_twice_while_others_are_left(candidates, vectors):
    chosen = diversify(candidates, vectors.__getitem__, 1.0, K)
    assert np.array_equal(chosen.rows[:, 0], candidates.rows[:, 0])
    assert len(set(candidates.rows[0, :K] // 6)) == 2  # without, the first user sees two kinds
    assert len(set(chosen.rows[0, :5] // 6)) == 5
    for row in np.delete(chosen.rows, [0, 1, 2], axis=0):
        assert len(set(row // 6)) == K


@pytest.mark.parametrize("diversity", [0.1, 0.3, 0.5, 0.8, 1.0])
def test_is_the_slow_definition(candidates, vectors, diversity):
    chosen = diversify(candidates, vectors.__getitem__, diversity, K)
    expected = [slow_mmr(rows, vectors, diversity, K) for rows in candidates.rows.tolist()]
    assert chosen.rows.tolist() == expected


def test_turning_the_dial_makes_lists_more_different(candidates, vectors):
    values = [alikeness(diversify(candidates, vectors.__getitem__, dial, K), vectors) for dial in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    assert all(later <= earlier + 0.005 for earlier, later in itertools.pairwise(values))
    assert values[-1] < values[0] - 0.05


def test_items_keep_scores_and_evidence(candidates, vectors):
    chosen = diversify(candidates, vectors.__getitem__, 0.7, K)
    assert np.array_equal(chosen.features["row"][chosen.valid], chosen.rows[chosen.valid])
    score_of = {(user, row): score for user in range(B) for row, score in zip(candidates.rows[user], candidates.scores[user], strict=True)}
    for user, place in zip(*np.nonzero(chosen.valid), strict=True):
        assert chosen.scores[user, place] == score_of[user, chosen.rows[user, place]]


def test_short_lists_are_padded(candidates, vectors):
    for dial in (0.0, 0.5):
        chosen = diversify(candidates, vectors.__getitem__, dial, K)
        assert chosen.valid.sum(axis=1)[:3].tolist() == [K, 3, 0]
        assert diversify(candidates, vectors.__getitem__, dial, M + 9).rows.shape == (B, M)


@pytest.mark.parametrize("dial", [-0.1, 1.1, float("nan")])
def test_a_dial_beyond_its_ends(candidates, vectors, dial):
    with pytest.raises(ConfigError, match="expected a number from 0"):
        diversify(candidates, vectors.__getitem__, dial, K)
