"""Dislikes exclude items and are evidence of nothing: whatever reads the events does not see them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.behavior.item_stats import ItemStats
from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import COLUMNS, DAY, Interactions
from features.data.shop_profile import ShopProfile
from features.data.split import Split
from features.data.times.step_time import to_step_time
from features.errors import DataError
from features.names import DISLIKE, EVENTS, PURCHASE

CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": list("abcdef"), "title": list("ABCDEF")}))
ROWS = st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdef"), st.integers(0, 40), st.sampled_from(EVENTS)), max_size=25)
Row = tuple[str, str, int, str]


def log_of(rows: list[Row]) -> Interactions:
    """A log of (user, item, day, event)."""
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "day", "event"], orient="row", infer_schema_length=None)
    frame = frame.with_columns(timestamp=pl.from_epoch(pl.col("day").cast(pl.Int64) * DAY, "s"), event=pl.col("event").cast(pl.String))
    return Interactions.from_frame(frame.cast({"user_id": pl.String, "item_id": pl.String}), CATALOG)


def dislikes_of(log: Interactions) -> list[Row]:
    if log.dislikes is None:
        return []
    some = log.dislikes
    columns = (log.user_ids[some.user].tolist(), CATALOG.ids[some.item].tolist(), (some.time // DAY).tolist())
    return [(*row, DISLIKE) for row in zip(*columns, strict=True)]


@given(ROWS)
def test_the_events_are_those_of_the_log_without_its_dislikes(rows: list[Row]) -> None:
    log, without = log_of(rows), log_of([row for row in rows if row[3] != DISLIKE])
    assert sorted(dislikes_of(log)) == sorted(row for row in rows if row[3] == DISLIKE)
    known = log.with_known_users().user_ids.tolist()
    assert known == sorted({user for user, *_ in rows})
    np.testing.assert_array_equal(log.user_ids[log.user], without.user_ids[without.user])
    for name in COLUMNS[1:]:
        np.testing.assert_array_equal(getattr(log, name), getattr(without, name))
    now = 41 * DAY
    for name, column in ItemStats.fit(log, CATALOG, now).columns.items():
        np.testing.assert_array_equal(column, ItemStats.fit(without, CATALOG, now).columns[name])
    assert ShopProfile.of(log) == ShopProfile.of(without)


@given(ROWS, st.integers(0, 41))
def test_a_user_is_permitted_all_but_what_was_disliked_before_now(rows: list[Row], day: int) -> None:
    log = log_of(rows)
    users = Histories.of_users(log, log.user_rows(["u", "nobody", "w"]), day * DAY)
    mask = np.array([item != "c" for item in CATALOG.ids])
    each = np.broadcast_to(users.permitted(mask), (3, 6))
    for place, user in enumerate(("u", "nobody", "w")):
        gone = {item for who, item, when, kind in rows if who == user and kind == DISLIKE and when < day} | {"c"}
        assert set(CATALOG.ids[each[place]]) == set("abcdef") - gone
    assert mask.sum() == 5, "the mask itself stays"
    swapped = users.take(np.array([2, 0]))
    np.testing.assert_array_equal(np.broadcast_to(swapped.permitted(each[[2, 0]]), (2, 6)), each[[2, 0]])
    assert not (users.event == EVENTS.index(DISLIKE)).any()


@given(ROWS, st.integers(0, 41))
def test_between_and_files_keep_dislikes(rows: list[Row], day: int) -> None:
    log = log_of(rows)
    assert dislikes_of(log.between(None, day * DAY)) == [row for row in dislikes_of(log) if row[2] < day]
    assert dislikes_of(Interactions.from_files(log.to_files())) == dislikes_of(log)
    left = log.without_users(log.user_rows(["u"]))
    assert dislikes_of(left) == [row for row in dislikes_of(log) if row[0] != "u"]
    assert "u" not in left.user_ids


def test_a_dislike_is_no_label_and_no_event_of_a_split() -> None:
    log = log_of([("u", "a", 1, PURCHASE), ("u", "b", 2, DISLIKE), ("u", "c", 8, PURCHASE), ("u", "d", 9, DISLIKE), ("v", "e", 2, DISLIKE)])
    split = Split.by_time(log, 5 * DAY)
    assert CATALOG.ids[split.pairs[1]].tolist() == ["c"]
    assert CATALOG.ids[split.known].tolist() == ["a"]
    assert split.users.tolist() == [0]
    assert log.end == 9 * DAY + 1, "the log ends with what is known last"


@pytest.mark.parametrize(("day", "step"), [(0, -3), (1, -2), (4, -2), (5, -1), (6, -1), (9, 0), (30, 0)])
def test_in_step_time_a_dislike_lies_on_the_step_that_it_follows(day: int, step: int) -> None:
    bought = [("u", "a", 1, PURCHASE), ("u", "b", 5, PURCHASE), ("u", "c", 9, PURCHASE), ("v", "a", 3, PURCHASE)]
    log = to_step_time(log_of([*bought, ("u", "d", day, DISLIKE), ("w", "e", 2, DISLIKE)]))
    assert log.dislikes is not None
    assert ((log.dislikes.time - (log.end - 1)) // DAY).tolist() == [step, 0]
    assert log.time.max() == log.end - 1
    assert log.dislikes.ordinal


def test_a_log_of_nothing_else_is_refused() -> None:
    with pytest.raises(DataError, match="the log has no events but dislikes"):
        _ = log_of([("u", "a", 1, DISLIKE)]).end


def test_later_dislikes_join_those_of_the_log() -> None:
    log = log_of([("u", "a", 1, DISLIKE), ("u", "b", 1, PURCHASE)])
    users = Histories.of_users(log, np.array([0]), log.end)
    later = replace(Histories.of_baskets([[]], log.end), disliked=Histories.of_baskets([[3]], log.end))
    for both in (users.then(later), later.then(users)):
        assert "".join(CATALOG.ids[both.permitted(np.ones(6, dtype=bool))[0]]) == "bcef"
