"""Attributes of an item as text, however JSON and Parquet hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.ingest.values.named_values import attributes_expression, attributes_of, holds_attributes

SPELLINGS: dict[str, tuple[object, str | None]] = {
    "text": ("colour: red", "colour: red"),
    "object": ({"colour": "red", "size": 40}, "colour: red; size: 40"),
    "list of texts": (["colour: red", "size: 40"], "colour: red; size: 40"),
    "names and values": ([{"name": "colour", "value": "red"}, {"name": "size", "value": "40"}], "colour: red; size: 40"),
    "keys and values": ([{"key": "colour", "value": "red"}], "colour: red"),
    "several values": ([{"name": "size", "options": ["S", "M"]}], "size: S, M"),
    "object of lists": ({"size": ["S", "M"]}, "size: S, M"),
    "one without a value": ({"colour": "red", "size": None}, "colour: red"),
    "empty list": ([], None),
    "nothing": (None, None),
}


@pytest.mark.parametrize("what", SPELLINGS)
def test_attributes_of_json(what: str) -> None:
    value, text = SPELLINGS[what]
    assert attributes_of(value) == text


@pytest.mark.parametrize("what", [one for one in SPELLINGS if one not in ("nothing", "empty list")])
def test_parquet_gives_the_same_text(what: str, tmp_path: Path) -> None:
    value, text = SPELLINGS[what]
    pl.DataFrame({"attributes": [json.loads(json.dumps(value)), None]}, strict=False).write_parquet(tmp_path / "items.parquet")
    frame: Any = pl.scan_parquet(tmp_path / "items.parquet")
    read = frame.select(attributes_expression(pl.col("attributes"), frame.collect_schema()["attributes"])).collect()
    assert read.to_series().to_list() == [text, None]


@pytest.mark.parametrize(("column", "holds"), [("attributes", True), ("item:attributes", True), ("description", False)])
def test_which_columns_hold_attributes(column: str, holds: bool) -> None:
    assert holds_attributes(column) == holds
