"""The catalogue: validation, and ids to rows and back."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import ITEM_COLUMNS, Catalog
from features.errors import DataError

ids = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), min_size=1, max_size=20, unique=True)


def catalog_of(item_ids: list[str]) -> Catalog:
    return Catalog.from_frame(pl.DataFrame({"item_id": item_ids, "title": [f"title of {item}" for item in item_ids]}))


@given(ids, st.randoms())
def test_ids_become_rows_and_rows_ids(item_ids: list[str], random: object) -> None:
    catalog = catalog_of(item_ids)
    rows = catalog.rows(item_ids)
    assert sorted(rows) == list(range(len(item_ids)))
    assert catalog.ids[rows].tolist() == item_ids
    shuffled = list(item_ids)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert catalog_of(shuffled).frame.equals(catalog.frame), "the order of the source does not matter"


def test_an_unknown_id_is_minus_one_or_an_error() -> None:
    catalog = catalog_of(["b", "a"])
    assert catalog.rows(["a", "x", "b"]).tolist() == [0, -1, 1]
    with pytest.raises(DataError, match="item 'x' is not in the catalogue of 2 items"):
        catalog.rows_or_raise(["a", "x"])


def test_missing_columns_are_filled() -> None:
    frame = pl.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"], "available": [None, False], "more": [1, 2]})
    catalog = Catalog.from_frame(frame)
    assert dict(catalog.frame.schema) == ITEM_COLUMNS
    assert catalog.available.tolist() == [True, False]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"item_id": ["a", "a"], "title": ["A", "B"]}, "item_id 'a' occurs more than once"),
        ({"item_id": ["a", None], "title": ["A", "B"]}, "1 rows without item_id and 0 without title"),
        ({"item_id": ["a", "b"], "title": ["A", None]}, "0 rows without item_id and 1 without title"),
        ({"item_id": ["a"]}, r"lacks \['title'\]"),
    ],
)
def test_invalid_tables_are_refused(frame: dict[str, list[str | None]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Catalog.from_frame(pl.DataFrame(frame))


def test_codes_are_equal_exactly_where_values_are() -> None:
    frame = pl.DataFrame({"item_id": list("abcd"), "title": list("abcd"), "brand": ["y", None, "x", "y"]})
    assert Catalog.from_frame(frame).codes("brand").tolist() == [1, -1, 0, 1]


@pytest.mark.parametrize(
    ("text", "spelt"), [("17", "17"), ("17.0", "17"), ('="17"', "17"), (" 17", "17"), ("18.0", "18.0"), ("A.0", "A.0")]
)
def test_an_id_is_spelt_as_the_catalogue_has_it(text: str, spelt: str) -> None:
    assert catalog_of(["17", "A"]).spelt(text) == spelt
