"""Readers of csv, tsv, json lines and Parquet files: each gives one table of numbered rows, not validated yet.

No file is ever whole in memory. Text is decoded leniently, and a row that cannot be parsed is set aside with its number: rows read = rows
in the table + malformed rows. Row numbers count data rows from 1, in the order of the file; blank lines of a csv do not count.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from features.errors import DataError, disk_error
from features.ingest.readers.delimited import BLOCK, read_csv
from features.ingest.readers.head import read_head as head_of
from features.ingest.readers.json_records import read_json
from features.ingest.readers.parquet import read_parquet
from features.ingest.readers.raw_table import RawTable, Spool, TableHead, TableSpec
from features.ingest.readers.text import open_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")


def read_table(spec: TableSpec, folder: Path) -> RawTable:
    """Read a csv, tsv, json lines (each also .gz) or Parquet file. The rows go to `folder` as Parquet.

    Raises
    ------
    DataError
        If the file is missing, of an unknown format or damaged as a whole, or lacks a required column.
    """
    path, suffix = spec.path, _suffix(spec.path, spec.name)
    spool = Spool(spec, folder)
    with _readable(path, spool):
        if suffix == ".parquet":
            return read_parquet(spool)
        with open_text(path, spec.encoding) as text:
            if suffix in (".csv", ".tsv"):
                return read_csv(text, spool, "\t" if suffix == ".tsv" else None)
            return read_json(text, spool)


def read_head(path: Path, encoding: str, name: str = "table") -> TableHead:
    """Return the columns and first rows of a file. Raises DataError like `read_table`."""
    suffix = _suffix(path, name)
    with _readable(path):
        return head_of(path, suffix, encoding)


def _suffix(path: Path, name: str) -> str:
    suffix = (path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix).lower()
    if suffix not in SUFFIXES or path.name.endswith(".parquet.gz"):
        raise DataError(f"{path} is of an unknown format; known: {', '.join(SUFFIXES)}, text also as .gz: convert or rename it")
    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file: check the path of the {name}")
    return suffix


@contextmanager
def _readable(path: Path, spool: Spool | None = None) -> Iterator[None]:
    """Turn errors of libraries about a damaged file into one line."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is cut short or not gzip ({error}): fetch it again") from error
    except (pa.ArrowInvalid, pl.exceptions.PolarsError, csv.Error) as error:
        if spool is not None and spool.full:
            raise spool.error() from error
        why = " ".join(str(error).split())[:200]
        if "straddling" in why:
            why = f"a row is longer than {BLOCK >> 20} MiB, most likely a quote that is never closed"
        raise DataError(f"{path} cannot be read as {path.suffix.lstrip('.')} ({why}): check or export it again") from error
    except OSError as error:
        raise DataError(disk_error(error, path, "read")) from error
