"""Reviews as a table of the source: recognised, mapped, profiled, versioned, and read from files and databases."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from features.errors import DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import ingest
from features.ingest.profile.changes import KEYS, changes
from features.ingest.profile.report import full, short
from features.ingest.readers.database import extract
from features.ingest.source import Source
from features.ingest.table_store import forget, load_optional, load_profile, source_files, table_digests, unchanged

ITEMS = "item_id,title\nA,Apple\nB,Bread\n"
LOG = "user_id,item_id,timestamp\nu1,A,2026-01-01\nu2,B,2026-01-02\n"
REVIEWS = """item_id,title,text,rating,timestamp,user_id
A,Crisp,A good apple,5,2026-01-03,u1
B,,Stale,1,2026-01-04,writer
B,Fine,,4,,
"""
AMAZON = {
    "2014": {"reviewerID": "u1", "asin": "A", "reviewText": "Good", "overall": 4.0, "summary": "Yes", "unixReviewTime": 1767398400},
    "2018": {"overall": 4.0, "verified": True, "reviewerID": "u1", "asin": "A", "reviewText": "Good", "summary": "Yes"}
    | {"unixReviewTime": 1767398400, "reviewTime": "01 3, 2026", "reviewerName": "J", "style": {"Size:": " L"}, "image": ["x.jpg"]},
    "2023": {"rating": 4.0, "title": "Yes", "text": "Good", "images": [], "asin": "X", "parent_asin": "A", "user_id": "u1"}
    | {"timestamp": 1767398400000, "helpful_vote": 3, "verified_purchase": True},
}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    for name, text in {"items": ITEMS, "log": LOG, "reviews": REVIEWS}.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv", reviews=tmp_path / "reviews.csv")


def rows(out: Path) -> pl.DataFrame:
    found = load_optional(out, "reviews")
    assert found is not None
    return found


def written(source: Source, text: str) -> Source:
    assert source.reviews is not None
    source.reviews.write_text(text)
    return source


def test_a_shop_without_reviews_has_none(source: Source, tmp_path: Path) -> None:
    ingest(source.model_copy(update={"reviews": None}), tmp_path / "out")
    assert load_optional(tmp_path / "out", "reviews") is None
    assert len(table_digests(tmp_path / "out") or []) == 2
    with pytest.raises(DataError, match="run `recsys ingest` first"):
        load_optional(tmp_path / "nothing", "reviews")


def test_a_change_of_them_is_noticed(source: Source, tmp_path: Path) -> None:
    ingest(source, tmp_path / "out")
    before = table_digests(tmp_path / "out")
    assert unchanged(tmp_path / "out", source)
    written(source, REVIEWS + "A,,More,3,2026-01-05,u2\n")
    assert not unchanged(tmp_path / "out", source)
    ingest(source, tmp_path / "out")
    assert table_digests(tmp_path / "out") != before
    assert rows(tmp_path / "out")["row"].to_list() == [1, 2, 3, 4]


@pytest.mark.parametrize("year", AMAZON)
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_amazons_files_are_recognised_by_their_header(year: str, suffix: str, source: Source, tmp_path: Path) -> None:
    path = tmp_path / f"amazon.{suffix}"
    path.write_text(json.dumps(AMAZON[year]) + "\n")
    if suffix == "parquet":
        pl.read_ndjson(path).write_parquet(path)
    summary = ingest(source.model_copy(update={"reviews": path}), tmp_path / "out")
    assert rows(tmp_path / "out").rows() == [("A", "Good", 4.0, "Yes", datetime(2026, 1, 3), "u1", 1)]
    assert any("looks like Amazon reviews: read as format amazon" in note for note in summary.notes)


def test_names_are_mapped_and_guessed(source: Source, tmp_path: Path) -> None:
    header = "Clothing ID,Title,Review Text,Rating,Review Date,Author"
    written(source, header + "\n" + REVIEWS.partition("\n")[2])
    with pytest.raises(DataError, match=r"is it Clothing ID\? map it in recsys.toml: \[source.reviews_columns\] item_id = "):
        ingest(source, tmp_path / "out")
    mapping = {"item_id": "Clothing ID", "text": "Review Text", "timestamp": "Review Date"}
    summary = ingest(source.model_copy(update={"reviews_columns": mapping}), tmp_path / "out")
    assert rows(tmp_path / "out")["text"].to_list() == ["A good apple", "Stale", None]
    assert any('not read: Author (is it user_id?); if so, map it in recsys.toml: [source.reviews_columns] user_id = "Author"' in note
               for note in summary.notes)  # fmt: skip


@pytest.mark.parametrize("column", ["review_body", "reviewText", "comment", "Bewertung"])
def test_a_text_under_another_name_is_told_of(column: str, source: Source, tmp_path: Path) -> None:
    written(source, f"item_id,{column},user_id\nA,A very good apple,u1\nB,Stale bread again,u2\n")
    with pytest.raises(DataError, match=rf'is it {column}\? map it in recsys.toml: \[source.reviews_columns\] text = "{column}"'):
        ingest(source, tmp_path / "out")


def test_ratings_alone_and_texts_alone_are_enough(source: Source, tmp_path: Path) -> None:
    for header, kept in (("item_id,rating", [5.0, 1.0]), ("item_id,text", [None, None])):
        ingest(written(source, f"{header}\nA,5\nB,1\n"), tmp_path / "out")
        assert rows(tmp_path / "out")["rating"].to_list() == kept
    with pytest.raises(DataError, match="has no text; it has: item_id, title"):
        ingest(written(source, "item_id,title\nA,5\n"), tmp_path / "out")
    with pytest.raises(DataError, match="it looks like the log of purchases: give it as interactions, and the table of reviews as reviews"):
        ingest(written(source, LOG), tmp_path / "out")


def test_none_that_can_be_used_is_an_error(source: Source, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not one of the 2 rows of the table of reviews can be used \(2 item_id not in the catalogue"):
        ingest(written(source, "item_id,text\nX,a\nY,b\n"), tmp_path / "out")
    with pytest.raises(DataError, match="the table of reviews has no rows"):
        ingest(written(source, "item_id,text\n"), tmp_path / "out")


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "tsv"])
def test_they_may_be_of_any_kind_of_file(kind: str, source: Source, tmp_path: Path) -> None:
    ingest(source, tmp_path / "csv")
    frame = pl.read_csv(tmp_path / "reviews.csv", infer_schema_length=None, try_parse_dates=kind == "parquet")
    path = tmp_path / f"reviews.{kind}"
    {"jsonl": frame.write_ndjson, "parquet": frame.write_parquet, "tsv": lambda to: frame.write_csv(to, separator="\t")}[kind](path)
    ingest(source.model_copy(update={"reviews": path}), tmp_path / "other")
    assert rows(tmp_path / "csv").equals(rows(tmp_path / "other"))


def test_the_profile_says_what_they_hold_and_no_word_of_them_is_stored(source: Source, tmp_path: Path) -> None:
    profile = ingest(source, tmp_path / "out").profile
    assert profile is not None
    lines = "  3 reviews of 2 items by 2 known users, 2026-01-03 to 2026-01-04\n  3 with words, 2 with a time, 3 with a rating: "
    assert lines + "1 stars 1, 4 stars 1, 5 stars 1" in short(profile)
    assert "the table of reviews\n" + lines in full(profile)
    assert "ratings on a scale of 1 to 5" in full(profile)
    stored = load_profile(tmp_path / "out")
    assert stored is not None
    assert stored.opinions == profile.opinions
    assert "apple" not in stored.model_dump_json()
    assert "writer" not in stored.model_dump_json()


def test_a_column_that_is_gone_is_missed(source: Source, tmp_path: Path) -> None:
    before, after = (ingest(written(source, text), tmp_path / "out").profile for text in (REVIEWS, "item_id,text\nA,a\nB,b\n"))
    assert before is not None
    assert after is not None
    keys = {change.key for change in changes(before, after)}
    assert keys == {"reviews.title", "reviews.rating", "reviews.timestamp", "reviews.user_id"}
    assert keys < set(KEYS)


@pytest.mark.parametrize("user", ["writer", "u1"])
def test_an_erased_user_is_in_no_version_and_does_not_come_again(user: str, source: Source, tmp_path: Path) -> None:
    erased = ErasedUsers().with_users([user])
    for _ in range(2):
        ingest(source, tmp_path / "out")
    assert forget(tmp_path / "out", erased) == (2 if user == "u1" else 1)
    assert user not in rows(tmp_path / "out")["user_id"].to_list()
    profile = load_profile(tmp_path / "out")
    assert profile is not None
    assert profile.opinions is not None
    assert (profile.opinions.rows, profile.opinions.users) == (2, 1)
    summary = ingest(source, tmp_path / "out", erased)
    assert summary.optional["reviews"].reasons == {"of an erased user": 1}
    assert user not in rows(tmp_path / "out")["user_id"].to_list()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reviews_columns": {"txt": "t"}}, "unknown column 'txt', did you mean 'text'?"),
        ({"reviews_columns": {"body": "text"}}, 'turn it round, text = "body"'),
        ({"reviews_columns": {"row": "n"}}, "unknown column 'row'"),
        ({"reviews": None, "reviews_columns": {"text": "t"}}, "reviews_columns says how to read a table of reviews, and there is none"),
        ({"reviews": None, "reviews_scale": (1, 10)}, "reviews_scale says how to read a table of reviews"),
        ({"reviews_scale": (5, 1)}, "reviews_scale is [5.0, 1.0], expected the lowest and the highest rating, such as [1, 10]"),
        ({"reviews_phone_regions": ("DE", "Germany")}, "reviews_phone_regions has 'Germany', expected countries as in ISO 3166"),
        (
            {"interactions": None, "items": None, "sql": {"uri": "sqlite:///x.db", "interactions": "SELECT 1", "reviews": "SELECT 1"}},
            "the table of reviews comes from a query or a file",
        ),
    ],
)
def test_a_wrong_configuration_is_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        Source.model_validate({"items": "items.csv", "interactions": "log.csv", "reviews": "reviews.csv"} | options)
    assert said in str(error.value)


def test_they_may_come_from_a_database(source: Source, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        for name in ("items", "log", "reviews"):
            frame = pl.read_csv(tmp_path / f"{name}.csv", infer_schema=False)
            connection.execute(f"CREATE TABLE {name} ({', '.join(frame.columns)})")
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * frame.width)})", frame.rows())
        connection.commit()
    sql = {"uri": f"sqlite:///{tmp_path}/shop.db"} | {
        key: f"SELECT * FROM {table}" for key, table in (("items", "items"), ("interactions", "log"), ("reviews", "reviews"))
    }
    database = Source.model_validate({"sql": sql})
    ingest(source, tmp_path / "of_files")
    ingest(database, tmp_path / "of_database", files=extract(database, tmp_path / "extract", ErasedUsers()))
    assert rows(tmp_path / "of_files").equals(rows(tmp_path / "of_database"))
    files = extract(database, tmp_path / "extract", ErasedUsers().with_users(["writer"]))
    assert files.reviews is not None
    assert pl.read_parquet(files.reviews)["user_id"].to_list() == ["u1", None], "it never leaves the database"


def test_a_public_data_set_may_have_them(source: Source) -> None:
    of_dataset = Source(dataset="completejourney", reviews=source.reviews)
    assert source.reviews in (source_files(of_dataset) or [])


def test_the_order_of_rows_does_not_matter(source: Source, tmp_path: Path, reviewed: Callable[..., Any]) -> None:
    header, *lines = REVIEWS.splitlines()
    found = [reviewed("\n".join([header, *order])).rows.drop("row").sort(pl.all()) for order in (lines, lines[::-1])]
    assert found[0].equals(found[1])
