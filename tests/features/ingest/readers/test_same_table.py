"""A table written in any way gives the same rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
import zipfile
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.ingest.readers.files import read_head, read_table
from features.ingest.readers.raw_table import TableSpec

NAMES = ("item_id", "title", "price")
Table = list[tuple[str, str, str]]

# Every character has a place in cp1252. A title begins and ends with a letter, and is never a number, so that any column stays as it is.
texts = st.text(st.sampled_from("aZ é’ß€,;\t|\"'\n{[<#=\\"), max_size=10).map(lambda text: f"a{text}z")
tables = st.lists(st.tuples(st.integers(1, 10**6).map(str), texts, st.integers(0, 99).map(str)), min_size=1, max_size=8)


def as_csv(table: Table, separator: str, quoting: int, end: str) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator=end).writerows([NAMES, *table])  # type: ignore[arg-type]
    return stream.getvalue()


def as_json(table: Table, shape: str, end: str) -> str:
    records = [dict(zip(NAMES, row, strict=True)) for row in table]
    if shape == "lines":
        return "".join(json.dumps(record, ensure_ascii=False) + end for record in records)
    return json.dumps({"products": records} if shape == "answer" else records, ensure_ascii=False, indent=2).replace("\n", end)


def packed(content: bytes, how: str, name: str) -> bytes:
    if how != "zip":
        return gzip.compress(content) if how == "gzip" else content
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def raw(content: bytes, name: str) -> list[tuple[object, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        assert read_head(path, None).names == list(NAMES)
        table = read_table(TableSpec("items", path, {one: (one,) for one in NAMES}, NAMES), Path(folder) / "rows")
        found = table.frame.collect().rows()
        assert table.read == len(found) + table.malformed.height
        return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tables,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]),
    st.sampled_from(["plain", "gzip", "zip"]),
)
def test_any_csv_gives_the_same_rows(table: Table, separator: str, quoting: int, end: str, encoding: str, pack: str) -> None:
    content = packed(as_csv(table, separator, quoting, end).encode(encoding), pack, "items.csv")
    assert raw(content, "items.csv") == [(i, *row) for i, row in enumerate(table, start=1)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tables,
    st.sampled_from(["lines", "array", "answer"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be"]),
    st.sampled_from(["plain", "gzip", "zip"]),
)
def test_any_json_gives_the_same_rows(table: Table, shape: str, end: str, encoding: str, pack: str) -> None:
    content = packed(as_json(table, shape, end).encode(encoding), pack, "items.json")
    assert raw(content, "items.json") == [(i, *row) for i, row in enumerate(table, start=1)]


@settings(max_examples=20, deadline=None)
@given(tables, st.sampled_from(["items.parquet", "items.csv"]))
def test_parquet_gives_the_same_rows(table: Table, name: str) -> None:
    stream = io.BytesIO()
    pl.DataFrame(table, schema=list(NAMES), orient="row").write_parquet(stream)
    assert raw(stream.getvalue(), name) == [(i, *row) for i, row in enumerate(table, start=1)]


words = st.lists(st.sampled_from(["thé", "crème", "Größe", "à", "über", "ß", "Señor", "CAFÉ", "5 €", "tea"]), min_size=1, max_size=4).map(
    " ".join
)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=1, max_size=6), st.sampled_from(["cp1252", "utf-8"]), st.sampled_from(["items.csv", "items.jsonl"]))
def test_titles_of_western_europe_come_through_without_a_key(titles: list[str], encoding: str, name: str) -> None:
    table = [(str(i), title, "1") for i, title in enumerate(titles)]
    text = as_csv(table, ",", csv.QUOTE_MINIMAL, "\n") if name.endswith("csv") else as_json(table, "lines", "\n")
    assert raw(text.encode(encoding), name) == [(i, *row) for i, row in enumerate(table, start=1)]
