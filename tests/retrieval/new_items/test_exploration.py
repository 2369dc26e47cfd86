"""Places that new items get: as many as the shop's share says, the same ones for the same key, and none where there is nothing new."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.histories import Histories
from retrieval.candidates import Candidates
from retrieval.new_items.exploration import explore_new_items, explored_places

KEYS = [f"user-{n} 19000" for n in range(2000)]
IDS = np.array([f"p{n}" for n in range(8)])
DRAWN = (["someone"], IDS)


def ranked(at: dict[int, float]) -> Candidates:
    """Eight candidates in order; `at`: place -> probability of a new item there."""
    rows = np.arange(8)[None]
    chance = np.full((1, 8), np.nan, np.float32)
    chance[0, list(at)] = list(at.values())
    return Candidates(Histories.of_baskets([[1]], 0), rows, -rows.astype(np.float32), {"arrival": chance})


@pytest.mark.parametrize(
    ("share", "at", "places"),
    [
        (0.25, {6: 0.9, 7: 1e-12}, [0, 1, 2, 6]),
        (0.25, {2: 0.9, 7: 0.5}, [0, 1, 2, 3]),  # there by itself
        (0.5, {3: 0.9, 7: 0.5}, [0, 1, 3, 7]),  # and not pushed out by the other
        (0.5, {7: 0.9, 5: 1e-12, 6: 0.7}, [0, 1, 6, 7]),  # the likely two, in the ranker's order
        (0.5, {}, [0, 1, 2, 3]),
        (0.0, {6: 0.9}, [0, 1, 2, 3]),
        (1.0, {0: 0.9, 4: 0.5, 5: 0.5, 6: 0.5, 7: 1e-12}, [0, 4, 5, 6]),
    ],
)
def test_the_last_places_go_to_new_items(share: float, at: dict[int, float], places: list[int]) -> None:
    assert explore_new_items(ranked(at), 4, share, DRAWN).rows.tolist() == [places]


@pytest.mark.parametrize(("share", "k"), [(0.1, 10), (0.03, 10), (0.25, 5), (0.0, 10), (1.0, 3)])
def test_over_users_the_share_is_kept(share: float, k: int) -> None:
    places = explored_places(KEYS, k, share)
    assert places.mean() / k == pytest.approx(share, abs=0.01)
    assert set(places.tolist()) <= {int(share * k), int(share * k) + 1} | {k}


def test_the_same_key_draws_the_same_list_and_others_draw_others() -> None:
    found = ranked({5: 0.5, 6: 0.5, 7: 0.5})
    first = [explore_new_items(found, 4, 0.25, ([key], IDS)).rows.tolist() for key in KEYS[:50]]
    assert first == [explore_new_items(found, 4, 0.25, ([key], IDS)).rows.tolist() for key in KEYS[:50]]
    assert {row[0][3] for row in first} == {5, 6, 7}


def test_the_draw_does_not_depend_on_where_an_item_stands() -> None:
    found = ranked({5: 0.5, 6: 0.5, 7: 0.5})
    moved = found.take(np.array([[0, 1, 2, 3, 4, 7, 5, 6]]))
    for key in KEYS[:50]:
        first, second = (explore_new_items(one, 4, 0.25, ([key], IDS)).rows.tolist() for one in (found, moved))
        assert first == second


def test_new_items_are_drawn_in_proportion_to_their_probabilities() -> None:
    found = ranked({5: 0.1, 6: 0.2, 7: 0.7})
    drawn = np.array([explore_new_items(found, 4, 0.25, ([key], IDS)).rows[0, 3] for key in KEYS])
    assert [np.mean(drawn == row) for row in (5, 6, 7)] == pytest.approx([0.1, 0.2, 0.7], abs=0.04)


@given(st.dictionaries(st.integers(0, 7), st.floats(1e-6, 0.9)), st.floats(0, 1), st.integers(1, 6), st.text(max_size=5))
def test_nothing_is_lost_or_shown_twice(at: dict[int, float], share: float, k: int, key: str) -> None:
    deep = explore_new_items(ranked(at), k, share, ([key], IDS), depth=8).rows[0]
    assert sorted(deep.tolist()) == list(range(8))
    assert explore_new_items(ranked(at), k, share, ([key], IDS)).rows[0].tolist() == deep[:k].tolist()
