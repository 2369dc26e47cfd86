"""Reads files of users and writes files of recommendations, for `recommend --users-file`."""

from __future__ import annotations

import csv
import json
import os
from typing import IO, TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import DataError
from features.ingest.readers.raw_table import text_cell
from features.ingest.values.ids import read_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from recsys.recommend.answers import Answer

COLUMNS: tuple[str, ...] = ("user_id", "item_id", "rank", "probability", "reason")
_SCHEMA = pa.schema(
    [("user_id", pa.string()), ("item_id", pa.string()), ("rank", pa.int32()), ("probability", pa.float64()), ("reason", pa.string())]
)
_ROWS_PER_GROUP = 50_000


def read_users(path: Path) -> list[str]:
    """Read the distinct user ids of a file, in their order.

    They are in the column user_id of a .csv, .tsv, .jsonl or .parquet, or one per line of any other file.

    Raises
    ------
    DataError
        The file is missing, cannot be read, or has no ids.
    """
    try:
        table = _read_table(path)
        if "user_id" not in table.columns:
            has = ", ".join(table.columns[:10])
            raise DataError(f"{path} has no column user_id; it has: {has}: rename the column, or give a .txt with one id per line")
        users = table["user_id"]
    except FileNotFoundError:
        raise DataError(f"there is no {path}: give a file with a column user_id, or with one id per line") from None
    except pl.exceptions.NoDataError:
        users = pl.Series(dtype=pl.String)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read: {str(error).strip().splitlines()[0]}: give csv, tsv, jsonl, parquet or txt") from error
    users = read_ids(users)
    ids = users.filter(users.is_not_null() & (users != "")).unique(maintain_order=True).to_list()
    if not ids:
        raise DataError(f"{path} holds no user ids: give a file with a column user_id, or with one id per line")
    return ids


def _read_table(path: Path) -> pl.DataFrame:
    if path.suffix in (".csv", ".tsv"):
        # Ids are text: 007 stays 007.
        return pl.read_csv(path, separator="\t" if path.suffix == ".tsv" else ",", infer_schema=False)
    if path.suffix == ".jsonl":
        return pl.read_ndjson(path)
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.DataFrame({"user_id": [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]}, {"user_id": pl.String})


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
