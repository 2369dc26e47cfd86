"""A shop's search log beside its other tables: one version, one source, one erasure; and everything without it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from features.errors import DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import dry_run, ingest
from features.ingest.profile.changes import KEYS, changes
from features.ingest.profile.report import full, short
from features.ingest.readers.database import extract
from features.ingest.source import Source
from features.ingest.summary import IngestSummary
from features.ingest.table_store import (
    forget,
    load_optional,
    load_profile,
    load_quarantine,
    load_source,
    load_tables,
    source_files,
    table_digests,
    unchanged,
    users_among,
)
from features.ingest.table_versions import in_use, versions

ITEMS = "item_id,title\nA,Apple\nB,Bread\n"
LOG = "user_id,item_id,timestamp\nu1,A,2026-01-01\nu2,B,2026-01-02\n"
QUERIES = """timestamp,query,item_id,event,rank,user_id
2026-01-01T10:00:00,bread for hot dogs,A,shown,1,u1
2026-01-01T10:00:00,bread for hot dogs,B,shown,2,u1
2026-01-01T10:00:09,bread for hot dogs,B,click,2,u1
2026-01-01T11:00:00,spagetti,,shown,,searcher
2026-01-01T12:00:00,tea,X,shown,1,searcher
2026-01-02T12:00:00,tea,A,shown,1,
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    for name, text in {"items": ITEMS, "log": LOG, "queries": QUERIES}.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv", queries=tmp_path / "queries.csv")


def without(source: Source) -> Source:
    return source.model_copy(update={"queries": None})


def rows(out: Path) -> pl.DataFrame:
    found = load_optional(out, "queries")
    assert found is not None
    return found


def test_a_shop_without_one_has_none(source: Source, tmp_path: Path) -> None:
    summary = ingest(without(source), tmp_path / "out")
    assert "queries" not in summary.optional
    assert summary.profile is not None
    assert (summary.profile.queries, summary.profile.search) == (None, None)
    assert load_optional(tmp_path / "out", "queries") is None
    assert not (in_use(tmp_path / "out") / "queries.parquet").exists()
    digests = table_digests(tmp_path / "out")
    assert digests is not None
    assert len(digests) == 2
    with pytest.raises(DataError, match="run `recsys ingest` first"):
        load_optional(tmp_path / "nothing", "queries")


