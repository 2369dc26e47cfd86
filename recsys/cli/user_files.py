"""Reads files of users and writes files of recommendations, for `recommend --users-file`."""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from recsys.recommend.answers import Answer

COLUMNS: tuple[str, ...] = ("user_id", "item_id", "rank", "probability", "reason")
_SCHEMA = pa.schema(
    [("user_id", pa.string()), ("item_id", pa.string()), ("rank", pa.int32()), ("probability", pa.float64()), ("reason", pa.string())]
)
_ROWS_PER_GROUP = 50_000
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".parquet")  # these have a header or names


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
        raise DataError(f"there is no {path}: give a file with a column user_id, or with one id per line")
    users, more = _read(path)
    users, notes = read_ids(users)
    ids = users.filter(users.is_not_null() & (users != "")).unique(maintain_order=True).to_list()
    if not ids:
        raise DataError(f"{path} holds no user ids: give a file with a column user_id, or with one id per line")
    return ids, (*more, *notes)


def _read(path: Path) -> tuple[pl.Series, tuple[str, ...]]:
    """Return the raw ids of a file, and notes on how it was read."""
    if not path.stat().st_size:
        return pl.Series(dtype=pl.String), ()
    if path.suffix.lower() not in _TABLES and (lines := read_lines(path)) is not None:
        filled = [line.strip() for line in lines if line.strip()]
        if not filled or not _has_user_id(re.split(r"[,;\t|]", filled[0].replace('"', ""))):
            return pl.Series(filled, dtype=pl.String), ()
    head = read_head(path, None, "users")
    named = "user_id" if "user_id" in head.names else other_spellings(["user_id"], head.names).get("user_id")
    if named is None:
        raise DataError(f"{path} has no column user_id: rename the column, or give a .txt with one id per line")
    with tempfile.TemporaryDirectory() as folder:
        table = read_table(TableSpec("users", path, {"user_id": (named,)}, ("user_id",)), Path(folder) / "users")
        return table.frame.select("user_id").collect()["user_id"], table.notes


def _has_user_id(names: list[str]) -> bool:
    return "user_id" in names or bool(other_spellings(["user_id"], names))


def write_answers(answers: Iterable[Answer], path: Path) -> int:
    """Write one row per item to .csv, .jsonl or .parquet and return the number of rows. The file appears once complete.

    Raises
    ------
    DataError
        The folder is missing or cannot be written.
    """
    write = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[path.suffix]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        count = write(_rows(answers), temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}: check the folder, its permissions and free space") from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _rows(answers: Iterable[Answer]) -> Iterator[dict[str, Any]]:
    for answer in answers:
        for item in answer.items:
            yield {"user_id": answer.user_id} | {name: getattr(item, name) for name in COLUMNS[1:]}


def _write_csv(rows: Iterable[dict[str, Any]], path: Path) -> int:
    with _text(path) as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        return sum(bool(writer.writerow({name: text_cell(value) for name, value in row.items()})) for row in rows)


def _write_jsonl(rows: Iterable[dict[str, Any]], path: Path) -> int:
    with _text(path) as file:
        return sum(bool(file.write(json.dumps(row, allow_nan=False) + "\n")) for row in rows)


def _write_parquet(rows: Iterable[dict[str, Any]], path: Path) -> int:
    total, group = 0, []
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        for row in rows:
            group.append(row)
            if len(group) == _ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(group, _SCHEMA))
                total, group = total + len(group), []
        writer.write_table(pa.Table.from_pylist(group, _SCHEMA))
    return total + len(group)


def _text(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="")
