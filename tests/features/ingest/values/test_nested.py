"""Objects and lists of JSON and Parquet as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.ingest.readers.parquet import read_parquet
from features.ingest.readers.raw_table import Spool, TableSpec
from features.ingest.values.nested import IDS, Losses, parsed, text_of

Ingest = Callable[..., Any]
LOG = '{"user_id": "u", "item_id": "A", "timestamp": "2026-04-01"}\n'


@pytest.mark.parametrize(
    ("json", "text"),
    [
        ('[{"id": 9, "name": "Clothing", "slug": "clothing"}, {"id": 14, "name": "T-shirts"}]', "Clothing|T-shirts"),
        ('{"id": 9, "title": "Clothing"}', "Clothing"),
        ('{"label": "Clothing", "value": 9}', "Clothing"),
        ('{"value": 21.90, "unit": "EUR"}', "21.90"),
        ('{"currency": "EUR", "amount": "21.90"}', "21.90"),
        ('{"rendered": "Tea"}', "Tea"),
        ('{"name": null, "title": "Tea"}', "Tea"),
        ('{"Name": "Nike"}', "Nike"),
        ('{"name": {"en": "Tea"}}', "Tea"),
        ('{"values": ["a", "b"]}', "a|b"),
        ('{"$oid": "507f1f77bcf86cd799439011"}', "507f1f77bcf86cd799439011"),
        ('{"$numberLong": "5"}', "5"),
        ('[["A", "B"], ["C"]]', "A|B"),
        ('[[], ["C", ["D", "E"]]]', "C|D E"),
        ('[1, 2.50, null, "", false]', "1|2.50|false"),
        ("1.10", "1.10"),
        ("1e400", "1e400"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("true", "true"),
        ('"as it is"', "as it is"),
        ("[]", None),
        ("{}", None),
        ("null", None),
    ],
)
def test_of_an_object_its_name_and_of_a_list_its_parts(json: str, text: str | None) -> None:
    losses = Losses()
    assert text_of(parsed(json), "|", losses) == text
    assert not list(losses.notes("category"))


@pytest.mark.parametrize("json", ['{"id": 9}', '{"id": "9", "sku": "x"}', '{"id": "no"}', '{"name": null}', '{"en": "Tea", "x": 1}'])
def test_an_object_without_a_name_is_left_out_and_counted(json: str) -> None:
    losses = Losses()
    assert text_of(parsed(f'[{json}, {{"name": "Tea"}}, {json}]'), "|", losses) == "Tea"
    (note,) = losses.notes("category")
    assert note.startswith("note: 2 objects in category have none of name, title, label and are left out (e.g. '{")


@pytest.mark.parametrize("json", ['{"en": "Tea", "de": "Tee"}', '{"en-GB": "Tea", "pt_BR": "Chá"}', '{"id": "", "en": "Tea", "fr": "Thé"}'])
def test_of_languages_the_first_is_taken(json: str) -> None:
    losses = Losses()
    assert text_of(parsed(json), "|", losses) == "Tea"
    (note,) = losses.notes("title")
    assert note.startswith("note: 1 value of title is in several languages, and the first is taken (e.g. '{")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_any_value_has_a_text_or_none(value: object) -> None:
    assert isinstance(text_of(value, "|", Losses()), str | None)


def test_ids_are_not_names() -> None:
    losses = Losses()
    assert text_of({"id": 5, "name": "Ann"}, " ", losses, IDS) == "5"
    assert text_of({"_id": {"$oid": "a1"}}, " ", losses, IDS) == "a1"
    assert text_of({"name": "Ann"}, " ", losses, IDS) is None
    assert len(list(losses.notes("user_id"))) == 1


def test_products_of_a_shop_with_objects(ingested: Ingest) -> None:
    items = (
        '{"item_id": "A", "title": {"rendered": "Shirt"}, "price": 21.90, "category": [{"id": 9, "name": "Clothing"}, {"name": "Tops"}]}\n'
        '{"item_id": "B", "title": {"en": "Tea", "de": "Tee"}, "price": "35.00", "category": [{"id": 9}], "brand": {"name": "Nord"}}\n'
    )
    shop = ingested(LOG, items, suffix="jsonl")
    assert shop.items["title"].to_list() == ["Shirt", "Tea"]
    assert shop.items["category"].to_list() == ["Clothing|Tops", None]
    assert shop.items["brand"].to_list() == [None, "Nord"]
    assert [note.split(" (")[0] for note in shop.summary.notes] == [
        "note: 1 value of title is in several languages, and the first is taken",
        "note: 1 object in category has none of name, title, label and is left out",
    ]


def test_nesting_without_end_is_left_out(ingested: Ingest) -> None:
    depth = 400
    items = f'{{"item_id": "A", "title": "Tea", "brand": {"[" * depth}1{"]" * depth}}}\n'
    shop = ingested(LOG, items, suffix="jsonl")
    assert shop.items["title"].to_list() == ["Tea"]


def test_structs_and_lists_of_parquet(tmp_path: Path) -> None:
    columns = {
        "item_id": [1, 2, 3],
        "title": [{"en": "Tea", "de": "Tee"}, {"en": None, "de": "Kaffee"}, None],
        "category": [[{"id": 1, "name": "A"}, {"id": 2, "name": "B"}], [], [{"id": 3, "name": None}]],
        "brand": [{"id": 4}, None, {"id": 6}],
        "description": [[["a", "b"], ["c"]], [[], ["x"]], None],
        "price": [{"amount": "1.10", "currency": "EUR"}, None, {"amount": "2.00", "currency": "EUR"}],
        "available": [True, False, None],
    }
    pl.DataFrame(columns).write_parquet(tmp_path / "items.parquet")
    spec = TableSpec("items", tmp_path / "items.parquet", {name: (name,) for name in columns}, ("item_id",))
    table = read_parquet(Spool(spec, tmp_path / "raw"))
    assert table.frame.drop("row").collect().to_dict(as_series=False) == {
        "item_id": ["1", "2", "3"],
        "title": ["Tea", "Kaffee", None],
        "category": ["A|B", None, None],
        "brand": [None, None, None],
        "description": ["a b", "x", None],
        "price": ["1.10", None, "2.00"],
        "available": ["true", "false", None],
    }
    assert [note.split(" (")[0] for note in table.notes] == [
        "note: 1 value of title is in several languages, and the first is taken",
        "note: 1 object in category has none of name, title, label and is left out",
        "note: 2 objects in brand have none of name, title, label and are left out",
    ]