def test_it_is_part_of_the_version(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = ingest(source, out)
    names = {"items.parquet", "interactions.parquet", "queries.parquet", "quarantine.csv", "source.json", "profile.json", "log_ids.parquet"}
    assert {path.name for path in in_use(out).iterdir()} == names
    assert load_source(out) == source.absolute()
    assert load_quarantine(out).rows() == [("queries", "5", "item_id not in the catalogue", "X")]
    assert rows(out).height == 5
    assert "queries: 6 read = 5 kept + 1 quarantined (1 item_id not in the catalogue)" in str(summary)
    assert summary.quarantined == 1
    first = table_digests(out)
    ingest(without(source), out)
    assert load_optional(out, "queries") is None
    assert first is not None
    assert table_digests(out) == first[:2], "the other two are the same"


def test_a_change_of_it_is_noticed(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingest(source, out)
    before = table_digests(out)
    assert unchanged(out, source)
    assert not unchanged(out, without(source))
    assert source.queries is not None
    source.queries.write_text(QUERIES + "2026-01-03T12:00:00,oat milk,A,click,1,u2\n")
    assert not unchanged(out, source)
    ingest(source, out)
    after = table_digests(out)
    assert before is not None
    assert after is not None
    assert (after[:2], after[2] == before[2]) == (before[:2], False)
    source.queries.unlink()
    with pytest.raises(DataError, match=r"queries\.csv"):
        ingest(source, out)
    assert rows(out).height == 6, "what was there before is still there"


def test_an_erasure_takes_the_rows_of_its_users(source: Source, tmp_path: Path) -> None:
    out, gone = tmp_path / "out", ErasedUsers().with_users(["searcher", "u2"])
    ingest(source, out)
    ingest(source, out)
    assert users_among(out, gone) == {"searcher", "u2"}
    assert forget(out, gone) == 2, "one of the log, one of the search log"
    assert rows(out)["user_id"].to_list() == ["u1", "u1", "u1", None]
    assert load_tables(out)[1]["user_id"].to_list() == ["u1"]
    assert load_quarantine(out).height == 0, "it does not say whose row it is"
    assert len(versions(out)) == 1
    assert users_among(out, gone) == set()
    profile = load_profile(out)
    assert profile is not None
    assert profile.queries is not None
    assert profile.search is not None
    assert (profile.search.rows, profile.search.users, profile.search.distinct, profile.search.empty) == (4, 1, 2, 0)
    assert profile.queries.quarantined["of an erased user"] == 1
    forget(out, ErasedUsers().with_users(["u1"]))
    assert rows(out)["query"].to_list() == ["tea"]
    summary = ingest(source, out, gone)
    assert summary.optional["queries"].reasons == {"of an erased user": 2}, "also the row that would be quarantined"


def test_the_stored_profile_holds_nothing_that_was_typed(source: Source, tmp_path: Path) -> None:
    summary = ingest(source, tmp_path / "out")
    text = (in_use(tmp_path / "out") / "profile.json").read_text()
    assert "hot dogs" not in text
    assert "searcher" not in text
    assert "aaaaa aaa aaa aaaa" in text
    assert summary.profile is not None
    assert load_profile(tmp_path / "out") == summary.profile.without_personal_data()


def test_the_profile_says_what_was_read(source: Source, tmp_path: Path) -> None:
    summary = ingest(source, tmp_path / "out")
    assert summary.profile is not None
    counts = "5 rows of 3 distinct queries and 2 users, with 2 items, 2026-01-01 to 2026-01-02"
    lines = [f"  {counts}", "  events: shown 4, click 1; 1 row without an item"]
    assert short(summary.profile).splitlines()[-2:] == lines
    assert full(summary.profile).splitlines()[-3:] == ["the search log", *lines]
    assert "  read: timestamp, query, item_id, event, rank, user_id" in short(summary.profile)
    (tmp_path / "look").mkdir()
    looked = dry_run(source, tmp_path / "look")
    assert (looked.profile, str(looked)) == (summary.profile, str(summary))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *(("query", name) for name in ("search_term", "Keyword", "q", "Search Query", "searchTerms", "Suchbegriff")),
        *(("timestamp", name) for name in ("searched_at", "Event Time", "date")),
    ],
)
def test_a_missing_column_is_guessed(ours: str, theirs: str, source: Source) -> None:
    assert source.queries is not None
    source.queries.write_text(QUERIES.replace(ours, theirs, 1))
    with pytest.raises(DataError) as error:
        ingest(source, source.queries.parent / "out")
    assert str(error.value).endswith(f'is it {theirs}? map it in recsys.toml: [source.queries_columns] {ours} = "{theirs}"')
    mapped = source.model_copy(update={"queries_columns": {ours: theirs}})
    ingest(mapped, source.queries.parent / "out")
    assert rows(source.queries.parent / "out").height == 5


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *(("rank", name) for name in ("position", "Pos", "result_position")),
        *(("item_id", name) for name in ("sku", "clicked_item", "product_id")),
        *(("event", name) for name in ("action", "event_type", "Interaction")),
        *(("user_id", name) for name in ("customer", "visitor_id", "session_id")),
    ],
)
def test_a_column_that_is_not_read_is_told(ours: str, theirs: str, source: Source, tmp_path: Path) -> None:
    assert source.queries is not None
    kept = [line for line in QUERIES.splitlines() if ours != "item_id" or ",click," not in line]
    source.queries.write_text("\n".join(kept).replace(ours, theirs, 1))
    summary = ingest(source, tmp_path / "out")
    told = f"note: queries.csv: not read: {theirs} (is it {ours}?); if so, map it in recsys.toml: [source.queries_columns] "
    assert f'{told}{ours} = "{theirs}"' in summary.notes


@pytest.mark.parametrize("name", ["User ID", "userid", "USER-ID"])
def test_another_spelling_of_our_name_is_read(name: str, source: Source, tmp_path: Path) -> None:
    assert source.queries is not None
    source.queries.write_text(QUERIES.replace("user_id", name))
    summary = ingest(source, tmp_path / "out")
    assert f"note: queries.csv: read {name} as user_id" in summary.notes
    assert rows(tmp_path / "out")["user_id"].null_count() == 1


