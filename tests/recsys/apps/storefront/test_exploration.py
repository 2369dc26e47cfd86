"""Exploration: the propensity that is logged is how often it happens, and the upper places stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.apps.storefront.exploration import explore, place_probabilities


@pytest.mark.parametrize(("ranked", "k", "share", "kept"), [(20, 6, 0.3, None), (7, 6, 1.0, 2), (8, 4, 0.5, 0)])
def test_propensities_are_how_often_it_happens(ranked: int, k: int, share: float, kept: int | None) -> None:
    runs, counts = 20_000, np.zeros((k, ranked))
    told = place_probabilities(ranked, k, share, kept)
    for run in range(runs):
        found = explore(ranked, k, share, f"i{run}", kept)
        counts[np.arange(k), found.order] += 1
        assert np.allclose(found.propensity, told[np.arange(k), found.order])
    error = np.sqrt(told * (1 - told) / runs)
    assert (np.abs(counts / runs - told) <= 4.5 * error + 1e-12).all()
    assert np.allclose(told.sum(axis=1), 1)


@given(st.integers(0, 40), st.integers(1, 20), st.floats(0, 1), st.text(max_size=8), st.none() | st.integers(0, 25))
def test_any_list_holds_each_item_once_with_a_propensity(ranked: int, k: int, share: float, key: str, kept: int | None) -> None:
    found = explore(ranked, k, share, key, kept)
    assert len(found.order) == len(set(found.order.tolist())) == min(k, ranked)
    assert ((found.order >= 0) & (found.order < max(ranked, 1))).all()
    assert ((found.propensity > 0) & (found.propensity <= 1)).all()
    top = min(k, ranked, (min(k, ranked) + 1) // 2 if kept is None else kept)
    assert found.order[:top].tolist() == list(range(top))
    again = explore(ranked, k, share, key, kept)
    assert again.order.tolist() == found.order.tolist()


def test_nothing_is_drawn_by_default() -> None:
    found = explore(30, 10, 0.0, "any")
    assert found.order.tolist() == list(range(10))
    assert found.propensity.tolist() == [1.0] * 10
    assert found.reach == len(found.order)
