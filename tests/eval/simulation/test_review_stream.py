from typing import Any

import numpy as np
import pytest

from eval.simulation.review_stream import WEEK, YEAR, Burst, StreamConfig, mentions, simulate


def stream(shops=2, seed=0, **settings: Any):
    return simulate(StreamConfig(**{"series": 40, **settings}), shops, np.random.default_rng(seed))


def test_the_same_seed_gives_the_same_shops():
    first, second, other = stream(), stream(), stream(seed=1)
    np.testing.assert_array_equal(first.negatives, second.negatives)
    assert (first.negatives != other.negatives).any()


def test_series_have_their_level_of_negative_reviews_a_day():
    found = stream(growth=(1.0, 1.0))
    np.testing.assert_allclose(found.negatives.mean(axis=(0, 1)), found.level, rtol=0.1)
    assert set(found.level) == {1, 5, 20, 50}


def test_a_surge_multiplies_the_share_for_its_week_and_leaves_the_volume():
    found = stream(shops=4, surging=0.5, levels=(50.0,), share_week=0.0, growth=(1.0, 1.0))
    shop, series = np.nonzero(found.start >= 0)
    assert len(shop) == pytest.approx(80, abs=25)
    week = found.start[shop, series] + np.arange(WEEK)[:, None]
    before = week - WEEK
    ratio = found.negatives[week, shop, series].sum(0) / found.negatives[before, shop, series].sum(0)
    np.testing.assert_allclose(ratio / found.factor[shop, series], 1, atol=0.35)
    assert found.totals[week, shop, series].sum() / found.totals[before, shop, series].sum() == pytest.approx(1, abs=0.02)
    assert (week >= 180).all()
    assert (week < 180 + YEAR).all()
    assert set(found.factor[shop, series]) == {2.0, 3.0}


def test_stable_shops_have_no_surge():
    found = stream()
    assert (found.start == -1).all()
    assert (found.factor == 1).all()


def test_volume_grows_and_has_a_weekly_pattern():
    found = stream(growth=(2.0, 2.0), levels=(50.0,), volume_week=0.5)
    weeks = found.totals[: 77 * WEEK].reshape(77, WEEK, -1).sum(axis=(1, 2))
    assert weeks[52:].sum() / weeks[:25].sum() == pytest.approx(2, rel=0.05)
    by_day = found.totals[: 77 * WEEK, 0].reshape(77, WEEK, -1).sum(axis=(0, 2))
    assert by_day.max() > 1.3 * by_day.min()


def test_overdispersion_and_drift_spread_the_shares():
    spread = [
        (found.negatives / np.maximum(found.totals, 1)).std(axis=0).mean()
        for found in (stream(levels=(50.0,)), stream(levels=(50.0,), overdispersion=0.02), stream(levels=(50.0,), drift=0.5))
    ]
    assert spread[1] > 1.3 * spread[0]
    assert spread[2] > 1.3 * spread[0]


def test_rows_add_up_to_their_counts_and_a_burst_to_few_authors():
    negatives, totals = np.array([[1, 0], [2, 3]]), np.array([[4, 1], [2, 5]])
    plain = mentions(negatives, totals, ["mug", "cup"], np.random.default_rng(0))
    assert plain["author"].n_unique() == 12
    for day, name, column in ((0, "mug", 0), (1, "cup", 1)):
        part = plain.filter((plain["day"] == day) & (plain["series"] == name))
        assert (part["negative"].sum(), len(part)) == (negatives[day, column], totals[day, column])
    burst = mentions(negatives, totals, ["mug", "cup"], np.random.default_rng(0), Burst("mug", 1, 2, authors=3, each=2))[12:]
    assert len(burst) == 12
    assert burst["author"].n_unique() == 3
    assert burst["day"].unique().to_list() == [1, 2]
    assert burst["negative"].all()
