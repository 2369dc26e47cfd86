"""Judging rows: what is kept, what is quarantined and why; mappings, the Amazon layout, a catalogue out of the log."""

from __future__ import annotations

import json
import tomllib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from pydantic import ValidationError

from features.catalog import ITEM_COLUMNS, Catalog
from features.errors import DataError
from features.ingest import IngestSummary, TableSummary, ingest, load_source, load_tables
from features.interactions import INTERACTION_COLUMNS, Interactions
from features.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "online_retail.toml"
RETAIL = Path("/work/shared/data/online_retail/raw.csv.gz")
ITEMS = "item_id,title\nA,Apple\nB,Bread\n"


class Shop:
    """A folder with two files, ingested."""

    def __init__(self, folder: Path, log: str, items: str | None = ITEMS, suffix: str = "csv", **options: object) -> None:
        paths = {"interactions": folder / f"log.{suffix}"}
        paths["interactions"].write_text(log, encoding="utf-8")
        if items is not None:
            paths["items"] = folder / f"items.{suffix}"
            paths["items"].write_text(items, encoding="utf-8")
        self.source = Source.model_validate({**paths, **options})
        self.summary: IngestSummary = ingest(self.source, folder / "out")
        self.items, self.log = load_tables(folder / "out")
        frame = pl.read_csv(folder / "out" / "quarantine.csv", schema_overrides={"value": pl.String})
        self.refused = [(row, reason, value or "") for _, row, reason, value in frame.iter_rows()]


def test_the_tables_are_canonical_and_fit_the_foundation_types(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "user_id,item_id,timestamp,junk\nu,A,2024-01-01,1\n")
    assert dict(shop.items.schema) == ITEM_COLUMNS
    assert dict(shop.log.schema) == INTERACTION_COLUMNS
    catalog = Catalog.from_frame(shop.items)
    assert len(Interactions.from_frame(shop.log, catalog)) == 1


def test_the_log_rules(tmp_path: Path) -> None:
    rows = {
        "u,A,2024-01-01,Order,1,1": None,
        "u,A,2024-01-01,click,1,1": ("unknown event", "click"),
        "u,A,2024-01-01,VIEW,,-1": ("negative value", "-1"),
        "u,A,2024-01-01,,x,1": ("quantity is not a number", "x"),
        "u,A,2999-01-01,,1,1": ("timestamp in the future", "2999-01-01"),
        "u,A,1970-01-01,,1,1": ("timestamp before 1971", "1970-01-01"),
        "u,A,0,,1,1": ("timestamp before 1971", "0"),
        "u,A,yesterday,,1,1": ("timestamp not understood", "yesterday"),
        "u,A,2024-02-30,,1,1": ("timestamp not understood", "2024-02-30"),
        "u,A,,,1,1": ("no timestamp", ""),
        "u,A,2024-01-05,,0,1": ("return or zero quantity", "0"),
        "u,A,2024-01-05,,-2,1": ("return or zero quantity", "-2"),
        "u,A,2024-01-05,cart,inf,1": ("quantity is not a number", "inf"),
        "u,A,2024-01-05, Rating ,,nan": None,
        "u,A,2024-01-05,purchase,2,0": None,
        ",A,2024-01-05,,1,1": ("no user_id", ""),
        "null,A,2024-01-05,,1,1": ("no user_id", "null"),
        "u, nan ,2024-01-05,,1,1": ("no item_id", " nan "),
        "u,X,2024-01-05,,1,1": ("item_id not in the catalogue", "X"),
        f"u,{'Y' * 99},2024-01-05,,1,1": ("item_id not in the catalogue", "Y" * 60),
    }
    shop = Shop(tmp_path, "user_id,item_id,timestamp,event,quantity,value\n" + "\n".join(rows), events={"Order": "purchase"})
    assert shop.refused == [(number, *why) for number, why in enumerate(rows.values(), 1) if why]
    assert shop.log.select("event", "quantity", "value").rows() == [("purchase", 1.0, 1.0), ("rating", None, None), ("purchase", 2.0, 0.0)]
    assert shop.summary.interactions.reasons["timestamp before 1971"] == 2


