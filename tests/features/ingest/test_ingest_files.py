"""Reading files: every kind gives the same tables, and damage costs a row or one clear line, never a traceback."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
import zipfile
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.data.ids import normal_id
from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.summary import IngestSummary
from features.ingest.table_store import load_quarantine, load_tables
from features.text.clean import cleaned

ITEMS = [("A", "Apple", "1.5"), ("B", "Bread", "2"), ("C,1", "Comma, the fruit", "3")]
LOG = [("u1", "A", "2024-01-01", "1"), ("u2", "B", "2024-01-02T10:00:00+02:00", "2"), ("u,3", "C,1", "2024-01-03 10:00", "1")]
ITEM_NAMES, LOG_NAMES = ("item_id", "title", "price"), ("user_id", "item_id", "timestamp", "quantity")


def as_csv(names: tuple[str, ...], rows: list[tuple[str, ...]], **dialect: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows([names, *rows])  # type: ignore[arg-type]
    return text.getvalue().encode()


def as_json(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> bytes:
    return "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows).encode()


def as_parquet(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(rows, schema=list(names), orient="row").write_parquet(stream)
    return stream.getvalue()


def as_zip(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("table.csv", content)
    return stream.getvalue()


def as_xml(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> bytes:
    items = ["".join(f"<{name}>{value}</{name}>" for name, value in zip(names, row, strict=True)) for row in rows]
    return f"<rss><item>{'</item><item>'.join(items)}</item></rss>".encode()


GOOD_ITEMS, GOOD_LOG = as_csv(ITEM_NAMES, ITEMS), as_csv(LOG_NAMES, LOG)


def run(
    folder: Path,
    log: bytes = GOOD_LOG,
    items: bytes = GOOD_ITEMS,
    log_name: str = "log.csv",
    items_name: str = "items.csv",
    encoding: str | None = None,
) -> IngestSummary:
    (folder / items_name).write_bytes(items)
    (folder / log_name).write_bytes(log)
    summary = ingest(Source(items=folder / items_name, interactions=folder / log_name, encoding=encoding), folder / "out")
    for table in (summary.items, summary.interactions):
        assert table.read == table.kept + table.quarantined
    return summary


def quarantine(folder: Path) -> list[tuple[str, int, str, str]]:
    frame = load_quarantine(folder / "out")
    return [(table, int(row), reason, value or "") for table, row, reason, value in frame.iter_rows()]


KINDS = {
    "csv": as_csv,
    "csv.gz": lambda names, rows: gzip.compress(as_csv(names, rows)),
    "tsv": lambda names, rows: as_csv(names, rows, delimiter="\t"),
    "semicolon.csv": lambda names, rows: as_csv(names, rows, delimiter=";"),
    "jsonl": as_json,
    "ndjson.gz": lambda names, rows: gzip.compress(as_json(names, rows)),
    "parquet": as_parquet,
    "bom.csv": lambda names, rows: b"\xef\xbb\xbf" + as_csv(names, rows),
    "utf16.csv": lambda names, rows: as_csv(names, rows).decode().encode("utf-16"),
    "json": lambda names, rows: b"[" + as_json(names, rows).replace(b"\n", b",\n") + b"]",
    "zip": lambda names, rows: as_zip(as_csv(names, rows)),
    "xml": as_xml,
    "unix.csv": lambda names, rows: as_csv(names, rows, lineterminator="\n"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_tables(kind: str, tmp_path: Path) -> None:
    run(tmp_path, KINDS[kind](LOG_NAMES, LOG), KINDS[kind](ITEM_NAMES, ITEMS), f"log.{kind}", f"items.{kind}")
    items, log = load_tables(tmp_path / "out")
    assert items.select(ITEM_NAMES).rows() == [("A", "Apple", 1.5), ("B", "Bread", 2.0), ("C,1", "Comma, the fruit", 3.0)]
    assert log.select(LOG_NAMES).rows() == [
        ("u1", "A", datetime(2024, 1, 1), 1.0),
        ("u2", "B", datetime(2024, 1, 2, 8), 2.0),
        ("u,3", "C,1", datetime(2024, 1, 3, 10), 1.0),
    ]


def test_parquet_types_become_the_canonical_ones(tmp_path: Path) -> None:
    items, log = io.BytesIO(), io.BytesIO()
    frame = {
        "item_id": [1, 2],
        "title": ["a", "b"],
        "category": [["x", "y"], None],
        "price": [1.5, float("nan")],
        "available": [True, False],
    }
    pl.DataFrame(frame).write_parquet(items)
    times = pl.Series([datetime(2024, 1, 1), datetime(2024, 7, 1), datetime(2024, 7, 1)]).dt.replace_time_zone("Europe/Berlin")
    pl.DataFrame({"user_id": [1.0, 2.0, None], "item_id": [1, 2, 1], "timestamp": times.dt.cast_time_unit("ns")}).write_parquet(log)
    run(tmp_path, log.getvalue(), items.getvalue(), "log.parquet", "items.parquet")
    kept_items, kept_log = load_tables(tmp_path / "out")
    assert kept_items.select("item_id", "category", "price", "available").rows() == [("1", "x|y", 1.5, True), ("2", None, None, False)]
    assert kept_log.select("user_id", "timestamp").rows() == [("1", datetime(2023, 12, 31, 23)), ("2", datetime(2024, 6, 30, 22))]
    assert quarantine(tmp_path) == [("interactions", 3, "no user_id", "")]


def test_rows_of_the_wrong_width_are_put_aside_with_their_numbers(tmp_path: Path) -> None:
    summary = run(tmp_path, GOOD_LOG + b"x,y\r\n\r\nu1,A,2024-01-05,1,9\r\nu9,A,2024-01-05,1\r\n,,,\r\n")
    assert quarantine(tmp_path) == [
        ("interactions", 4, "wrong number of fields", "2 instead of 4: x,y"),
        ("interactions", 5, "wrong number of fields", "5 instead of 4: u1,A,2024-01-05,1,9"),
        ("interactions", 7, "no user_id", ""),
    ]
    assert (summary.interactions.read, summary.interactions.kept) == (7, 4)


def test_row_numbers_hold_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.ingest.readers.delimited.BLOCK", 128)
    lines = [b"u%d,A,2024-01-01,1" % i if i % 7 else b"short" if i % 2 else b"u%d,A,never,1" % i for i in range(1, 200)]
    run(tmp_path, b"user_id,item_id,timestamp,quantity\n" + b"\n".join(lines) + b"\n")
    assert [row for _, row, _, _ in quarantine(tmp_path)] == list(range(7, 200, 7))


@pytest.mark.parametrize("cut", range(1, 31))
def test_a_csv_cut_in_the_middle_of_a_row_loses_that_row_at_most(cut: int, tmp_path: Path) -> None:
    summary = run(tmp_path, GOOD_LOG[:-cut])
    assert summary.interactions.read in (2, 3)  # 2: the row was cut off whole
    assert load_tables(tmp_path / "out")[1]["user_id"].to_list()[:2] == ["u1", "u2"]


@pytest.mark.parametrize(("tail", "value"), [(b'u4,A,2024-01-01,"1', "1"), (b'u4,"A', 'u4,"A'), (b'u4,A,"2024\nmore', "")])
def test_an_open_quote_is_noticed(tail: bytes, value: str, tmp_path: Path) -> None:
    run(tmp_path, GOOD_LOG + tail)
    ((table, row, reason, shown),) = quarantine(tmp_path)
    assert (table, row, reason) == ("interactions", 4, "a quote is never closed")
    assert shown == value or shown.startswith("(2 lines) ")


def test_broken_characters_cost_no_more_than_themselves(tmp_path: Path) -> None:
    rows = b'D,"No\x00t\n\nh\x1b[31ming",1\nE\xff,x,1\nF,caf\xe9,1\n'
    summary = run(tmp_path, items=GOOD_ITEMS + rows, encoding="utf-8")
    titles = dict(load_tables(tmp_path / "out")[0].select("item_id", "title").iter_rows())
    assert titles["D"] == "No t h [31ming"
    assert titles["F"] == "caf\ufffd"
    assert quarantine(tmp_path) == [("items", 5, "item_id is damaged text", "E\ufffd")]
    assert "1 title holds characters that could not be decoded" in str(summary)


def test_json_lines_that_are_none_are_put_aside(tmp_path: Path) -> None:
    good = '{"user_id": 7, "item_id": "A", "timestamp": 1700000000, "more": [1]}'
    surrogate = r'{"user_id": "\ud800", "item_id": "A", "timestamp": 1700000000}'
    lines = [good, "", "[1]", '{"bad', surrogate, '{"user_id": null, "item_id": "A", "timestamp": 1700000000}', "[" * 9_999, good]
    summary = run(tmp_path, "\n".join(lines).encode(), log_name="log.jsonl")
    assert [(row, reason) for _, row, reason, _ in quarantine(tmp_path)] == [
        (3, "not a JSON object"),
        (4, "not a JSON object"),
        (5, "user_id is damaged text"),
        (6, "no user_id"),
        (7, "not a JSON object"),
    ]
    assert (summary.interactions.read, summary.interactions.kept) == (7, 2)


def test_a_lone_surrogate_in_a_title_becomes_a_replacement_character(tmp_path: Path) -> None:
    run(tmp_path, items=rb'{"item_id": "A", "title": "half \ud83d moon"}', items_name="items.jsonl")
    assert load_tables(tmp_path / "out")[0]["title"].to_list() == ["half \ufffd moon"]


PARQUET = as_parquet(LOG_NAMES, LOG * 2_000)
REFUSED = {
    "gzip cut short": ("log.csv.gz", gzip.compress(GOOD_LOG * 50)[:-20], "is cut short or not gzip"),
    "not gzip": ("log.csv.gz", GOOD_LOG, "is cut short or not gzip"),
    "not parquet": ("log.parquet", GOOD_LOG, "cannot be read as parquet"),
    "damaged parquet": ("log.parquet", PARQUET[:200] + bytes(200) + PARQUET[400:], "cannot be read as parquet"),
    "unknown kind": ("log.bin", b"no table", "is of an unknown format"),
    "no bytes": ("log.csv", b"", "is empty"),
    "a header": ("log.csv", b"user_id,item_id,timestamp\n", "the log has no rows"),
    "no lines": ("log.jsonl", b"", "the log has no rows"),
    "missing column": (
        "log.csv",
        b"customer,item_id,timestamp\nu,A,2024-01-01\n",
        r"has no user_id; it has: customer, .*\[source.interactions_columns\]",
    ),
    "missing key": ("log.jsonl", b'{"customer": 1}', r"has no user_id, item_id, timestamp; it has: customer"),
    "column twice": ("log.csv", b"user_id,user_id,item_id,timestamp\nu,u,A,2024-01-01\n", "'user_id' more than once"),
    "other items": ("log.csv", b"user_id,item_id,timestamp\nu,X,2024-01-01\n", "no item of the log is in the catalogue .*'X'.*'A'"),
    "other separator": (
        "log.csv",
        b"user_id,item_id,timestamp\n" + b"u;A;2024-01-01\n" * 9,
        "not one of the 9 rows .*wrong number of fields",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    run(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    name, log, message = REFUSED[what]
    with pytest.raises(DataError, match=message) as caught:
        run(tmp_path, log, log_name=name)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert not list(tmp_path.rglob(".*"))


def test_an_empty_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the catalogue has no rows"):
        run(tmp_path, items=b"item_id,title\n")
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist"):
        ingest(Source(interactions=tmp_path / "nowhere.csv"), tmp_path / "out")


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_too_many_broken_rows_are_another_format(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.ingest.readers.raw_table.MAX_MALFORMED", 10)
    monkeypatch.setattr("features.ingest.readers.delimited.BLOCK", 128)
    with pytest.raises(DataError, match=r"has at least \d+ rows that cannot be parsed .* really \.(csv|jsonl)"):
        run(tmp_path, GOOD_LOG + b"x\n" * 110, log_name=name)


def test_a_quote_before_many_lines_costs_those_that_are_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.ingest.readers.delimited.BLOCK", 256)
    summary = run(tmp_path, GOOD_LOG + b'u,"' + b"x\n" * 1_000 + b"u1,A,2024-01-05,1\n")
    assert (summary.interactions.read, summary.interactions.kept) == (1_004, 4)


short = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
text = (
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)
    .map(lambda word: f"<{word}>")
    .filter(lambda word: "\ufffd" not in word)
)


@short
@given(
    st.sampled_from(["csv", "tsv", "jsonl", "parquet"]),
    st.lists(st.tuples(text, text), min_size=1, max_size=12, unique_by=lambda pair: normal_id(pair[0])),
)
def test_any_ids_and_titles_come_through_any_file(kind: str, pairs: list[tuple[str, str]]) -> None:
    items = [(item, f'{title}, "quoted"') for item, title in pairs]
    log = [(title, item, "2024-01-01") for item, title in pairs]
    with tempfile.TemporaryDirectory() as name:
        make = KINDS[kind]
        run(Path(name), make(("user_id", "item_id", "timestamp"), log), make(("item_id", "title"), items), f"log.{kind}", f"items.{kind}")
        kept_items, kept_log = load_tables(Path(name) / "out")
    texts = cleaned(pl.Series([title for _, title in items])).struct.field("text")
    titles = texts.str.replace_all(r"\s+", " ").str.strip_chars().to_list()
    ids = [normal_id(item) for item, _ in items]
    assert kept_items.select("item_id", "title").rows() == list(zip(ids, titles, strict=True))
    assert kept_log.select("user_id", "item_id").rows() == [(normal_id(user), normal_id(item)) for user, item, _ in log]


@short
@given(
    st.sampled_from(["csv", "jsonl", "csv.gz", "parquet", "json", "zip", "xml"]),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6) | st.sampled_from([b'"', b'",', b"\n", b"[", b"<"])), max_size=4),
    st.data(),
)
def test_no_damage_ends_in_a_traceback(kind: str, edits: list[tuple[int, bytes]], data: st.DataObject) -> None:
    content = bytearray(KINDS[kind](LOG_NAMES, LOG * 3))
    for at, patch in edits:
        content[at : at + len(patch)] = patch
    content = content[: data.draw(st.integers(0, len(content)))]
    with tempfile.TemporaryDirectory() as name:
        message = ""
        try:
            run(Path(name), bytes(content), log_name=f"log.{kind}")  # which also checks that every row is accounted for
        except DataError as error:
            message = str(error)
    assert "\n" not in message


def test_no_spreadsheet_takes_a_quarantined_value_for_a_formula(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title,price\nA,Apple,1\nB,Bread,=1+1\nC,Cake,-3\nD,Date,@now\n")
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,A,2024-01-01\n")
    ingest(Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv"), tmp_path / "out")
    assert [value for _, _, _, value in quarantine(tmp_path)] == ["'=1+1", "-3", "'@now"]
