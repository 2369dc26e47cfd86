"""Cohorts by month of first purchase."""

from __future__ import annotations

from datetime import date

import polars as pl

from recsys.apps.customers.cohorts import cohorts
from tests.features.behavior.test_rhythm import bought


def day(year: int, month: int, number: int) -> int:
    return (date(year, month, number) - date(1970, 1, 1)).days


def test_shares_and_spend_by_month() -> None:
    early = [day(2023, 11, 30), day(2023, 12, 1), day(2024, 2, 29)]
    other = [day(2023, 11, 2), day(2023, 11, 3)]
    found = cohorts(bought(early, other, [day(2024, 1, 31)]))
    assert found["cohort"].to_list() == ["2023-11"] * 4 + ["2024-01"] * 2
    assert found["months_since"].to_list() == [0, 1, 2, 3, 0, 1]
    assert found["customers"].to_list() == [2] * 4 + [1] * 2
    assert found["bought"].to_list() == [1, 0.5, 0, 0.5, 1, 0]
    assert found["spend"].to_list() == [30, 10, 0, 10, 10, 0]


def test_all_on_one_day_and_nobody() -> None:
    assert cohorts(bought([5], [5])).to_dicts() == [{"cohort": "1970-01", "months_since": 0, "customers": 2, "bought": 1.0, "spend": 20.0}]
    assert cohorts(bought([])).is_empty()
    assert isinstance(cohorts(bought([])), pl.DataFrame)
