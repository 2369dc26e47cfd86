"""Trends: more buyers than the item's own past and the shop's growth make expected."""

from __future__ import annotations

import numpy as np

from features.data.interactions import DAY
from retrieval.related.trending import SHRINKAGE, Trend
from tests.retrieval.related.shops import log_of

NOW = 100 * DAY
USUAL, RISING, FALLING, ONCE, REST = range(5)


def rows(place: str = "u") -> list[tuple[str, int, float]]:
    """Twenty weekly buyers of the usual item; the rising one has two buyers a week, then twenty; the falling one the opposite."""
    found = []
    for week in range(5):  # 0: the last one
        day = 99.5 - 7 * week
        found += [(f"{place}{user:02}", USUAL, day) for user in range(20)]
        found += [(f"{place}{user:02}", RISING, day) for user in range(2 if week else 20)]
        found += [(f"{place}{user:02}", FALLING, day) for user in range(20 if week else 2)]
    return [*found, (f"{place}00", ONCE, 99.5)]


def test_growth_is_measured_against_the_own_past():
    trend = Trend.of(log_of(rows(), 5), NOW)
    assert trend.buyers.tolist() == [20, 20, 2, 1, 0]
    shop = 43 / 42  # the last week over the mean of the weeks before
    np.testing.assert_allclose(trend.expected, np.array([20, 2, 20, 0, 0]) * shop)
    expected = np.log((20 + SHRINKAGE) / (2 * shop + SHRINKAGE))
    np.testing.assert_allclose(trend.scores, [0, expected, 0, 0, 0], rtol=1e-6)


def test_a_season_in_which_all_items_grow_makes_no_trend():
    early = [(f"u{user}", item, day) for user in range(5) for item in range(5) for day in (70, 77, 84, 91)]
    late = [(f"u{user}", item, 98) for user in range(40) for item in range(5)]
    assert not Trend.of(log_of(early + late, 5), NOW).scores.any()


def test_some_customers_can_have_a_trend_of_their_own():
    log = log_of(rows("u") + [(f"v{user:02}", item, 99.5) for user in range(20) for item in (USUAL, REST)], 5)
    there = np.array([user.startswith("v") for user in log.user_ids])
    assert Trend.of(log, NOW, among=there).buyers.tolist() == [20, 0, 0, 0, 20]
    assert Trend.of(log, NOW, among=~there).scores.argmax() == RISING
