"""Changes of items: of each fact the latest counts, in whatever order they arrive and however they are cut into batches."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.workspace.item_changes import ItemChange, ItemChanges, Known

TIMES = st.integers(1, 9).map(float)
CHANGES = st.lists(
    st.builds(
        ItemChange.at,
        st.sampled_from("abc"),
        TIMES,
        st.none() | st.floats(0.01, 99),
        st.none() | st.booleans(),
        st.none() | st.integers(0, 3).map(float),
    ),
    max_size=12,
    unique_by=lambda change: (change.item_id, max(change.price_time, change.stock_time)),
)


def stored(folder: str, batches: list[list[ItemChange]]) -> ItemChanges:
    store = ItemChanges(Path(folder) / "items.sqlite")
    for batch in batches:
        store.add(batch)
    return store


def expected(changes: list[ItemChange]) -> set[ItemChange]:
    """The latest of each fact, found the slow way."""
    found = set()
    for item in {change.item_id for change in changes}:
        priced = [one for one in changes if one.item_id == item and one.price is not None]
        counted = [one for one in changes if one.item_id == item and one.available is not None]
        price, stock = max(priced, key=lambda one: one.price_time, default=None), max(counted, key=lambda one: one.stock_time, default=None)
        if price or stock:
            one, other = price or ItemChange(item), stock or ItemChange(item)
            found.add(ItemChange(item, one.price, one.price_time, other.available, other.stock, other.stock_time))
    return found


@settings(max_examples=40, deadline=None)
@given(CHANGES, st.randoms(use_true_random=False), st.integers(1, 12))
def test_the_order_of_arrival_does_not_matter(changes: list[ItemChange], random, size: int) -> None:
    shuffled = random.sample(changes, len(changes))
    with tempfile.TemporaryDirectory() as folder:
        store = stored(folder, [shuffled[start : start + size] for start in range(0, len(shuffled), size)])
        assert set(store.all()) == expected(changes)
        assert store.add(changes) == 0, "a second time nothing is new"


@settings(max_examples=40, deadline=None)
@given(CHANGES, CHANGES, TIMES)
def test_a_reader_that_catches_up_has_what_there_is(first: list[ItemChange], second: list[ItemChange], moment: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = stored(folder, [first])
        seen = store.since(Known())
        held = {change.item_id: change for change in seen.changes}
        store.add(second)
        later = store.since(seen.known)
        held |= {change.item_id: change for change in later.changes}
        assert set(held.values()) == set(store.all())
        removed = store.remove(moment)
        after = store.since(later.known)
        assert after.whole == bool(removed)
        left = {change.after(moment) for change in held.values()}
        assert set(store.all()) == {change for change in left if change.price_time or change.stock_time}


def test_there_is_no_file_until_something_changes(tmp_path: Path) -> None:
    store = ItemChanges(tmp_path / "items.sqlite")
    assert store.all() == []
    assert store.remove(1e12) == store.between(0, 1e12) == 0
    assert list(tmp_path.iterdir()) == []
