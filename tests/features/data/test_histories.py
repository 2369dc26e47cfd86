"""Histories of users, and their recent items against a plain reference implementation."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import features.data.histories
from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, EVENTS, Interactions

N_ITEMS = 6
COLUMNS = ("item", "age", "event", "weight", "price")
# (item, age in days, event), per user.
EVENT_LISTS = st.lists(
    st.lists(st.tuples(st.integers(0, N_ITEMS - 1), st.integers(0, 9), st.integers(0, len(EVENTS) - 1)), max_size=12), max_size=5
)


def histories(users: list[list[tuple[int, int, int]]]) -> Histories:
    """Histories of the users' events, sorted oldest first."""
    by_age = [sorted(events, key=lambda event: -event[1]) for events in users]
    flat = [event for events in by_age for event in events]
    item, age, event = (np.array([entry[column] for entry in flat]) for column in range(3))
    return Histories(
        offsets=np.concatenate([[0], np.cumsum([len(events) for events in by_age])]).astype(np.int64),
        item=item.astype(np.int32),
        age=age.astype(np.float32),
        event=event.astype(np.int8),
        weight=np.arange(len(flat), dtype=np.float32),
        price=np.arange(len(flat), dtype=np.float32) + 100,
        now=100 * DAY,
    )


def log_of(events: list[tuple[str, str, int]], kinds: list[str] | None = None) -> Interactions:
    """A log of (user, item, second); purchases, or events of these kinds."""
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": list("abcdef"), "title": list("ABCDEF")}))
    frame = pl.DataFrame(events, schema={"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}, orient="row")
    if kinds is not None:
        frame = frame.with_columns(event=pl.Series(kinds, dtype=pl.String))
    return Interactions.from_frame(frame.with_columns((pl.col("timestamp") * 1_000_000).cast(pl.Datetime("us"))), catalog)


def of_user(users: Histories, user: int) -> list[tuple]:
    begin, end = users.offsets[user], users.offsets[user + 1]
    return list(zip(*(np.nan_to_num(getattr(users, name)[begin:end]).tolist() for name in COLUMNS), strict=True))


@given(EVENT_LISTS, st.integers(1, 8))
def test_recent_items_equal_a_plain_reference(users: list[list[tuple[int, int, int]]], most: int) -> None:
    made = histories(users)
    recent = made.recent_items(N_ITEMS, most)
    for user in range(len(users)):
        seen: dict[int, tuple[float, int, int]] = {}
        for item, age, event, *_ in of_user(made, user):
            seen[item] = (age, seen.get(item, (0, 0, 0))[1] + 1, event)
        wanted = sorted(seen, key=lambda item: (-seen[item][0], item))[-most:]
        real = recent.rows[user] >= 0
        assert recent.rows[user][real].tolist() == wanted
        assert recent.age[user][real].tolist() == [seen[item][0] for item in wanted]
        assert recent.count[user][real].tolist() == [seen[item][1] for item in wanted]
        assert recent.event[user][real].tolist() == [seen[item][2] for item in wanted]
        assert not real[len(wanted) :].any()


def test_recent_items_are_as_wide_as_the_longest_history() -> None:
    made = histories([[(0, 3, 0), (1, 2, 0), (0, 1, 0)], [], [(5, 0, 2)]])
    recent = made.recent_items(N_ITEMS, 50)
    assert recent.rows.tolist() == [[1, 0], [-1, -1], [5, -1]]
    assert recent.count.tolist() == [[1, 2], [0, 0], [1, 0]]
    assert made.take(np.array([1])).recent_items(N_ITEMS, 50).rows.tolist() == [[-1]]


@given(EVENT_LISTS, st.data())
def test_take_selects_users_in_the_given_order(users: list[list[tuple[int, int, int]]], data: st.DataObject) -> None:
    made = histories(users)
    chosen = data.draw(st.lists(st.integers(0, len(users) - 1), max_size=6)) if users else []
    taken = made.take(np.array(chosen, dtype=np.int64))
    assert len(taken) == len(chosen)
    for place, user in enumerate(chosen):
        assert of_user(taken, place) == of_user(made, user)


@given(EVENT_LISTS, st.data())
def test_then_appends_later_events_to_each_user(users: list[list[tuple[int, int, int]]], data: st.DataObject) -> None:
    first = histories(users)
    later = histories([data.draw(st.lists(st.tuples(st.integers(0, 5), st.just(0), st.just(1)), max_size=3)) for _ in users])
    both = first.then(later)
    assert both.now == first.now
    for user in range(len(users)):
        assert of_user(both, user) == of_user(first, user) + of_user(later, user)


def test_with_items_changes_only_the_items() -> None:
    made = histories([[(0, 3, 0), (4, 2, 2)], [(5, 1, 0)]])
    coded = made.with_items(np.array([7, 7, 8, 8, 9, 9]))
    assert coded.item.tolist() == [7, 9, 9]
    assert coded.item.dtype == np.int32
    for name in ("offsets", "age", "event", "weight", "price"):
        assert np.array_equal(getattr(coded, name), getattr(made, name))


class TestOfUsers:
    log = log_of([("u0", "a", 0), ("u0", "b", DAY), ("u0", "c", 2 * DAY), ("u0", "d", 3 * DAY), ("u1", "e", 2 * DAY - 1)])

    def test_events_before_now_are_included_and_events_at_now_are_not(self) -> None:
        users = Histories.of_users(self.log, np.array([0, 1]), 2 * DAY)
        assert users.item.tolist() == [0, 1, 4]
        assert users.age.tolist() == pytest.approx([2, 1, 1 / DAY])

    def test_minus_one_gives_an_empty_history(self) -> None:
        users = Histories.of_users(self.log, np.array([-1, 1, -1]), 9 * DAY)
        assert users.lengths.tolist() == [0, 1, 0]
        assert users.item.tolist() == [4]

    def test_an_empty_log_gives_empty_histories(self) -> None:
        users = Histories.of_users(self.log.where(np.zeros(len(self.log), dtype=bool)), np.array([0, -1]), 9 * DAY)
        assert users.lengths.tolist() == [0, 0]
        assert Histories.of_users(log_of([]), np.array([-1, -1]), 9 * DAY).lengths.tolist() == [0, 0]

    def test_a_long_history_is_truncated_to_its_newest_events(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(features.data.histories, "MAX_EVENTS", 2)
        users = Histories.of_users(self.log, np.array([0, 1]), 9 * DAY)
        assert users.item.tolist() == [2, 3, 4]
        assert Histories.of_users(self.log, np.array([0]), 2 * DAY).item.tolist() == [0, 1]

    def test_purchases_that_the_cap_cut_off_are_still_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(features.data.histories, "MAX_EVENTS", 2)
        users = Histories.of_users(self.log, np.array([1, 0]), 9 * DAY)
        assert users.purchases.item.tolist() == [4, 0, 1, 2, 3]
        assert users.purchases.age.tolist() == pytest.approx([7 + 1 / DAY, 9, 8, 7, 6])
        assert users.take(np.array([1])).purchases.item.tolist() == [0, 1, 2, 3]
        assert users.then(Histories.of_baskets([[], [5]], 9 * DAY)).purchases.item.tolist() == [4, 0, 1, 2, 3, 5]
        assert Histories.of_users(self.log, np.array([0]), 2 * DAY).earlier is None, "nothing was cut off"


LOG_EVENTS = st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("abcdef"), st.integers(0, 20), st.sampled_from(EVENTS)), max_size=25)


@given(LOG_EVENTS, st.integers(1, 6), st.integers(0, 21))
def test_purchases_do_not_depend_on_the_cap(events: list[tuple[str, str, int, str]], cap: int, now: int) -> None:
    log = log_of([(user, item, second) for user, item, second, _ in events], [kind for *_, kind in events])
    rows = np.array([-1, *range(log.n_users)])
    whole = Histories.of_users(log, rows, now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features.data.histories, "MAX_EVENTS", cap)
        capped = Histories.of_users(log, rows, now)
    assert (capped.lengths <= cap).all()
    for user in range(len(rows)):
        assert of_user(capped.purchases, user) == of_user(whole.purchases, user)
        assert of_user(capped, user) == of_user(whole, user)[-cap:]
