"""Where rows come from: mappings, a catalogue out of the log, the Amazon layouts, and sources that make no sense."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.table_store import load_source
from features.ingest.table_versions import in_use

if TYPE_CHECKING:
    from collections.abc import Mapping

Ingest = Callable[..., Any]
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "online_retail.toml"
RETAIL = Path(__file__).resolve().parents[4] / "shared" / "data" / "online_retail" / "raw.csv.gz"


MAPPED = """Who,What,When,Pieces,Each,Name
u,A,2024-01-01,2,1.5,Apple
u,A,2024-01-03,1,1.7,Aple
v,A,2024-01-02,-1,9,Apple
v,POST,2024-01-02,1,3,Post
v,B,2024-01-02,1,4,
,C,2024-01-02,1,4,Cod
"""
MAPPING = {
    "interactions_columns": {"user_id": "Who", "item_id": "What", "timestamp": "When", "quantity": "Pieces", "unit_price": "Each"},
    "items_columns": {"title": "Name", "price": "Each"},
    "drop_items": "^POST$",
}


def test_a_catalogue_out_of_the_log(ingested: Ingest) -> None:
    shop = ingested(MAPPED, None, **MAPPING)
    assert shop.log.rows() == [
        ("u", "A", datetime(2024, 1, 1), "purchase", 2.0, 3.0, None),
        ("u", "A", datetime(2024, 1, 3), "purchase", 1.0, 1.7, None),
    ]
    assert shop.items.select("item_id", "title", "price").rows() == [("A", "Aple", 1.7)], "the latest of equally frequent titles"
    assert str(shop.summary) == (
        "items: 2 read = 1 kept + 1 quarantined (1 no title)\n"
        "interactions: 6 read = 2 kept + 4 quarantined (1 dropped by source.drop_items, "
        "1 item_id whose row in the catalogue is quarantined, 1 no user_id, 1 return or zero quantity)"
    )


def test_the_most_frequent_title_wins(ingested: Ingest) -> None:
    rows = "u,A,2024-01-0{},{}\n"
    log = "user_id,item_id,timestamp,title\n" + "".join(
        rows.format(day, title) for day, title in enumerate(["Pear", "Pear", "?", "nan", "nan", "nan"], 1)
    )
    assert ingested(log, None).items["title"].to_list() == ["Pear"]


def test_a_log_without_titles_cannot_be_a_catalogue(ingested: Ingest) -> None:
    with pytest.raises(DataError, match=r"has no title; .*or map the column of the log under \[source.items_columns\]"):
        ingested("user_id,item_id,timestamp\nu,A,2024-01-01\n", None)


def test_a_mapping_to_a_column_that_is_not_there_is_refused(ingested: Ingest) -> None:
    with pytest.raises(DataError, match=r"has no quantity \(looked for Pieces\); it has: user_id, item_id, timestamp"):
        ingested("user_id,item_id,timestamp\nu,A,2024-01-01\n", interactions_columns={"quantity": "Pieces"})


def lines(*records: Mapping[str, object]) -> str:
    return "\n".join(json.dumps(record) for record in records)


AMAZON = {
    "2014": (
        "{'asin': 'A', 'title': 'It\\'s &amp; co', 'price': 12.99, 'categories': [['Beauty', 'Hair'], ['Gifts']], "
        "'description': 'd', 'brand': 'Br'}",
        {"reviewerID": "u", "asin": "A", "unixReviewTime": 1400000000, "overall": 5.0},
        datetime(2014, 5, 13, 16, 53, 20),
    ),
    "2018": (
        lines(
            {
                "asin": "A",
                "title": "It's & co",
                "category": ["Beauty", "Hair"],
                "description": ["d"],
                "brand": "Br",
                "price": "$12.99 - $20.00",
            }
        ),
        {"reviewerID": "u", "asin": "A", "unixReviewTime": 1400000000, "overall": 5.0, "style": {"Size:": "M"}},
        datetime(2014, 5, 13, 16, 53, 20),
    ),
    "2023": (
        lines(
            {
                "parent_asin": "A",
                "title": "It's & co",
                "categories": ["Beauty", "Hair"],
                "description": ["d"],
                "store": "Br",
                "price": 12.99,
            }
        ),
        {"user_id": "u", "asin": "A7", "parent_asin": "A", "timestamp": 1588615855070, "rating": 5.0},
        datetime(2020, 5, 4, 18, 10, 55, 70_000),
    ),
}


@pytest.mark.parametrize("year", AMAZON)
def test_the_amazon_layouts(year: str, ingested: Ingest) -> None:
    items, review, time = AMAZON[year]
    shop = ingested(lines(review), items, "json", format="amazon")
    assert shop.items.select("item_id", "title", "description", "brand", "category", "price").rows() == [
        ("A", "It's & co", "d", "Br", "Beauty|Hair", 12.99)
    ]
    assert shop.log.rows() == [("u", "A", time, "rating", None, None, None)]


def test_amazon_scraps_are_no_prices_and_other_layouts_are_refused(ingested: Ingest) -> None:
    items = lines(
        {"asin": "A", "title": "T", "price": ".a-box{margin:1px}"}, {"asin": "B", "title": "T", "description": [], "category": []}
    )
    review = lines({"reviewerID": "u", "asin": "A", "unixReviewTime": 1400000000})
    shop = ingested(review, items, "json", format="amazon")
    assert shop.items.select("description", "category", "price").rows() == [(None, None, None)] * 2
    with pytest.raises(DataError, match="check that the file is an export of this kind"):
        ingested("user_id,item_id,timestamp\nu,A,2024-01-01\n", format="amazon")


WRONG_SOURCES = {
    "nothing": ({}, "give exactly one of these: a dataset, an interactions file"),
    "both": ({"dataset": "completejourney", "interactions": "x.csv"}, "give exactly one of these: a dataset, an interactions file"),
    "items of a dataset": ({"dataset": "completejourney", "items": "x.csv"}, "has its own items"),
    "amazon without items": ({"interactions": "x", "format": "amazon"}, "needs the metadata"),
    "data set mapped": ({"dataset": "completejourney", "items_columns": {"title": "t"}}, "has fixed columns"),
    "mistyped column": ({"interactions": "x", "items_columns": {"prize": "t"}}, r"unknown column 'prize', did you mean 'price'\?"),
    "unknown column": ({"interactions": "x", "items_columns": {"name": "t"}}, r"unknown column 'name', ours are item_id"),
    "wrong way": ({"interactions": "x", "interactions_columns": {"CustomerID": "user_id"}}, r'turn it round, user_id = "CustomerID"'),
    "two values": ({"interactions": "x", "interactions_columns": {"value": "a", "unit_price": "b"}}, "the same fact twice"),
    "unknown event": ({"interactions": "x", "events": {"order": "buy"}}, r"maps to \['buy'\]"),
    "bad pattern": ({"interactions": "x", "drop_items": "(("}, "not a regular expression"),
    "bad encoding": ({"interactions": "x", "encoding": "utf-9"}, "unknown encoding 'utf-9'"),
    "unknown key": ({"interactions": "x", "colour": "red"}, "colour"),
}


@pytest.mark.parametrize("what", WRONG_SOURCES)
def test_a_source_that_makes_no_sense_is_refused(what: str) -> None:
    options, message = WRONG_SOURCES[what]
    with pytest.raises(ValidationError, match=message):
        Source.model_validate(options)


def test_the_source_can_be_read_again_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.csv").write_text(MAPPED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    source = Source.model_validate({"interactions": "log.csv", **MAPPING})
    first = ingest(source, Path("data"))
    monkeypatch.chdir("/")
    again = load_source(tmp_path / "data")
    assert again == source.model_copy(update={"interactions": tmp_path / "log.csv"})

    def tables() -> dict[str, bytes]:  # source.json says when its files were looked at
        return {path.name: path.read_bytes() for path in in_use(tmp_path / "data").iterdir() if path.name != "source.json"}

    before = tables()
    assert ingest(again, tmp_path / "data") == first
    assert tables() == before, "the same files make the same bytes"


def test_the_example_mapping_reads_online_retail(tmp_path: Path) -> None:
    if not RETAIL.exists():
        pytest.skip(f"{RETAIL} is not on this machine")
    options = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))["source"]
    summary = ingest(Source.model_validate({**options, "interactions": RETAIL}), tmp_path / "out")
    assert str(summary) == (
        "items: 3,659 read = 3,659 kept + 0 quarantined\n"
        "interactions: 541,909 read = 396,370 kept + 145,539 quarantined "
        "(135,080 no user_id, 8,539 return or zero quantity, 1,920 dropped by source.drop_items)"
    )


def test_the_example_mapping_is_valid() -> None:
    Source.model_validate(tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))["source"])
