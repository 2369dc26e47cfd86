"""What changed between two shops, by external ids."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.interactions import Interactions
from recsys.snapshot.fits.changes import Changes, Tables
from tests.conftest import START

IDS, TITLES = "abcdef", ("tea", "soap", "rye bread")
ITEMS = st.dictionaries(st.sampled_from(IDS), st.tuples(st.sampled_from(TITLES), st.sampled_from([None, "acme"])), min_size=1)
EVENTS = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from(IDS), st.integers(0, 2), st.sampled_from(["purchase", "dislike"])), max_size=8
)


def tables(items: dict[str, tuple[str, str | None]], events: list[tuple[str, str, int, str]]) -> Tables:
    rows = [{"item_id": item, "title": title, "brand": brand} for item, (title, brand) in items.items()]
    catalog = Catalog.from_frame(pl.DataFrame(rows, {"item_id": pl.String, "title": pl.String, "brand": pl.String}))
    made = [(user, item, START + timedelta(days=day), event) for user, item, day, event in events]
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Datetime("us"), "event": pl.String}
    return Tables(catalog, Interactions.from_frame(pl.DataFrame(made, schema, orient="row"), catalog), None)


@settings(max_examples=40)
@given(ITEMS, EVENTS, ITEMS, EVENTS)
def test_events_and_items_that_one_has_and_the_other_lacks(items_before, events_before, items_after, events_after) -> None:
    changes = Changes.between(tables(items_before, events_before), tables(items_after, events_after))
    before = Counter(event for event in events_before if event[1] in items_before)
    after = Counter(event for event in events_after if event[1] in items_after)
    assert changes.events == ((before - after) + (after - before)).total()
    assert changes.items == sum(items_before.get(item) != items_after.get(item) for item in IDS)
    known, ids = sorted(items_before), sorted(items_after)
    assert changes.rows.tolist() == [known.index(item) if item in known else -1 for item in ids]


def test_equal_tables_have_not_changed() -> None:
    one = {"a": ("tea", None), "b": ("soap", "acme")}
    changes = Changes.between(tables(one, [("u", "a", 1, "purchase")]), tables(one, [("u", "a", 1, "purchase")]))
    assert (changes.events, changes.items, changes.rows.tolist()) == (0, 0, [0, 1])
