"""At most n of a group: checked against a plain loop, and lists that variants crowd are filled with others."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.data.histories import Histories
from ranking.variants import GroupLimit, representatives, within_limit
from retrieval.candidates import Candidates

lists = st.lists(st.lists(st.integers(-1, 11), min_size=6, max_size=6), min_size=1, max_size=4)


def candidates(rows: np.ndarray) -> Candidates:
    scores = np.where(rows >= 0, -np.arange(rows.shape[1], dtype=np.float32), -np.inf).astype(np.float32)
    return Candidates(Histories.of_baskets([[]] * len(rows), now=0), rows, scores, {"row": rows.astype(np.float32)})


@settings(max_examples=200, deadline=None)
@given(lists, st.lists(st.integers(0, 4), min_size=12, max_size=12), st.integers(1, 3))
def test_the_first_n_of_each_group_stay_in_their_order(rows, groups, most):
    rows, groups = np.sort(np.array(rows), axis=1)[:, ::-1], np.array(groups)  # padding last
    kept = GroupLimit(groups, np.zeros(12), most).keep(candidates(rows)).rows
    for before, after in zip(rows.tolist(), kept.tolist(), strict=True):
        expected: list[int] = []
        for row in before:
            if row >= 0 and sum(groups[other] == groups[row] for other in expected) < most:
                expected.append(row)
        assert [row for row in after if row >= 0] == expected
        assert sum(within_limit(np.array([before]), groups, most)[0]) == len(expected)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans()), min_size=1, max_size=12), st.integers(1, 3))
def test_the_best_allowed_of_each_group_stand_for_it(items, most):
    groups, scores, allowed = (np.array(column) for column in zip(*items, strict=True))
    best = representatives(groups, scores, allowed, most)
    for group in set(groups.tolist()):
        members = sorted(np.flatnonzero((groups == group) & allowed).tolist(), key=lambda row: -scores[row])
        assert set(np.flatnonzero(best & (groups == group)).tolist()) == set(members[:most])
    both = representatives(groups, scores, np.stack([allowed, ~allowed]), most)
    assert np.array_equal(both[0], best)


@pytest.mark.parametrize("most", [1, 2])
def test_a_second_retrieval_fills_a_list_that_variants_crowd(most):
    groups = np.repeat(np.arange(6), 50)  # six products of fifty variants
    limit, asked = GroupLimit(groups, np.arange(300.0), most), []

    def first_ten(users: Histories, mask: np.ndarray | None) -> Candidates:
        asked.append(len(users))
        every = np.ones((len(users), 300), dtype=bool) if mask is None else np.broadcast_to(mask, (len(users), 300))
        return candidates(np.array([np.flatnonzero(one)[:10] for one in every]))

    found = limit.keep(limit.retrieve(first_ten, Histories.of_baskets([[], []], now=0), 6 * most, None))
    assert asked == [2, 2]
    for rows in found.rows:
        products = Counter(groups[rows[rows >= 0]].tolist())
        assert set(products) == set(range(6))
        assert max(products.values()) == most
    assert (found.features["row"][found.valid] == found.rows[found.valid]).all()


def test_without_groups_nothing_is_asked_twice():
    limit, asked = GroupLimit(None, np.zeros(3), 1), []

    def once(users: Histories, mask: np.ndarray | None) -> Candidates:
        asked.append(mask)
        return candidates(np.array([[0, 1, -1]]))

    one = Histories.of_baskets([[]], now=0)
    assert limit.keep(limit.retrieve(once, one, 3, None)).rows.tolist() == [[0, 1, -1]]
    assert asked == [None]
