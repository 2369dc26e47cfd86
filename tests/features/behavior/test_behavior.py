"""Behaviour features against values computed by hand, on a log of three users and four items, at day 100."""

from __future__ import annotations

from math import log as ln
from math import nan, sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.behavior.item_stats import ItemStats, share_of_group, text_codes
from features.behavior.user_item import Groups, behavior_features, trips_ago
from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, Interactions

NOW = 100
A, B, C, D = range(4)
CATALOG = Catalog.from_frame(
    pl.DataFrame(
        {
            "item_id": list("abcd"),
            "title": list("ABCD"),
            "category": ["tea", "tea", "bread", None],
            "brand": ["x", "y", None, None],
            "price": [2.0, None, 4.0, None],
        }
    )
)
# user, item, day, event, price paid
PAST = [
    ("u0", "c", 10, "purchase", None),
    ("u0", "c", 40, "purchase", None),
    ("u0", "a", 70, "purchase", 3.0),
    ("u0", "a", 78, "purchase", 3.0),
    ("u0", "a", 90, "purchase", 3.0),
    ("u0", "b", 90, "purchase", None),
    ("u1", "a", 95, "purchase", 5.0),
    ("u1", "a", 95.25, "purchase", 5.0),
    ("u1", "d", 99, "view", None),
]
FUTURE = [("u0", "d", 100, "purchase", 9.0), ("u1", "a", 100, "purchase", 9.0), ("u2", "b", 101, "purchase", 9.0)]


def log_of(events: list[tuple]) -> Interactions:
    frame = pl.DataFrame(events, schema=["user_id", "item_id", "day", "event", "value"], orient="row")
    frame = frame.with_columns(quantity=pl.lit(1.0), timestamp=(pl.col("day") * DAY * 1_000_000).cast(pl.Int64).cast(pl.Datetime("us")))
    return Interactions.from_frame(frame, CATALOG)


LOG = log_of(PAST + FUTURE)
STATS = ItemStats.fit(LOG, CATALOG, NOW * DAY)
USERS = Histories.of_users(LOG, np.array([0, 1, 2, -1]), NOW * DAY)
EVERYTHING = np.tile(np.arange(4), (4, 1))
FEATURES = behavior_features(USERS, EVERYTHING, STATS)


def half(age: float, life: float = 90) -> float:
    return 0.5 ** (age / life)


class TestItemStats:
    def test_distinct_buyers_without_views(self) -> None:
        assert STATS.columns["buyers_7"].tolist() == [1, 0, 0, 0]
        assert STATS.columns["buyers_28"].tolist() == [2, 1, 0, 0]
        assert STATS.columns["buyers_91"].tolist() == [2, 1, 1, 0]
        assert STATS.columns["buyers_ever"].tolist() == [2, 1, 1, 0]

    def test_trend_is_the_last_month_over_the_quarter(self) -> None:
        month = 28 / 91
        wanted = [ln(3 / (2 * month + 1)), ln(2 / (month + 1)), ln(1 / (month + 1)), 0]
        assert STATS.columns["trend"] == pytest.approx(wanted)

    def test_first_sale_in_days(self) -> None:
        assert STATS.columns["first_sale"] == pytest.approx([30, 10, 90, nan], nan_ok=True)

    def test_price_is_the_median_paid_else_the_catalogues(self) -> None:
        assert STATS.columns["price"] == pytest.approx([3, nan, 4, nan], nan_ok=True)

    def test_recent_price_over_mean_price(self) -> None:
        usual = (3 * ln(3) + 2 * ln(5)) / 5
        assert STATS.columns["price_7"] == pytest.approx([ln(5) - usual, nan, nan, nan], nan_ok=True)
        assert STATS.columns["price_28"] == pytest.approx([(ln(3) + ln(5)) / 2 - usual, nan, nan, nan], nan_ok=True)

    def test_repurchase_share_is_shrunk_to_the_shops_mean(self) -> None:
        # Two of four (user, item) pairs bought again; u1's second a on the same day is the same trip.
        wanted = [(1 + 5 / 2) / (2 + 5), (0 + 5 / 2) / (1 + 5), (1 + 5 / 2) / (1 + 5), 1 / 2]
        assert STATS.columns["repeat_share"] == pytest.approx(wanted)

    def test_repurchase_gap_is_shrunk_to_the_shops_mean(self) -> None:
        mean = (8 + 12 + 30) / 3
        wanted = [(20 + 5 * mean) / (2 + 5), mean, (30 + 5 * mean) / (1 + 5), mean]
        assert STATS.columns["repeat_gap"] == pytest.approx(wanted)

    def test_files_round_trip(self) -> None:
        back = ItemStats.from_files(STATS.to_files())
        assert set(back.columns) == set(STATS.columns)
        for name, column in STATS.columns.items():
            assert np.array_equal(back.columns[name], column, equal_nan=True)
        assert np.array_equal(back.category, STATS.category)
        assert np.array_equal(back.brand, STATS.brand)
        assert np.array_equal(back.text, STATS.text)

    def test_beginners_are_recent_first_time_buyers(self) -> None:
        # a: u0 began on day 70, u1 on day 95; b: u0 on day 90; c has no recent buyers.
        assert STATS.columns["beginners"] == pytest.approx([1 / 2, 1, nan, nan], nan_ok=True)

    def test_share_of_the_texts_sales(self) -> None:
        assert share_of_group(np.array([3.0, 1, 0, 2]), np.array([0, 0, 1, 2])) == pytest.approx([0.75, 0.25, 0, 1])

    def test_items_of_one_text_share_a_code(self) -> None:
        twins = Catalog.from_frame(pl.DataFrame({"item_id": ["x", "y", "z"], "title": ["tea", "oil", "tea"], "brand": ["k", "k", "k"]}))
        code = text_codes(twins)
        assert code[0] == code[2] != code[1]

    def test_a_log_without_purchases(self) -> None:
        empty = ItemStats.fit(LOG, CATALOG, 0)
        assert not empty.columns["buyers_ever"].any()
        assert empty.columns["price"] == pytest.approx([2, nan, 4, nan], nan_ok=True)
        assert np.isfinite(empty.columns["repeat_gap"]).all()


