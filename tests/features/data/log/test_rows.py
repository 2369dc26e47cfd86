"""A log in partitions by user is the same log as in one table."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.interactions import Interactions
from features.data.log.rows import INTERACTION_COLUMNS
from features.data.split import Split
from features.errors import DataError
from features.ingest.partitions import of_partition
from features.storage import mapped
from features.storage.mapped import is_mapped

CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": list("ABCD"), "title": list("ABCD")}))
ROW = st.tuples(
    st.sampled_from(["u1", "u10", "ü", "U", "z@shop.de", "guest-1", "7"]),
    st.sampled_from("ABCDX"),
    st.integers(0, 5).map(lambda day: datetime(2024, 1, 1) + timedelta(days=day)),
    st.sampled_from(["purchase", "cart", "view", "dislike", None]),
    st.sampled_from([1.0, 3.0, None]),
    st.sampled_from([2.5, 7.0, None]),
    st.none(),
)


@pytest.fixture(autouse=True, scope="module")
def all_are_large() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped, "SMALL", 0)
        yield


def assert_same(log: Interactions, other: Interactions) -> None:
    assert log.user_ids.tolist() == other.user_ids.tolist()
    for name in ("user", "item", "time", "event", "weight", "price", "value"):
        ours, theirs = getattr(log, name), getattr(other, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    assert (log.dislikes is None) == (other.dislikes is None)
    if log.dislikes is not None and other.dislikes is not None:
        assert_same(log.dislikes, other.dislikes)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, max_size=40), st.sampled_from([1, 2, 4, 16]), st.randoms(use_true_random=False))
def test_partitions_in_any_number_and_rows_in_any_order_give_one_log(rows: list[tuple], parts: int, random) -> None:
    frame = pl.DataFrame(rows, schema=INTERACTION_COLUMNS, orient="row")
    whole = Interactions.from_frame(frame, CATALOG)
    random.shuffle(rows)
    shuffled = pl.DataFrame(rows, schema=INTERACTION_COLUMNS, orient="row")
    parted = Interactions.from_parts([of_partition(shuffled, part, parts) for part in range(parts)], CATALOG)
    assert_same(parted, whole)
    middle = int(datetime(2024, 1, 3).timestamp())
    assert_same(parted.between(None, middle), whole.between(None, middle))


def test_windows_of_a_log_in_files_lie_in_files() -> None:
    rows = [(f"u{n % 50}", "ABCD"[n % 4], datetime(2024, 1, 1 + n % 20), "purchase", None, None, None) for n in range(800)]
    frame = pl.DataFrame(rows, schema=INTERACTION_COLUMNS, orient="row")
    whole = Interactions.from_frame(frame, CATALOG)
    parted = Interactions.from_parts([of_partition(frame, part, 4) for part in range(4)], CATALOG)
    cut = int(datetime(2024, 1, 15).timestamp())
    ours, theirs = (Split.by_time(log, cut, until=whole.end - 86_400) for log in (parted, whole))
    assert is_mapped(parted.time)
    assert is_mapped(ours.history.time)
    assert not is_mapped(whole.time)
    assert (ours.cut, ours.end) == (theirs.cut, theirs.end)
    assert_same(ours.history, theirs.history)
    assert_same(ours.labels, theirs.labels)


def test_a_user_in_two_partitions_is_refused() -> None:
    frame = pl.DataFrame([("u", "A", datetime(2024, 1, 1))], schema=["user_id", "item_id", "timestamp"], orient="row")
    with pytest.raises(DataError, match="a user is in two partitions"):
        Interactions.from_parts([frame, frame], CATALOG)


def test_a_split_until_a_time_is_that_of_the_log_that_ends_there() -> None:
    rows = [(f"u{n % 7}", "ABCD"[n % 4], datetime(2024, 1, 1 + n % 9, n % 24), "purchase", None, None, None) for n in range(200)]
    log = Interactions.from_frame(pl.DataFrame(rows, schema=INTERACTION_COLUMNS, orient="row"), CATALOG)
    cut, until = (int(datetime(2024, 1, day).timestamp()) for day in (4, 7))
    for days in (None, 1.0, 90.0):
        ours, theirs = Split.by_time(log, cut, days, until=until), Split.by_time(log.between(None, until), cut, days)
        assert ours.end == theirs.end
        assert_same(ours.history, theirs.history)
        assert_same(ours.labels, theirs.labels)
    with pytest.raises(DataError, match="no events"):
        Split.by_time(log, cut, until=log.start)
