"""The log over integer rows: every event is kept, in any order of the source."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.histories import MAX_EVENTS, Histories
from features.data.interactions import DAY, EVENTS, Interactions
from features.errors import DataError

START = datetime(2024, 1, 1)
CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": ["a", "b", "c,1"], "title": ["A", "B", "C"]}))

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
row = st.tuples(
    names,
    st.sampled_from(["a", "b", "c,1", "gone"]),
    st.integers(0, 50).map(lambda hours: START + timedelta(hours=hours)),
    st.sampled_from(EVENTS),
    st.sampled_from([None, 1.0, 2.0]),
    st.sampled_from([None, 0.0, 3.0]),
)
SCHEMA = {
    "user_id": pl.String,
    "item_id": pl.String,
    "timestamp": pl.Datetime("us"),
    "event": pl.String,
    "quantity": pl.Float64,
    "value": pl.Float64,
}


def log_of(rows: list[tuple[Any, ...]]) -> Interactions:
    return Interactions.from_frame(pl.DataFrame(rows, schema=SCHEMA, orient="row"), CATALOG)


def events_of(log: Interactions) -> list[tuple[str, str, int, str]]:
    """The events with their external ids."""
    return [
        (str(log.user_ids[user]), str(CATALOG.ids[item]), int(time), str(EVENTS[event]))
        for part in (log, log.dislikes)
        if part is not None
        for user, item, time, event in zip(part.user, part.item, part.time, part.event, strict=True)
    ]


@given(st.lists(row, max_size=30), st.randoms())
def test_every_event_of_a_known_item_keeps_its_ids(rows: list[tuple[Any, ...]], random: object) -> None:
    log = log_of(rows)
    wanted = sorted((u, i, int((t - datetime(1970, 1, 1)).total_seconds()), e) for u, i, t, e, _, _ in rows if i != "gone")
    assert sorted(events_of(log)) == wanted
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = log_of(shuffled)
    for name in ("user_ids", "user", "item", "time", "event", "weight", "price"):
        np.testing.assert_array_equal(getattr(again, name), getattr(log, name))


@given(st.lists(row, max_size=30), st.lists(names, max_size=5))
def test_user_rows_find_exactly_the_known_users(rows: list[tuple[Any, ...]], others: list[str]) -> None:
    log = log_of(rows)
    wanted = [*log.user_ids, *others]
    known = {user: number for number, user in enumerate(log.user_ids)}
    assert log.user_rows(wanted).tolist() == [known.get(user, -1) for user in wanted]


@given(st.lists(row, max_size=30))
def test_offsets_delimit_each_users_events_in_time_order(rows: list[tuple[Any, ...]]) -> None:
    log = log_of(rows)
    assert log.offsets[-1] == len(log)
    for user in range(log.n_users):
        mine = slice(log.offsets[user], log.offsets[user + 1])
        assert set(log.user[mine].tolist()) <= {user}, "a user may have dislikes alone"
        assert (np.diff(log.time[mine]) >= 0).all()


@given(st.lists(row, min_size=1, max_size=30), st.integers(0, 50), st.integers(0, 50))
def test_between_includes_the_start_and_excludes_the_end(rows: list[tuple[Any, ...]], first: int, last: int) -> None:
    log = log_of(rows)
    zero = int((START - datetime(1970, 1, 1)).total_seconds())
    start, end = zero + 3600 * first, zero + 3600 * last
    assert events_of(log.between(start, end)) == [event for event in events_of(log) if start <= event[2] < end]
    assert events_of(log.between(None, None)) == events_of(log)


def test_the_price_is_the_unit_price_where_known() -> None:
    values = [
        ("u", "a", START, "purchase", quantity, value) for quantity, value in [(2.0, 3.0), (None, 3.0), (1.0, 0.0), (0.0, 3.0), (1.0, None)]
    ]
    prices = log_of(values).price
    assert sorted(prices[~np.isnan(prices)].tolist()) == [1.5, 3.0], "a row without a quantity is one piece"


@pytest.mark.parametrize("quantity", [{}, {"quantity": [None, None, 2.0]}, {"quantity": pl.Series([None, None, None], dtype=pl.Float64)}])
def test_a_log_without_quantities_has_prices(quantity: dict[str, Any]) -> None:
    table = {"user_id": ["u"] * 3, "item_id": ["a", "b", "c,1"], "timestamp": [START] * 3, "value": [12.5, 9.0, 30.0]}
    last = 15.0 if 2.0 in quantity.get("quantity", []) else 30.0
    assert Interactions.from_frame(pl.DataFrame(table | quantity), CATALOG).price.tolist() == [12.5, 9.0, last]


@pytest.mark.parametrize("prices", [[1.99, np.nan, 2.99], [3.99, 10.1, 0.3]])
def test_a_log_stored_with_float32_prices_is_read_exactly(prices: list[float]) -> None:
    rows = [("u", item, START, "purchase", 1.0, None) for item in ("a", "b", "c,1")]
    stored = replace(log_of(rows), price=np.array(prices, dtype=np.float32))
    np.testing.assert_array_equal(Interactions.from_files(stored.to_files()).price, prices)
    whole = replace(stored, price=np.array(prices))
    np.testing.assert_array_equal(Interactions.from_files(whole.to_files()).price, prices)


def test_events_have_the_given_weights_and_default_to_purchases() -> None:
    frame = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": [START, START], "event": [None, "view"]})
    weights = {"purchase": 5.0, "cart": 0.0, "view": 0.5, "rating": 0.0}
    assert Interactions.from_frame(frame, CATALOG, weights).weight.tolist() == [5.0, 0.5]
    assert Interactions.from_frame(frame.drop("event"), CATALOG).event.tolist() == [0, 0]


def test_a_log_without_a_required_column_is_refused() -> None:
    with pytest.raises(DataError, match=r"the log lacks \['timestamp'\]"):
        Interactions.from_frame(pl.DataFrame({"user_id": ["u"], "item_id": ["a"]}), CATALOG)


@given(st.lists(row, max_size=30), st.integers(-1, 51))
def test_histories_hold_the_events_before_now(rows: list[tuple[Any, ...]], hours: int) -> None:
    log = log_of(rows)
    now = int((START - datetime(1970, 1, 1)).total_seconds()) + 3600 * hours
    users = np.array([-1, *range(log.n_users)], dtype=np.int64)
    histories = Histories.of_users(log, users, now)
    assert len(histories) == len(users)
    assert histories.lengths[0] == 0, "an unknown user has no history"
    for place, user in enumerate(users[1:], 1):
        mine = slice(histories.offsets[place], histories.offsets[place + 1])
        past = (log.user == user) & (log.time < now)
        assert histories.item[mine].tolist() == log.item[past].tolist()
        np.testing.assert_allclose(histories.age[mine], (now - log.time[past]) / DAY, rtol=1e-6)
    order = np.arange(len(users))[::-1]
    assert histories.take(order).take(order).item.tolist() == histories.item.tolist()


def test_a_long_history_is_truncated_to_its_newest_events() -> None:
    rows: list[tuple[Any, ...]] = [
        ("u", "a" if hour < 10 else "b", START + timedelta(hours=hour), "purchase", 1.0, 1.0) for hour in range(MAX_EVENTS + 10)
    ]
    log = log_of(rows)
    histories = Histories.of_users(log, np.array([0]), log.end)
    assert histories.lengths.tolist() == [MAX_EVENTS]
    assert set(histories.item.tolist()) == {1}


def test_baskets_are_purchases_at_now() -> None:
    histories = Histories.of_baskets([[2, 0], [], [1]], now=1_000)
    assert histories.lengths.tolist() == [2, 0, 1]
    assert (histories.item.tolist(), histories.user.tolist()) == ([2, 0, 1], [0, 0, 2])
    assert histories.age.tolist() == [0.0, 0.0, 0.0]
