"""Features of customers: by hand, from the past alone, and with customers that are extreme."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.behavior.purchase_days import PurchaseDays
from features.behavior.user import FEATURES, user_features
from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions
from features.data.times.step_time import with_step_time
from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": ["a", "b", "c"], "title": ["a", "b", "c"], "category": ["x", "x", None]}))
Row = tuple[str, str, float, float | None]


def log_of(rows: Sequence[Row], event: str = "purchase") -> Interactions:
    """Return a log of (user, item, day, value)."""
    times = [(START + timedelta(days=row[2])).replace(tzinfo=None) for row in rows]
    columns = {"user_id": [row[0] for row in rows], "item_id": [row[1] for row in rows], "timestamp": times}
    values = pl.Series([row[3] for row in rows], dtype=pl.Float64)
    frame = pl.DataFrame(columns, schema={"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Datetime("us")})
    return Interactions.from_frame(frame.with_columns(value=values, event=pl.lit(event)), CATALOG)


def at(day: float) -> int:
    return int(START.timestamp() + day * DAY)


def test_features_by_hand() -> None:
    log = log_of([("u", "a", 0.5, 2.0), ("u", "b", 0.5, 3.0), ("u", "a", 10.5, 5.0), ("u", "c", 14.5, 20.0), ("u", "a", 20.5, 99.0)])
    found = {name: column[0].item() for name, column in user_features(log, at(18), CATALOG.codes("category")).columns.items()}
    assert found["purchase_days"] == 3
    assert found["spend"] == 30
    assert found["spend_per_day"] == 10
    assert found["spend_largest"] == 20
    assert found["lines_per_day"] == pytest.approx(4 / 3)
    assert (found["recency"], found["tenure"]) == (3.5, 17.5)
    assert (found["gap_mean"], found["gap_median"], found["gap_last"], found["gap_deviation"]) == (7, 7, 4, 3)
    assert found["overdue"] == 0.5
    assert (found["purchase_days_7"], found["purchase_days_14"], found["spend_14"]) == (1, 2, 25)
    assert (found["distinct_items"], found["distinct_categories"]) == (3, 1)
    # Purchases on Monday, Thursday and Monday; the moment is a Friday.
    assert [round(3 * found[f"weekday_ahead_{i}"]) for i in range(7)] == [0, 0, 0, 2, 0, 0, 1]


@pytest.mark.parametrize("lines", [1, 3, 50])
def test_lines_of_one_day_are_one_purchase_day(lines: int) -> None:
    log = log_of([("u", "a", 3 + i / 100, 1.0) for i in range(lines)] + [("u", "b", 9.0, 1.0)])
    days = PurchaseDays.of(log)
    assert days.day.tolist() == [at(3) // DAY, at(9) // DAY]
    assert days.value.tolist() == [lines, 1]
    assert user_features(log, at(30)).columns["purchase_days"].tolist() == [2]


@given(st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.floats(0, 60), st.one_of(st.none(), st.floats(0, 1e6)))))
def test_only_events_before_the_moment_count(rows: list[Row]) -> None:
    moment = at(30)
    before, after = user_features(log_of([row for row in rows if row[2] < 30]), moment), user_features(log_of(rows), moment)
    assert len(before) == len(after)
    assert tuple(after.columns) == FEATURES
    for name, column in after.columns.items():
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column, before.columns[name], err_msg=name)


def test_one_customer_with_very_many_purchases() -> None:
    n = 200_000
    user, item = np.zeros(n, np.int32), np.arange(n, dtype=np.int32) % 3
    time = at(0) + np.sort(np.random.default_rng(0).integers(0, 300 * DAY, n))
    ones = np.ones(n)
    log = Interactions(np.array(["u"], dtype=object), user, item, time, np.zeros(n, np.int8), ones.astype(np.float32), ones, 3, value=ones)
    found = user_features(log, at(300)).columns
    assert found["purchase_days"].tolist() == [300]
    assert found["spend"].tolist() == [n]
    assert found["gap_mean"].tolist() == [1]


def test_customers_without_purchases_have_none_of_their_features() -> None:
    found = user_features(log_of([("u", "a", 1.0, None), ("v", "b", 2.0, None)], "view"), at(10))
    assert found.users.tolist() == [0, 1]
    assert found.columns["purchase_days"].tolist() == [0, 0]
    assert np.isnan(found.columns["recency"]).all()
    assert found.columns["interest_28"].tolist() == [1, 1]
    assert found.columns["last_event"].tolist() == [9, 8]


def test_nobody_before_the_moment() -> None:
    assert len(user_features(log_of([("u", "a", 5.0, 1.0)]), at(5))) == 0


def test_an_order_without_dates_is_refused() -> None:
    log = with_step_time(log_of([("u", "a", 1.0, 1.0), ("u", "a", 2.0, 1.0)]), "steps")
    with pytest.raises(DataError, match="only the order of events"):
        user_features(log, at(10))


def test_the_log_keeps_what_was_paid_for_a_line_and_forgets_it_in_its_files() -> None:
    log = log_of([("u", "a", 1.0, 7.5), ("u", "b", 2.0, None)])
    assert log.value is not None
    assert log.where(np.array([True, False])).value.tolist() == [7.5]  # type: ignore[union-attr]
    assert np.isnan(log.between(at(2), None).value).all()  # type: ignore[arg-type]
    assert Interactions.from_files(log.to_files()).value is None