def test_the_catalogue_rules(tmp_path: Path) -> None:
    rows = {
        "A,First,1,,": ("duplicate item_id (a later row wins)", "A"),
        "B,Bread,2,yes,2024-01-01": None,
        "A,Second,1,0,": None,
        "A,,5,,": ("no title", ""),
        "A,Minus,-1,,": ("negative price", "-1"),
        "D,Dear,abc,,": ("price is not a number", "abc"),
        'D,Dear,"12,99",,': ("price is not a number", "12,99"),
        'E,Euro,"€ 1,299.50",True,': None,
        "F,Free,0,,": None,
        "G,Gone,NaN,N,1970-01-01": None,
        "H,Hm,1,maybe,": ("available is neither yes nor no", "maybe"),
        "I,Ill,1,,0000-00-00": ("created_at not understood", "0000-00-00"),
        ",Nobody,1,,": ("no item_id", ""),
        "J,null,1,,": ("no title", "null"),
        "K,Nan,1,,": None,
    }
    shop = Shop(tmp_path, "user_id,item_id,timestamp\nu,A,2024-01-01\n", "item_id,title,price,available,created_at\n" + "\n".join(rows))
    assert shop.refused == [(number, *why) for number, why in enumerate(rows.values(), 1) if why]
    assert shop.items.select("item_id", "title", "price", "available", "created_at").rows() == [
        ("B", "Bread", 2.0, True, datetime(2024, 1, 1)),
        ("A", "Second", 1.0, False, None),
        ("E", "Euro", 1299.5, True, None),
        ("F", "Free", None, None, None),
        ("G", "Gone", None, False, None),
        ("K", "Nan", 1.0, None, None),
    ]


TIMES = {
    "2024-01-02": datetime(2024, 1, 2),
    "20240102": datetime(2024, 1, 2),
    "2024-01-02T10": datetime(2024, 1, 2, 10),
    "2024-01-02 10:30": datetime(2024, 1, 2, 10, 30),
    "2024-01-02T10:30:15": datetime(2024, 1, 2, 10, 30, 15),
    "2024-01-02T10:30:15.25": datetime(2024, 1, 2, 10, 30, 15, 250_000),
    "2024-01-02T10:30:15.123456789Z": datetime(2024, 1, 2, 10, 30, 15, 123_456),
    "2024-01-02 10:30:15 UTC": datetime(2024, 1, 2, 10, 30, 15),
    "2024-01-02T10:30:15+05:30": datetime(2024, 1, 2, 5, 0, 15),
    "2024-01-02T10:30:15-0530": datetime(2024, 1, 2, 16, 0, 15),
    "2024-01-02 10:30:15.5+02": datetime(2024, 1, 2, 8, 30, 15, 500_000),
    "1704189600": datetime(2024, 1, 2, 10),
    "1704189600.5": datetime(2024, 1, 2, 10, 0, 0, 500_000),
}


def test_every_spelling_of_a_time_is_read_as_utc(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "user_id,item_id,timestamp\n" + "".join(f"u,A,{text}\n" for text in TIMES))
    assert shop.refused == []
    assert shop.log["timestamp"].to_list() == list(TIMES.values())


@pytest.mark.parametrize("text", TIMES)
def test_a_spelling_is_read_alike_without_the_others(text: str, tmp_path: Path) -> None:
    assert Shop(tmp_path, f"user_id,item_id,timestamp\nu,A,{text}\n").log["timestamp"].to_list() == [TIMES[text]]


def test_milliseconds_are_told_by_most_of_the_column(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "user_id,item_id,timestamp\nu,A,1704189600000\nu,A,1704189600123\nu,A,1704189600\n")
    assert shop.log["timestamp"].to_list() == [datetime(2024, 1, 2, 10), datetime(2024, 1, 2, 10, 0, 0, 123_000)]
    assert shop.refused == [(3, "timestamp before 1971", "1704189600")]


def test_a_time_format_can_be_named(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "user_id,item_id,timestamp\nu,A,1/12/2010 8:26\nu,A,2010-12-01\n", timestamp_format="%d/%m/%Y %H:%M")
    assert shop.log["timestamp"].to_list() == [datetime(2010, 12, 1, 8, 26)]
    assert shop.refused == [(2, "timestamp not understood", "2010-12-01")]


def test_a_column_of_ids_that_went_through_floats_is_mended(tmp_path: Path) -> None:
    log = "user_id,item_id,timestamp\n17850.0,1,2024-01-01\n,1,2024-01-01\n12583.0,2.0,2024-01-01\n"
    shop = Shop(tmp_path, log, "item_id,title\n1,one\n2.0,two\n")
    assert shop.log["user_id"].to_list() == ["17850", "12583"]
    assert shop.log["item_id"].to_list() == ["1", "2.0"], "a column that is not floats throughout stays as it is"


def test_equal_rows_are_kept(tmp_path: Path) -> None:
    assert Shop(tmp_path, "user_id,item_id,timestamp\n" + "u,A,2024-01-01\n" * 3).log.height == 3


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