class TestRepeat:
    def test_count_last_first_gap(self) -> None:
        assert FEATURES["own_count"][0].tolist() == [3, 1, 2, 0]
        assert FEATURES["own_last"][0] == pytest.approx([10, 10, 60, nan], nan_ok=True)
        assert FEATURES["own_first"][0] == pytest.approx([30, 10, 90, nan], nan_ok=True)
        assert FEATURES["own_gap"][0] == pytest.approx([10, nan, 30, nan], nan_ok=True)

    def test_jitter_needs_three_times(self) -> None:
        # Gaps of 8 and 12 days.
        assert FEATURES["own_jitter"][0] == pytest.approx([2, nan, nan, nan], nan_ok=True)

    def test_decays(self) -> None:
        for life in (7, 30, 90, 300):
            wanted = [half(30, life) + half(22, life) + half(10, life), half(10, life), half(90, life) + half(60, life), 0]
            assert FEATURES[f"own_decay_{life}"][0] == pytest.approx(wanted)
        assert FEATURES["own_decay_7"][1, D] == pytest.approx(0.1 * half(1, 7))  # a view counts a tenth

    def test_due_is_the_wait_over_the_usual_gap(self) -> None:
        assert FEATURES["own_due"][0] == pytest.approx([1, nan, 2, nan], nan_ok=True)
        assert FEATURES["own_due"][1, A] == pytest.approx(4.75 / 0.5)  # bought twice in six hours: a gap is at least half a day
        gap = STATS.columns["repeat_gap"]
        assert FEATURES["own_due_shop"][0] == pytest.approx([10 / gap[A], 10 / gap[B], 60 / gap[C], nan], nan_ok=True)


class TestTrips:
    # u0 came on days 10, 40, 70, 78, 90: four, three, two, one and no trips ago.
    def test_how_many_trips_ago(self) -> None:
        assert FEATURES["own_trips_ago"][0] == pytest.approx([0, 0, 3, nan], nan_ok=True)
        assert trips_ago(USERS)[: USERS.offsets[1]].tolist() == [4, 3, 2, 1, 0, 0]

    def test_decays_by_trips(self) -> None:
        for life in (2, 8):
            wanted = [half(2, life) + half(1, life) + 1, 1, half(4, life) + half(3, life), 0]
            assert FEATURES[f"own_trips_{life}"][0] == pytest.approx(wanted)

    def test_due_and_share_of_the_trips_since_the_first(self) -> None:
        assert FEATURES["own_trips_due"][0] == pytest.approx([1, nan, 4, nan], nan_ok=True)
        assert FEATURES["own_of_trips"][0] == pytest.approx([3 / 3, 1, 2 / 5, nan], nan_ok=True)


