"""Baskets and gaps, counted by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.data.times.step_time import with_step_time
from retrieval.related.purchases import Baskets, PurchaseGaps
from tests.retrieval.related.shops import log_of


def test_a_basket_is_a_customer_and_a_day():
    baskets = Baskets.of(log_of([("a", 0, 1.1), ("a", 2, 1.9), ("a", 0, 1.9), ("a", 1, 2.0), ("b", 1, 1.1)], 3))
    assert baskets.basket.tolist() == [0, 0, 1, 2]
    assert baskets.item.tolist() == [0, 2, 1, 1], "no item twice in a basket"
    assert baskets.user.tolist() == [0, 0, 1]


def test_large_baskets_are_left_out_and_old_ones_count_less():
    log = log_of([*(("a", i, 1) for i in range(4)), ("a", 0, 11), ("a", 1, 11), ("b", 0, 21)], 4)
    baskets = Baskets.of(log, most=3, half_life=10)
    assert baskets.item.tolist() == [0, 1, 0]
    np.testing.assert_allclose(baskets.weight, [0.5, 1])
    np.testing.assert_allclose((baskets.matrix.T @ baskets.matrix).toarray()[:2, :2], [[1.5, 0.5], [0.5, 0.5]], rtol=1e-6)


def test_a_log_without_a_calendar_has_a_basket_for_each_step():
    log = with_step_time(log_of([("a", 0, 1), ("a", 1, 2), ("a", 2, 2), ("b", 0, 5)], 3), "steps")
    assert log.moments is None
    assert Baskets.of(log).basket.tolist() == [0, 1, 1, 2]


def test_no_purchase_makes_no_basket():
    empty = log_of([("a", 0, 1)], 2)
    baskets = Baskets.of(empty.where(np.zeros(1, dtype=bool)), most=5, half_life=10)
    assert len(baskets) == 0
    assert baskets.matrix.shape == (0, 2)


def test_gaps_of_each_customer_and_item():
    gaps = PurchaseGaps.of(np.array([0, 0, 0, 0, 1]), np.array([5, 5, 5, 6, 5]), np.array([14, 10, 10, 11, 12]))
    assert (gaps.user.tolist(), gaps.item.tolist(), gaps.day.tolist()) == ([0, 0, 0, 1], [5, 5, 6, 5], [10, 14, 11, 12])
    assert gaps.gap.tolist() == [4, np.inf, np.inf, np.inf]
    assert gaps.number.tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(gaps.known, [0, np.log(4), 0, 0])
    assert gaps.last.tolist() == [False, True, True, True]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 40)), max_size=40))
def test_the_gaps_of_a_pair_span_its_first_and_last_day(rows):
    user, item, day = (np.array([row[i] for row in rows], dtype=np.int64) for i in range(3))
    gaps = PurchaseGaps.of(user, item, day)
    assert gaps.last.sum() == len({row[:2] for row in rows})
    for name in ("user", "item", "day"):
        assert len(getattr(gaps, name)) == len(set(rows))
    for one, other in {row[:2] for row in rows}:
        days = {row[2] for row in rows if row[:2] == (one, other)}
        mine = (gaps.user == one) & (gaps.item == other)
        assert gaps.gap[mine & ~gaps.last].sum() == max(days) - min(days)
        assert gaps.number[mine].max() == len(days) - 1