def test_another_file_in_its_place_is_told(source: Source, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it looks like the log of purchases: give it as interactions, and the search log as queries"):
        ingest(source.model_copy(update={"queries": source.interactions}), tmp_path / "out")
    with pytest.raises(DataError, match="items.csv has no query, timestamp; it has: item_id, title"):
        ingest(source.model_copy(update={"queries": source.items}), tmp_path / "out")


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "tsv"])
def test_it_may_be_of_any_kind_of_file(kind: str, source: Source, tmp_path: Path) -> None:
    ingest(source, tmp_path / "csv")
    frame = pl.read_csv(tmp_path / "queries.csv", infer_schema_length=None, try_parse_dates=kind == "parquet")
    path = tmp_path / f"queries.{kind}"
    {"jsonl": frame.write_ndjson, "parquet": frame.write_parquet, "tsv": lambda to: frame.write_csv(to, separator="\t")}[kind](path)
    ingest(source.model_copy(update={"queries": path}), tmp_path / "other")
    assert rows(tmp_path / "csv").equals(rows(tmp_path / "other"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queries_columns": {"querry": "q"}}, "unknown column 'querry', did you mean 'query'?"),
        ({"queries_columns": {"q": "query"}}, 'turn it round, query = "q"'),
        ({"queries_events": {"viewed": "view"}}, "queries_events maps to ['view']; a mapping goes from your word to one of our events"),
        ({"queries": None, "queries_columns": {"query": "q"}}, "queries_columns says how to read a search log, and there is none"),
        ({"queries": None, "queries_timestamp_format": "%d"}, "queries_timestamp_format says how to read a search log"),
        (
            {"interactions": None, "items": None, "sql": {"uri": "sqlite:///x.db", "interactions": "SELECT 1", "queries": "SELECT 1"}},
            "the search log comes from a query or a file",
        ),
    ],
)
def test_a_wrong_configuration_is_one_line(options: dict[str, Any], said: str) -> None:
    given = {"items": "items.csv", "interactions": "log.csv", "queries": "queries.csv"} | options
    with pytest.raises(ValidationError) as error:
        Source.model_validate(given)
    assert said in str(error.value)


def test_it_may_come_from_a_database(source: Source, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        for name in ("items", "log", "queries"):
            frame = pl.read_csv(tmp_path / f"{name}.csv", infer_schema=False).rename({"user_id": "Customer"}, strict=False)
            connection.execute(f"CREATE TABLE {name} ({', '.join(frame.columns)})")
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * frame.width)})", frame.rows())
        connection.commit()
    sql = {"uri": f"sqlite:///{tmp_path}/shop.db"} | {
        key: f"SELECT * FROM {table}" for key, table in (("items", "items"), ("interactions", "log"), ("queries", "queries"))
    }
    mapping = {"user_id": "Customer"}
    database = Source.model_validate({"sql": sql, "interactions_columns": mapping, "queries_columns": mapping})
    ingest(source, tmp_path / "of_files")
    summary = ingest(database, tmp_path / "of_database", files=extract(database, tmp_path / "extract", ErasedUsers()))
    assert rows(tmp_path / "of_files").equals(rows(tmp_path / "of_database"))
    assert summary.profile is not None
    assert summary.profile.queries is not None
    assert summary.profile.queries.file == "the query of the search log"
    files = extract(database, tmp_path / "extract", ErasedUsers().with_users(["searcher"]))
    assert files.queries is not None
    assert pl.read_parquet(files.queries)["Customer"].to_list() == ["u1", "u1", "u1", None], "it never leaves the database"


def test_what_it_had_at_the_last_read_is_missed(source: Source, tmp_path: Path) -> None:
    def profile(text: str) -> Any:
        assert source.queries is not None
        source.queries.write_text(text)
        return ingest(source, tmp_path / "out").profile

    before = profile(QUERIES)
    (change,) = changes(before, profile("\n".join(line.rpartition(",")[0] for line in QUERIES.splitlines())))
    assert change.key == "queries.user_id"
    assert change.key in KEYS
    assert "queries.csv has no column user_id any more; it had one at the last read: map it under [source.queries_columns]" in change.words
    nothing: IngestSummary = ingest(without(source), tmp_path / "out")
    assert nothing.profile is not None
    assert changes(before, nothing.profile) == [], "the source names none any more, which is no loss of an export"
    assert changes(nothing.profile, before) == []


def test_one_user_has_one_row_in_both_logs(source: Source, tmp_path: Path, searched: Callable[..., Any]) -> None:
    """An id of the search log is spelt as in the log: 5001.0 is 5001."""
    log = searched("timestamp,query,item_id,user_id\n2026-01-01,tea,A,5001.0\n2026-01-01,tea,A,\u200b5002\n2026-01-01,tea,A,5003\n")
    assert log.rows["user_id"].to_list() == ["5001", "5002", "5003"]
    assert sum("user_id of the search log" in note for note in log.notes) == 2


def test_a_public_data_set_may_have_one(source: Source) -> None:
    """Such as one that a click model made over its purchases."""
    of_dataset = Source(dataset="completejourney", queries=source.queries, queries_columns={"rank": "place"})
    assert of_dataset.absolute().queries == source.queries
    paths = source_files(of_dataset)
    assert paths is not None
    assert source.queries in paths
