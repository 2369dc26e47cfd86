"""Exposure, Gini and popularity of lists, worked out on paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.exposure import brands, gini, popularity, price_bands, seen, shares


def test_exposure_falls_with_the_place_and_padding_has_none():
    found = seen(np.array([[2, 0], [2, -1]]), 4)
    assert found == pytest.approx([1 / np.log2(3), 0, 2, 0])


def test_gini_of_equal_and_of_one():
    assert gini(np.ones(5)) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 0, 7])) == pytest.approx(4 / 5)
    assert gini(np.array([1, 3])) == pytest.approx(0.25)
    assert np.isnan(gini(np.zeros(3)))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=30).filter(any))
def test_gini_is_half_the_mean_difference_over_the_mean(values):
    x = np.array(values, dtype=float)
    assert gini(x) == pytest.approx(np.abs(x[:, None] - x).mean() / 2 / x.mean())


def test_popularity_is_the_mean_share_of_buyers():
    found = popularity(np.array([[0, 1, 2], [1, -1, -1], [-1, -1, -1]]), np.array([8, 2, 0]), 10, 2)
    assert found[:2] == pytest.approx([0.5, 0.2])
    assert np.isnan(found[2])


def test_price_bands_hold_equally_many_known_items():
    prices = np.array([*range(1, 11), 100.0, np.nan])
    known = np.array([True] * 10 + [False, True])
    band, names = price_bands(prices, known)
    assert np.bincount(band[:10]).tolist() == [2] * 5
    assert band[10] == 4  # cut by what is known
    assert names[band[11]] == "price unknown"
    assert names[0] == "below 2.80"
    assert len(names) == 6


def test_one_price_and_none_are_bands_too():
    band, names = price_bands(np.array([3.0, 3.0, np.nan]), np.ones(3, dtype=bool))
    assert [names[place] for place in band] == ["3.00 and more", "3.00 and more", "price unknown"]
    band, names = price_bands(np.full(2, np.nan), np.ones(2, dtype=bool))
    assert [names[place] for place in band] == ["price unknown"] * 2


def test_brands_beyond_the_largest_stand_together():
    codes = np.array([0, 0, 1, -1, *range(2, 13)])
    group, names = brands(codes, [f"b{i}" for i in range(13)], np.ones(len(codes), dtype=bool))
    assert names[:2] == ["b0", "b1"]
    assert names[-2:] == ["other brands", "no brand"]
    assert names[group[3]] == "no brand"
    assert names[group[-1]] == "other brands"


def test_shares_add_up():
    group, names = np.array([0, 0, 1, 2]), ["a", "b", "c", "d"]
    found = shares(group, names, np.array([3.0, 0, 1, 0]), np.array([1, 1, 2, 0]), np.array([True, True, True, False]))
    assert [(one.name, one.shown, one.bought, one.catalogue) for one in found] == [
        ("a", pytest.approx(0.75), pytest.approx(0.5), pytest.approx(2 / 3)),
        ("b", pytest.approx(0.25), pytest.approx(0.5), pytest.approx(1 / 3)),
    ]
