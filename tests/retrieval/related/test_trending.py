"""Trends: more buyers than the item's own past and the shop's growth make expected."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.data.customers import Customers
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.times.step_time import with_step_time
from features.errors import DataError
from features.names import GROWTH
from retrieval.related.trending import SHRINKAGE, Trend, customers_with
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


def test_customers_of_a_place_are_found_by_the_table_of_customers():
    table = Customers.of(pl.DataFrame({"user_id": ["u00", "v00", "w00"], "attributes": ['{"place": "Graz"}', '{"place": "Linz"}', "{}"]}))
    users = np.array(["u00", "u01", "v00", "w00"], dtype=object)
    assert customers_with(table, "place", "Graz", users).tolist() == [True, False, False, False]
    assert not customers_with(table, "place", "Wien", users).any()
    with pytest.raises(DataError, match="no customer has the attribute 'town', found place"):
        customers_with(table, "town", "Graz", users)


def test_lists_hold_what_grows_alone():
    found = Trend.of(log_of(rows(), 5), NOW).retriever.retrieve(Histories.of_baskets([[], [RISING]], NOW), 3)
    assert found.rows.tolist() == [[RISING, -1, -1]] * 2
    assert found.features[GROWTH][0, 0] > 1


@pytest.mark.parametrize("log", [with_step_time(log_of(rows(), 5), "steps"), log_of(rows(), 5).where(np.zeros(len(rows()), dtype=bool))])
def test_nothing_grows_without_a_calendar_or_purchases(log):
    assert not Trend.of(log, NOW).scores.any()


def test_what_comes_later_does_not_count():
    later = [(f"u{user:02}", FALLING, 101) for user in range(20)]
    one, other = (Trend.of(log_of(some, 5), NOW) for some in (rows(), rows() + later))
    np.testing.assert_array_equal(one.scores, other.scores)
