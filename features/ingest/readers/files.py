"""Readers of files: csv, JSON, XML and Parquet, each gives one table of numbered rows, not validated yet.

What a file is, is told by its content. No file is ever whole in memory. A row that cannot be parsed is set aside with its number: rows
read = rows in the table + malformed rows. Row numbers count data rows from 1, in the order of the file; blank lines of a csv do not
count, those of json lines do.
"""

from __future__ import annotations

import csv
import gzip
import re
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import polars as pl
import pyarrow as pa

from features.errors import DataError, disk_error, one_line
from features.ingest.readers.delimited import BLOCK, read_csv
from features.ingest.readers.head import read_head as head_of
from features.ingest.readers.json_records import json_records, read_records
from features.ingest.readers.kinds import BEGIN, FileKind, kind_of, open_bytes
from features.ingest.readers.parquet import read_parquet
from features.ingest.readers.raw_table import RawTable, Spool, TableHead, TableSpec
from features.ingest.readers.text import Encoding, expected_encoding, found_encoding, open_text
from features.ingest.readers.xml_records import xml_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Result = TypeVar("Result")
_STRUCTURED = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*[\[{<]|PAR1")  # JSON, XML or Parquet


def read_table(spec: TableSpec, folder: Path) -> RawTable:
    """Read a file of one of `kinds.SUFFIXES`, text also out of gzip or zip. The rows go to `folder` as Parquet.

    Raises
    ------
    DataError
        If the file is missing, of an unknown format or damaged as a whole, or lacks a required column.
    """
    path = spec.path
    spool = Spool(spec, folder)
    with _readable(path, spool):
        kind = kind_of(path, spec.name)
        if kind.kind == "parquet":
            return read_parquet(spool)
        if kind.kind == "xml":
            return read_records(xml_records(path), spool)

        def read(encoding: Encoding) -> RawTable:
            spool.clear()
            table = _read_text(spool, kind, encoding)
            return replace(table, notes=(*encoding.notes, *table.notes))

        return _decoded(path, spec.encoding, read)


def read_head(path: Path, encoding: str | None, name: str = "table") -> TableHead:
    """Return the columns and first rows of a file. Raises DataError like `read_table`."""
    with _readable(path):
        kind = kind_of(path, name)
        if kind.kind in ("parquet", "xml"):
            return head_of(path, kind, Encoding("utf-8"))
        return _decoded(path, encoding, lambda found: head_of(path, kind, found))


def read_lines(path: Path) -> list[str] | None:
    """Return the lines of a text file; None where it is JSON, XML or Parquet. Raises DataError like `read_table`."""

    def read(encoding: Encoding) -> list[str]:
        with open_text(path, encoding) as text:
            return text.read().lstrip("\ufeff").splitlines()

    with _readable(path):
        with open_bytes(path) as raw:
            structured = _STRUCTURED.match(raw.read(BEGIN).replace(b"\0", b""))
        return None if structured else _decoded(path, None, read)


def _read_text(spool: Spool, kind: FileKind, encoding: Encoding) -> RawTable:
    path = spool.spec.path
    if kind.kind == "json":
        return read_records(json_records(path, lambda: open_text(path, encoding), spool.spec.layout.python), spool)
    return read_csv(lambda: open_text(path, encoding), spool, kind.separator)


def _decoded(path: Path, key: str | None, read: Callable[[Encoding], Result]) -> Result:
    """Read a text by the encoding that its beginning shows, and if a byte refutes that, by another one."""
    try:
        return read(expected_encoding(path, key))
    except UnicodeDecodeError:
        return read(found_encoding(path, key))


@contextmanager
def _readable(path: Path, spool: Spool | None = None) -> Iterator[None]:
    """Turn errors of libraries about a damaged file into one line."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is cut short or not gzip ({error}): fetch it again") from error
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{path} is a damaged zip ({error}): fetch it again, or unpack it") from error
    except (pa.ArrowInvalid, pl.exceptions.PolarsError, csv.Error) as error:
        if spool is not None and spool.full:
            raise spool.error() from error
        why = one_line(error)[:200]
        if "straddling" in why:
            why = f"a row is longer than {BLOCK >> 20} MiB, most likely a quote that is never closed"
        raise DataError(f"{path} cannot be read as {path.suffix.lstrip('.')} ({why}): check or export it again") from error
    except OSError as error:
        raise DataError(disk_error(error, path, "read")) from error
