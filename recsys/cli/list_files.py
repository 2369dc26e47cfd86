"""Reads files of users or queries and writes files of lists and of customers.

For `recommend --users-file`, `search --queries-file` and `customers --out`.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import DataError
from features.ingest.profile.column_names import other_spellings
from features.ingest.readers.files import read_head, read_lines, read_table
from features.ingest.readers.raw_table import TableSpec, text_cell
from features.ingest.values.ids import read_ids
from features.text.plain import counted, plain
from recsys.apps.customers.answers import CustomerRow
from recsys.apps.search.request import MAX_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from recsys.apps.customers.audience.answers import Audience
    from recsys.apps.search.answers import Hit, SearchAnswer
    from recsys.recommend.answers import Answer

_ITEM = [("item_id", pa.string()), ("rank", pa.int32()), ("probability", pa.float64()), ("reason", pa.string())]
LISTS = pa.schema([("user_id", pa.string()), *_ITEM])
AUDIENCE = pa.schema([("rank", pa.int64()), ("user_id", pa.string()), ("probability", pa.float64()), ("reason", pa.string())])
_FOUND_ITEM = [*_ITEM, ("score", pa.float64())]
_CORRECTION = pa.struct([("typed", pa.string()), ("read", pa.string())])
_FILTER = pa.struct([("key", pa.string()), ("label", pa.string()), ("words", pa.string()), ("relaxed", pa.bool_())])
_READING = [  # of a query: the keys that `SearchAnswer.to_dict` has for it
    *((name, pa.string()) for name in ("read_as", "did_you_mean", "fallback")),
    *(("corrections", pa.list_(_CORRECTION)), ("filters", pa.list_(_FILTER)), ("notes", pa.list_(pa.string()))),
]
FOUND = pa.schema([("query", pa.string()), ("user_id", pa.string()), *_FOUND_ITEM, *_READING])
_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}
CUSTOMERS = pa.schema([(column.name, _TYPES[str(column.type).removesuffix(" | None")]) for column in fields(CustomerRow)])
_ROWS_PER_GROUP = 50_000
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".parquet")  # these have a header or names
_USERS = "give a file with a column user_id, or with one id per line"
_QUERIES = "give a file with a column query, and user_id if it is known, or with one query per line"


def read_users(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """Read the distinct user ids of a file, in their order.

    They are in the column user_id of any table that an ingest could read, or one per line of a text without such a column.

    Returns
    -------
    users : their ids.
    notes : what was read otherwise than it is written.

    Raises
    ------
    DataError
        The file is missing, cannot be read, or has no ids.
    """
    if not path.exists():
        raise DataError(f"there is no {path}: {_USERS}")
    table, more = _read(path, "users", ("user_id",), "or give a .txt with one id per line")
    users, notes = read_ids(table["user_id"])
    ids = users.filter(users.is_not_null() & (users != "")).unique(maintain_order=True).to_list()
    if not ids:
        raise DataError(f"{path} holds no user ids: {_USERS}")
    return ids, (*more, *notes)


def read_queries(path: Path) -> tuple[list[tuple[str, str | None]], tuple[str, ...]]:
    """Read the distinct queries of a file with their users, in their order.

    They are in the columns query and, optionally, user_id of any table that an ingest could read, or one per line of a text without such
    columns. Rows without a query, or with one that no customer would type, are left out and counted.

    Returns
    -------
    queries : text and user; None stands for an unknown visitor.
    notes : what was left out or read otherwise than it is written.

    Raises
    ------
    DataError
        The file is missing, cannot be read, or has no queries.
    """
    if not path.exists():
        raise DataError(f"there is no {path}: {_QUERIES}")
    table, more = _read(path, "queries", ("query", "user_id"), "or give a .txt with one query per line")
    users, notes = read_ids(table["user_id"])
    rows = table.with_columns(user_id=users.replace("", None))
    empty, long = pl.col("query").str.strip_chars().fill_null("") == "", pl.col("query").str.len_chars() > MAX_LENGTH
    queries = rows.filter(~empty, ~long).select("query", "user_id").unique(maintain_order=True)
    if queries.is_empty():
        raise DataError(f"{path} holds no queries: {_QUERIES}")
    lacking, too_long = (rows.filter(some).height for some in (empty, long))
    again = rows.height - lacking - too_long - queries.height
    said = (
        (lacking, "without a query: left out"),
        (too_long, f"with a query of more than {MAX_LENGTH:,} characters: left out"),
        (again, "with a query and user that came before: answered once"),
    )
    told = tuple(f"note: {counted(count, 'row')} {what}" for count, what in said if count)
    return queries.rows(), (*more, *notes, *told)


def _read(path: Path, name: str, wanted: tuple[str, ...], advice: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the raw columns of a file, of which the first is required, and notes on how it was read."""
    first, *others = wanted
    if not path.stat().st_size:
        return pl.DataFrame(schema=dict.fromkeys(wanted, pl.String)), ()
    if path.suffix.lower() not in _TABLES and (lines := read_lines(path)) is not None:
        filled = [line.strip() for line in lines if line.strip()]
        if not filled or not _has(first, re.split(r"[,;\t|]", filled[0].replace('"', ""))):
            return pl.DataFrame({first: filled}, schema={first: pl.String}).with_columns(
                pl.lit(None, pl.String).alias(x) for x in others
            ), ()
    head = read_head(path, None, name)
    columns = {ours: (theirs,) for ours in wanted if (theirs := _named(ours, head.names)) is not None}
    if first not in columns:
        raise DataError(f"{path} has no column {first}, it has {plain(', '.join(head.names[:20]))}: rename the column, {advice}")
    with tempfile.TemporaryDirectory() as folder:
        table = read_table(TableSpec(name, path, columns, (first,)), Path(folder) / name)
        frame = table.frame.select(list(columns)).collect()
    return frame.with_columns(pl.lit(None, pl.String).alias(x) for x in others if x not in columns), table.notes