def test_a_catalogue_out_of_the_log(tmp_path: Path) -> None:
    shop = Shop(tmp_path, MAPPED, None, **MAPPING)
    assert shop.log.rows() == [
        ("u", "A", datetime(2024, 1, 1), "purchase", 2.0, 3.0),
        ("u", "A", datetime(2024, 1, 3), "purchase", 1.0, 1.7),
    ]
    assert shop.items.select("item_id", "title", "price").rows() == [("A", "Aple", 1.7)], "the latest of equally frequent titles"
    assert str(shop.summary) == (
        "items: 2 read = 1 kept + 1 quarantined (1 no title)\n"
        "interactions: 6 read = 2 kept + 4 quarantined (1 dropped by source.drop_items, 1 item_id not in the catalogue, 1 no user_id, "
        "1 return or zero quantity)"
    )


def test_the_most_frequent_title_wins(tmp_path: Path) -> None:
    rows = "u,A,2024-01-0{},{}\n"
    log = "user_id,item_id,timestamp,title\n" + "".join(
        rows.format(day, title) for day, title in enumerate(["Pear", "Pear", "?", "nan", "nan", "nan"], 1)
    )
    assert Shop(tmp_path, log, None).items["title"].to_list() == ["Pear"]


def test_a_log_without_titles_cannot_be_a_catalogue(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no title; .*name a file of items, or say under \[source.items_columns\]"):
        Shop(tmp_path, "user_id,item_id,timestamp\nu,A,2024-01-01\n", None)


def test_a_mapping_to_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no quantity \(looked for Pieces\); it has: user_id, item_id, timestamp"):
        Shop(tmp_path, "user_id,item_id,timestamp\nu,A,2024-01-01\n", interactions_columns={"quantity": "Pieces"})


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
def test_the_amazon_layouts(year: str, tmp_path: Path) -> None:
    items, review, time = AMAZON[year]
    shop = Shop(tmp_path, lines(review), items, "json", format="amazon")
    assert shop.items.select("item_id", "title", "description", "brand", "category", "price").rows() == [
        ("A", "It's & co", "d", "Br", "Beauty|Hair", 12.99)
    ]
    assert shop.log.rows() == [("u", "A", time, "rating", None, None)]


def test_amazon_scraps_are_no_prices_and_other_layouts_are_refused(tmp_path: Path) -> None:
    items = lines(
        {"asin": "A", "title": "T", "price": ".a-box{margin:1px}"}, {"asin": "B", "title": "T", "description": [], "category": []}
    )
    review = lines({"reviewerID": "u", "asin": "A", "unixReviewTime": 1400000000})
    shop = Shop(tmp_path, review, items, "json", format="amazon")
    assert shop.items.select("description", "category", "price").rows() == [(None, None, None)] * 2
    with pytest.raises(DataError, match="is it of the Amazon layout"):
        Shop(tmp_path, "user_id,item_id,timestamp\nu,A,2024-01-01\n", format="amazon")


WRONG_SOURCES = {
    "nothing": ({}, "either a dataset or an interactions file"),
    "both": ({"dataset": "completejourney", "interactions": "x.csv"}, "either a dataset or an interactions file"),
    "items of a dataset": ({"dataset": "completejourney", "items": "x.csv"}, "brings its own items"),
    "amazon without items": ({"interactions": "x", "format": "amazon"}, "needs the metadata"),
    "amazon mapped": ({"interactions": "x", "items": "x", "format": "amazon", "items_columns": {"title": "t"}}, "know their columns"),
    "unknown column": ({"interactions": "x", "items_columns": {"name": "t"}}, r"unknown columns \['name'\]"),
    "wrong way": ({"interactions": "x", "interactions_columns": {"CustomerID": "user_id"}}, "from ours to theirs"),
    "two values": ({"interactions": "x", "interactions_columns": {"value": "a", "unit_price": "b"}}, "the same thing twice"),
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
    before = {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()}
    assert ingest(again, tmp_path / "data") == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()} == before, "the same files make the same bytes"


def test_the_summary_names_the_most_frequent_reasons() -> None:
    reasons = {f"reason {i}": 1_000 - i for i in range(7)}
    assert str(TableSummary("log", 10_000, 3_021, reasons)).endswith("997 reason 3, 996 reason 4, 1,989 for other reasons)")
    assert str(TableSummary("log", 1_000, 1_000, {})) == "log: 1,000 read = 1,000 kept + 0 quarantined"


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
