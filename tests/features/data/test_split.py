"""Splits by time: events after the cut never change the history."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions
from features.data.split import Split
from features.errors import DataError
from features.names import POSITIVE_EVENTS

START = datetime(2024, 1, 1)
CUT = int((datetime(2024, 1, 11) - datetime(1970, 1, 1)).total_seconds())
CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": list("abcdef"), "title": list("ABCDEF")}))

event = st.tuples(
    st.sampled_from(["u", "v", "w", "x"]), st.sampled_from(list("abcdef")), st.integers(0, 239), st.sampled_from(POSITIVE_EVENTS)
)
events = st.lists(event, min_size=1, max_size=25)


def log_of(before: list[tuple[str, str, int, str]], after: list[tuple[str, str, int, str]]) -> Interactions:
    """Events `before` in the ten days up to the cut, and `after` in the ten that follow."""
    rows = [(user, item, START + timedelta(hours=hour), kind) for user, item, hour, kind in before]
    rows += [(user, item, START + timedelta(hours=240 + hour), kind) for user, item, hour, kind in after]
    return Interactions.from_frame(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "event"], orient="row"), CATALOG)


def past(split: Split) -> list[tuple[str, int, int, int]]:
    history = split.history
    return list(zip(history.user_ids[history.user], history.item.tolist(), history.time.tolist(), history.event.tolist(), strict=True))


BOUGHT = ("u", "a", 0, "purchase")  # so that there is a label


@given(events, events, events)
def test_a_scrambled_future_leaves_the_history_unchanged(before: list, future: list, other: list) -> None:
    one = Split.by_time(log_of(before, [*future, BOUGHT]), CUT)
    two = Split.by_time(log_of(before, [*other, BOUGHT]), CUT)
    assert past(one) == past(two)
    assert one.known.tolist() == two.known.tolist()
    seen = []
    for split in (one, two):
        users = split.history.user_rows(["u", "v", "w", "x"])
        histories = split.histories(users)
        seen.append((histories.offsets.tolist(), histories.item.tolist(), histories.age.tolist(), histories.event.tolist()))
    assert seen[0] == seen[1]


@given(events, events)
def test_pairs_are_the_distinct_purchases_and_ratings_after_the_cut(before: list, after: list) -> None:
    split = Split.by_time(log_of(before, [*after, BOUGHT]), CUT)
    pairs = {(str(split.labels.user_ids[user]), str(CATALOG.ids[item])) for user, item in zip(*split.pairs, strict=True)}
    assert pairs == {(user, item) for user, item, _, kind in [*after, BOUGHT] if kind in ("purchase", "rating")}
    assert len(split.pairs[0]) == len(pairs)
    buyers = {user for user, _ in pairs} & {user for user, _, _, _ in before}
    assert set(split.labels.user_ids[split.users]) == buyers
    assert np.flatnonzero(split.known).tolist() == sorted({"abcdef".index(item) for _, item, _, _ in before})


def test_the_label_window_ends_after_its_days() -> None:
    log = log_of([("u", "a", 0, "purchase")], [("u", "b", 0, "purchase"), ("u", "c", 23, "purchase"), ("u", "d", 24, "purchase")])
    split = Split.by_time(log, CUT, days=1)
    assert (split.cut, split.end) == (CUT, CUT + DAY)
    assert CATALOG.ids[split.pairs[1]].tolist() == ["b", "c"]
    assert Split.by_time(log, CUT).end == log.end
    assert Split.by_time(log, CUT, days=99).end == log.end


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([], [BOUGHT], "0 events before it and 1 purchases after it"),
        ([BOUGHT], [], "1 events before it and 0 purchases after it"),
        ([BOUGHT], [("u", "a", 1, "view")], "1 events before it and 0 purchases after it"),
    ],
)
def test_a_cut_without_events_on_one_side_is_refused(before: list, after: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split.by_time(log_of(before, after), CUT)