def _named(ours: str, names: list[str]) -> str | None:
    """Return how a file spells a column; None if it lacks it."""
    return ours if ours in names else other_spellings([ours], names).get(ours)


def _has(ours: str, names: list[str]) -> bool:
    return _named(ours, names) is not None


def write_answers(answers: Iterable[Answer], path: Path) -> int:
    """Write one row per recommended item and return the number of rows; see `_write`."""
    rows = (
        {"user_id": answer.user_id} | {name: getattr(item, name) for name in LISTS.names[1:]} for answer in answers for item in answer.items
    )
    return _write(rows, LISTS, path)


def join_parts(parts: Sequence[Path], path: Path) -> int:
    """Join files of `write_answers` into one, and return the number of rows; see `_write`."""
    join = {".csv": _join_csv, ".jsonl": _join_jsonl, ".parquet": _join_parquet}[path.suffix]
    return _whole(path, lambda temporary: join(parts, temporary))


def write_found(answers: Iterable[SearchAnswer], path: Path) -> int:
    """Write one row per item that was found, each with how its query was read, and return the number of rows; see `_write`.

    A query without an item has one row, whose item is null: its `fallback` says why.
    """
    nothing: list[Hit | None] = [None]
    rows = (_row_of(answer.to_dict(), item) for answer in answers for item in (answer.items or nothing))
    return _write(rows, FOUND, path)


def _row_of(answer: Mapping[str, Any], item: Hit | None) -> dict[str, Any]:
    of_item = {name: getattr(item, name, None) for name, _ in _FOUND_ITEM}
    return {"query": answer["query"], "user_id": answer["user_id"]} | of_item | {name: answer[name] for name, _ in _READING}


def write_customers(customers: Iterable[CustomerRow], path: Path) -> int:
    """Write one row per customer and return the number of rows; see `_write`."""
    return _write((vars(row) for row in customers), CUSTOMERS, path)


def write_audience(audience: Audience, path: Path) -> int:
    """Write one row per customer and return the number of rows; see `_write`."""
    return _write((vars(member) for member in audience.members), AUDIENCE, path)


def _write(rows: Iterable[dict[str, Any]], schema: pa.Schema, path: Path) -> int:
    """Write rows to .csv, .jsonl or .parquet and return their number. The file appears once complete.

    Raises
    ------
    DataError
        The folder is missing or cannot be written.
    """
    write = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[path.suffix]
    return _whole(path, lambda temporary: write(rows, schema, temporary))


def _whole(path: Path, write: Callable[[Path], int]) -> int:
    """Write a file that appears once complete; see `_write`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        count = write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}: check the folder, its permissions and free space") from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _write_csv(rows: Iterable[dict[str, Any]], schema: pa.Schema, path: Path) -> int:
    with _text(path) as file:
        writer = csv.DictWriter(file, schema.names, lineterminator="\n")
        writer.writeheader()
        return sum(bool(writer.writerow({name: _cell(value) for name, value in row.items()})) for row in rows)


def _cell(value: Any) -> Any:
    """Return a value as a cell of text; a list as JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False) if isinstance(value, list) else text_cell(value)


def _write_jsonl(rows: Iterable[dict[str, Any]], _schema: pa.Schema, path: Path) -> int:
    with _text(path) as file:
        return sum(bool(file.write(json.dumps(row, allow_nan=False) + "\n")) for row in rows)


def _write_parquet(rows: Iterable[dict[str, Any]], schema: pa.Schema, path: Path) -> int:
    total, group = 0, []
    with pq.ParquetWriter(path, schema) as writer:
        for row in rows:
            group.append(row)
            if len(group) == _ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema))
                total, group = total + len(group), []
        writer.write_table(pa.Table.from_pylist(group, schema))
    return total + len(group)


def _join_csv(parts: Sequence[Path], path: Path) -> int:
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            with part.open("rb") as rows:
                header = rows.readline()
                file.write(b"" if number else header)
                shutil.copyfileobj(rows, file)
    with path.open(encoding="utf-8", newline="") as file:  # a field may hold a line break
        return sum(1 for _ in csv.reader(file)) - 1


def _join_jsonl(parts: Sequence[Path], path: Path) -> int:
    count = 0
    with path.open("wb") as file:
        for part in parts:
            with part.open("rb") as rows:
                count += sum(bool(file.write(row)) for row in rows)
    return count


def _join_parquet(parts: Sequence[Path], path: Path) -> int:
    count = 0
    with pq.ParquetWriter(path, LISTS) as writer:
        for part in parts:
            table = pq.read_table(part, schema=LISTS)
            writer.write_table(table)
            count += table.num_rows
    return count


def _text(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="")
