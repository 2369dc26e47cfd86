"""Segments: every customer in exactly one, rules that can be read, small and odd shops."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.behavior.purchase_days import PurchaseDays
from features.behavior.rhythm import Rhythms
from features.errors import DataError
from features.names import RECENCY, SEGMENT, USUAL_GAP
from recsys.apps.customers.segments import (
    BIG_SPENDERS,
    DRIFTING,
    LOST,
    LOYAL,
    NEW,
    OCCASIONAL,
    ONE_PURCHASE,
    SEGMENTS,
    SegmentRules,
    segment_of,
)
from tests.features.behavior.test_rhythm import bought


def assigned(days: PurchaseDays, day: int) -> tuple[SegmentRules, pl.DataFrame]:
    rhythms = Rhythms.of(days)
    customers = rhythms.on(day)
    rules = SegmentRules.of(rhythms, customers)
    return rules, rules.assign(customers)


def test_each_kind_of_customer_is_where_its_rule_says() -> None:
    steady = [list(range(start, 401, 10)) for start in range(10)]
    days = bought(*steady, list(range(0, 330, 10)), list(range(0, 381, 10)), [100], [395], [394, 397], list(range(0, 401, 2)))
    rules, table = assigned(days, 400)
    named = table[SEGMENT].cast(pl.String).to_list()
    late = (table[RECENCY] / table[USUAL_GAP]).to_list()
    assert named[10] == LOST, late[10]
    assert named[11] == DRIFTING, late[11]
    assert named[12:15] == [LOST, NEW, NEW]
    assert named[15] == BIG_SPENDERS, "the same paid on far more days"
    assert set(named[:10]) <= {LOYAL, OCCASIONAL}
    assert 1.5 <= rules.drift < rules.lost


@pytest.mark.parametrize(
    ("days", "day", "segments"),
    [
        (bought([3]), 3, {NEW}),
        (bought([3]), 50, {ONE_PURCHASE}),
        (bought([3]), 1000, {LOST}),
        (bought(*[[7]] * 5), 7, {NEW}),
        (bought([0, 10, 20, 30, 40, 50]), 52, {OCCASIONAL}),
        (bought([0], [10], [90]), 100, {ONE_PURCHASE, NEW}),
        (bought(list(range(3000)), [2999]), 3000, {OCCASIONAL, NEW}),
    ],
    ids=[
        "one customer",
        "one long ago",
        "one very long ago",
        "all on one day",
        "one who comes back",
        "nobody twice",
        "every day for years",
    ],
)
def test_small_and_odd_shops(days: PurchaseDays, day: int, segments: set[str]) -> None:
    rules, table = assigned(days, day)
    assert set(table[SEGMENT].cast(pl.String)) == segments
    assert all(rules.sentence(name) for name in SEGMENTS)
    assert "nan" not in " ".join(map(rules.sentence, SEGMENTS))


def test_without_values_nobody_is_a_big_spender_and_the_rule_says_so() -> None:
    days = bought(*[list(range(start, 401, 10)) for start in range(10)], paid=0.0)
    rules, table = assigned(days, 400)
    assert math.isnan(rules.value)
    assert BIG_SPENDERS not in table[SEGMENT].cast(pl.String).to_list()
    assert "no values" in rules.sentence(BIG_SPENDERS)


histories = st.lists(st.lists(st.integers(0, 500), min_size=1, max_size=30, unique=True).map(sorted), min_size=1, max_size=20)


@given(histories, st.integers(0, 600))
def test_every_customer_is_in_exactly_one_segment(days: list[list[int]], day: int) -> None:
    rules, table = assigned(bought(*days), day)
    assert table.height == sum(one[0] <= day for one in days)
    assert table[SEGMENT].null_count() == 0
    assert all("inf" not in rules.sentence(name).split() for name in table[SEGMENT].cast(pl.String).unique())
    # The printed numbers decide.
    drifting = table.filter(pl.col(SEGMENT).cast(pl.String) == DRIFTING)
    assert ((drifting[RECENCY] / drifting[USUAL_GAP]).to_numpy() > float(f"{rules.drift:.3g}")).all()


@pytest.mark.parametrize("name", ["drifting away", "Drifting-Away", " drifting_away "])
def test_a_segment_by_its_name(name: str) -> None:
    assert segment_of(name) == DRIFTING


@pytest.mark.parametrize(
    ("name", "hint"), [("drifting awy", "did you mean 'drifting away'"), ("lots", "'lost'"), ("vip", "expected one of new")]
)
def test_an_unknown_segment(name: str, hint: str) -> None:
    with pytest.raises(DataError, match=hint):
        segment_of(name)


def test_a_million_purchases_are_one_customer() -> None:
    user = np.concatenate([np.zeros(1_000_000, dtype=np.int64), [1, 1]])
    day = np.concatenate([np.arange(1_000_000), [999_000, 999_990]])
    days = PurchaseDays(user, day, day, day, np.ones(len(day)), np.ones(len(day)), 2)
    rules, table = assigned(days, 999_999)
    assert table.height == 2
    assert rules.typical == pytest.approx((1 + 990) / 2)
