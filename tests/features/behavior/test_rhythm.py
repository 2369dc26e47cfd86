"""The rhythm of customers: gaps as they were known on each purchase day, and what was known on any day."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.behavior.purchase_days import PurchaseDays
from features.behavior.rhythm import BEFORE, NO_GAP, Rhythms
from features.data.interactions import DAY


def bought(*days: list[int], paid: float = 10.0) -> PurchaseDays:
    """The purchase days of some users, in order."""
    user = np.repeat(np.arange(len(days)), [len(one) for one in days]).astype(np.int64)
    day = np.array([day for one in days for day in one], dtype=np.int64)
    return PurchaseDays(user, day, day * DAY, day * DAY, np.full(len(day), paid), np.ones(len(day)), len(days))


def test_the_usual_gap_is_mixed_with_the_typical_one() -> None:
    rhythms = Rhythms.of(bought([0, 10, 20], [5], [0, 40]))
    assert rhythms.typical == 25.0  # the median of 10 and 40
    assert rhythms.number.tolist() == [0, 1, 2, 0, 0, 1]
    assert rhythms.usual == pytest.approx([25, (10 + 50) / 3, (20 + 50) / 4, 25, 25, (40 + 50) / 3])
    assert rhythms.gap.tolist() == [10, 10, np.inf, np.inf, 40, np.inf]


@pytest.mark.parametrize("days", [([3],), ([3], [3], [9]), ([],)])
def test_nobody_with_two_purchase_days(days: tuple[list[int], ...]) -> None:
    rhythms = Rhythms.of(bought(*days))
    assert (rhythms.typical, rhythms.repeats) == (NO_GAP, False)
    assert len(rhythms.ratios()) == 0


def test_what_was_known_on_a_day() -> None:
    rhythms = Rhythms.of(bought([0, 380, 400, 430], [500]))
    (row,) = rhythms.on(430).to_dicts()
    expected = {
        "recency": 0,
        "tenure": 430,
        "purchase_days": 4,
        "purchase_days_364": 3.0,
        "spend": 40.0,
        "spend_364": 30.0,
        "spend_28": 10.0,
    }
    assert {name: row[name] for name in expected} == expected
    assert row[BEFORE] == 20.0
    assert rhythms.on(450)[BEFORE][0] == 10.0
    assert rhythms.on(-1).is_empty()


@given(st.lists(st.lists(st.integers(0, 90), max_size=8, unique=True).map(sorted), min_size=1, max_size=5), st.integers(0, 90))
def test_later_purchases_change_nothing_but_the_typical_gap(days: list[list[int]], day: int) -> None:
    whole, until = Rhythms.of(bought(*days)), Rhythms.of(bought(*([one for one in user if one <= day] for user in days)))
    assert whole.on(day).drop("usual_gap").equals(until.on(day).drop("usual_gap"))