class TestGroups:
    def test_category_counts_trips_and_leaves_the_item_itself_out(self) -> None:
        tea = half(30) + half(22) + 2 * half(10)
        assert FEATURES["category_count"][0].tolist() == [3, 3, 2, 0]
        assert FEATURES["category_last"][0] == pytest.approx([10, 10, 60, nan], nan_ok=True)
        assert FEATURES["category_decay"][0] == pytest.approx([tea, tea, half(90) + half(60), 0])
        assert FEATURES["category_others"][0] == pytest.approx([half(10), tea - half(10), 0, 0], abs=1e-6)

    def test_shares_are_of_all_the_users_events(self) -> None:
        bread, tea = half(90) + half(60), half(30) + half(22) + 2 * half(10)
        assert FEATURES["category_share"][0] == pytest.approx(np.array([tea, tea, bread, 0]) / (bread + tea))

    def test_items_without_brand_share_one(self) -> None:
        assert FEATURES["brand_decay"][0] == pytest.approx(
            [half(30) + half(22) + half(10), half(10), half(90) + half(60), half(90) + half(60)]
        )
        assert FEATURES["brand_others"][0, D] == pytest.approx(half(90) + half(60))

    def test_price_gap_is_relative_to_the_users_mean_price(self) -> None:
        usual = (3 * ln(3) + 2 * ln(4)) / 5  # b's price is unknown
        assert FEATURES["price_gap"][0] == pytest.approx([ln(3) - usual, nan, ln(4) - usual, nan], nan_ok=True)
        assert FEATURES["price_gap"][1, C] == pytest.approx(ln(4 / 3))

    def test_the_user(self) -> None:
        wanted = {"user_trips": 5, "user_items": 3, "user_repeats": 2 / 3, "user_last": 10, "user_trip_gap": 18}
        wanted["user_decay"] = half(90) + half(60) + half(30) + half(22) + 2 * half(10)
        for name, value in wanted.items():
            assert FEATURES[name][0] == pytest.approx(value), name


def test_nothing_at_or_after_now_counts() -> None:
    before = log_of(PAST)
    stats = ItemStats.fit(before, CATALOG, NOW * DAY)
    alone = behavior_features(Histories.of_users(before, np.array([0, 1, -1, -1]), NOW * DAY), EVERYTHING, stats)
    assert set(alone) == set(FEATURES)
    for name, column in FEATURES.items():
        assert np.array_equal(column, alone[name], equal_nan=True), name


def test_a_user_without_history_has_zeros_and_missing_values() -> None:
    for user in (2, 3):
        for name in ("own_count", "own_decay_90", "category_decay", "category_share", "brand_count", "user_trips", "user_items"):
            assert not FEATURES[name][user].any(), name
        for name in ("own_last", "own_gap", "own_due", "category_last", "price_gap", "user_last"):
            assert np.isnan(FEATURES[name][user]).all(), name
        assert FEATURES["item_buyers_28"][user].tolist() == [2, 1, 0, 0]


def test_no_users_and_only_unknown_users() -> None:
    unknown = behavior_features(USERS.take(np.array([3])), EVERYTHING[:1], STATS)
    for name, column in FEATURES.items():
        assert np.array_equal(unknown[name][0], column[3], equal_nan=True), name
    empty = behavior_features(USERS.take(np.array([], dtype=np.int64)), np.zeros((0, 3), dtype=np.int64), STATS)
    assert {column.shape for column in empty.values()} == {(0, 3)}


def test_features_do_not_depend_on_the_batch() -> None:
    for user in range(4):
        alone = behavior_features(USERS.take(np.array([user])), EVERYTHING[:1], STATS)
        for name, column in FEATURES.items():
            assert np.allclose(alone[name][0], column[user], rtol=1e-6, equal_nan=True), name


def test_padding_does_not_change_the_candidates() -> None:
    rows = np.array([[C, -1, A], [-1, -1, D], [B, A, -1], [-1, -1, -1]])
    padded = behavior_features(USERS, rows, STATS)
    user, place = np.nonzero(rows >= 0)
    for name, column in FEATURES.items():
        assert padded[name].dtype == np.float32
        assert np.array_equal(padded[name][user, place], column[user, rows[user, place]], equal_nan=True), name


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=10), max_size=4))
def test_groups_equal_a_plain_reference(users: list[list[tuple[int, int]]]) -> None:
    by_age = [sorted(events, key=lambda event: -event[1]) for events in users]
    flat = [event for events in by_age for event in events]
    item, age = np.array([code for code, _ in flat], dtype=np.int32), np.array([age for _, age in flat], dtype=np.float32)
    offsets = np.concatenate([[0], np.cumsum([len(events) for events in by_age])]).astype(np.int64)
    n = len(flat)
    weight = np.linspace(0.1, 1, n).astype(np.float32)
    made = Histories(offsets, item, age, np.zeros(n, np.int8), weight, np.full(n, np.nan, np.float32), 0)
    groups = Groups.of(made, made.item, 4, (30.0,))
    for user, events in enumerate(by_age):
        for code in range(4):
            entry = int(groups.find(np.array([user]), np.array([code]))[0])
            mine = [(age, weight[offsets[user] + place]) for place, (other, age) in enumerate(events) if other == code]
            if not mine:
                assert entry == -1
                continue
            times = sorted({age for age, _ in mine})
            assert groups.count[entry] == len(times)
            assert (groups.last[entry], groups.first[entry]) == (times[0], times[-1])
            assert groups.decayed[30.0][entry] == pytest.approx(sum(w * half(age, 30) for age, w in mine), rel=1e-5)
            if len(times) > 2:
                gaps = np.diff(times)
                assert groups.jitter[entry] == pytest.approx(sqrt(((gaps - gaps.mean()) ** 2).mean()), abs=1e-4)
            else:
                assert np.isnan(groups.jitter[entry])
