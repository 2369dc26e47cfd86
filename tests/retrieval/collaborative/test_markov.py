"""Transitions between the steps of users: counts, normalisation, pruning, scores."""

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from retrieval.collaborative.markov import Markov, MarkovConfig, steps_back

PLAIN = MarkovConfig(reach=1, source=0.0, target=0.0)


def log_of(rows, n_items):
    """A log of (user, item row, day)."""
    ids = [f"i{i}" for i in range(n_items)]
    frame = pl.DataFrame([(u, ids[i], day * DAY * 1_000_000) for u, i, day in rows], ["user_id", "item_id", "timestamp"], orient="row")
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": ids, "title": ids}))
    return Interactions.from_frame(frame.with_columns(pl.col("timestamp").cast(pl.Datetime("us"))), catalog)


def at_day(day):
    return day * DAY


@pytest.fixture
def baskets():
    """u0 buys {0, 1}, then {2}, then {0}; u1 buys {0}, then {2, 3}. Item 4 is never sold."""
    return log_of([("u0", 0, 1), ("u0", 1, 1), ("u0", 2, 2), ("u0", 0, 5), ("u1", 0, 3), ("u1", 2, 4), ("u1", 3, 4)], 5)


def test_steps_are_counted_back_from_each_users_last(baskets):
    users = Histories.of_users(baskets, np.array([0, -1, 1]), at_day(9))
    assert steps_back(users).tolist() == [2, 2, 1, 0, 1, 0, 0]
    assert steps_back(Histories.of_baskets([[]], 0)).tolist() == []


def test_transitions_go_from_each_item_to_each_item_of_the_next_step(baskets):
    weights = Markov.fit(baskets, PLAIN).weights.toarray()
    expected = np.zeros((5, 5))
    expected[0, 2], expected[1, 2], expected[2, 0], expected[0, 3] = 2, 1, 1, 1
    np.testing.assert_array_equal(weights, expected)


def test_a_longer_reach_counts_less(baskets):
    weights = Markov.fit(baskets, PLAIN.model_copy(update={"reach": 2, "decay": 0.5})).weights.toarray()
    # Two steps on, u0's first basket is followed by 0.
    assert (weights[0, 0], weights[1, 0], weights[0, 2]) == (0.5, 0.5, 2)


def test_counts_over_powers_of_the_sums(baskets):
    weights = Markov.fit(baskets, MarkovConfig(reach=1, source=1.0, target=0.5)).weights.toarray()
    # Item 0 has three transitions to others; item 2 is the target of three, item 3 of one.
    np.testing.assert_allclose([weights[0, 2], weights[0, 3]], [2 / 3 / np.sqrt(3), 1 / 3], rtol=1e-6)


def test_pruning_keeps_the_strongest(baskets):
    assert Markov.fit(baskets, PLAIN.model_copy(update={"keep": 1})).weights.toarray()[0].tolist() == [0, 0, 2, 0, 0]


def test_scores_use_the_last_steps_each_item_by_its_newest():
    log = log_of([("u", 0, 1), ("u", 1, 2), ("u", 0, 3), ("v", 0, 1), ("v", 2, 2), ("w", 1, 1), ("w", 3, 2)], 4)
    user = Histories.of_users(log, log.user_rows(["u"]), at_day(9))
    first = Markov.fit(log, PLAIN).scores(user)[0]
    assert first.tolist() == [0, 1, 1, 0]  # after 0 came 1 and 2
    further = Markov.fit(log, PLAIN.model_copy(update={"reach": 2, "decay": 0.5})).scores(user)[0]
    # 0 counts once, as of the last step; 1 half: after it came 0 and 3. 0 leads to itself at half.
    assert further.tolist() == [0.5 + 0.5, 1, 1, 0.5]


def test_pair_scores_are_those_of_the_whole_and_files_keep_the_model(baskets):
    model = Markov.fit(baskets)
    users = Histories.of_users(baskets, np.array([0, 1]), at_day(9))
    again = Markov.from_files(model.to_files())
    assert again.config == model.config
    np.testing.assert_array_equal(again.scores(users), model.scores(users))
    rows = np.array([[2, -1], [4, 0]])
    scores = model.scores(users)
    assert model.pair_scores(users, rows).tolist() == [[scores[0, 2], 0], [0, scores[1, 0]]]
    assert model.n_items == 5


def test_nobody_has_a_next_step():
    log = log_of([("u", 0, 1), ("v", 1, 1)], 2)
    for part in (log, log.between(None, 0)):
        model = Markov.fit(part, MarkovConfig(reach=3))
        assert model.weights.nnz == 0
        assert model.scores(Histories.of_baskets([[0], []], DAY)).tolist() == [[0, 0], [0, 0]]
