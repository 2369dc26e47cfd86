"""Readers of csv, tsv, json lines and Parquet files: each gives one table of numbered rows, not validated yet.

No file is ever whole in memory. Text is decoded leniently, and a row that cannot be parsed is set aside with its number: rows read = rows
in the table + malformed rows. Row numbers count data rows from 1, in the order of the file; blank lines of a csv do not count.
"""

from __future__ import annotations

import ast
import csv
import gzip
import html
import io
import json
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from features.errors import DataError, disk_error
from features.ingest.raw_table import RawTable, Spool, TableSpec, text_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
BLOCK = 8 << 20  # bytes of csv parsed at once, and the longest row that can be read
BATCH = 20_000  # json lines held at once
_END = "\x1eend of file\x1e"


def read_table(spec: TableSpec, folder: Path) -> RawTable:
    """Read a csv, tsv, json lines (each also .gz) or Parquet file. The rows go to `folder` as Parquet.

    Raises
    ------
    DataError
        If the file is missing, of an unknown format or damaged as a whole, or lacks a required column.
    """
    path = spec.path
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() not in SUFFIXES or path.name.endswith(".parquet.gz"):
        raise DataError(f"{path} is of an unknown format; known: {', '.join(SUFFIXES)}, text also as .gz: convert or rename it")
    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file: check the path of the {spec.name}")
    spool = Spool(spec, folder)
    with _readable(spool):
        if suffix.lower() == ".parquet":
            return _read_parquet(spool)
        with _open_text(path, spec.encoding) as text:
            if suffix.lower() in (".csv", ".tsv"):
                return _read_csv(text, spool, "\t" if suffix.lower() == ".tsv" else None)
            return _read_json(text, spool)


@contextmanager
def _readable(spool: Spool) -> Iterator[None]:
    """Turn errors of libraries about a damaged file into one line."""
    path = spool.spec.path
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is cut short or not gzip ({error}): fetch it again") from error
    except (pa.ArrowInvalid, pl.exceptions.PolarsError, csv.Error) as error:
        if spool.full:
            raise spool.error() from error
        why = " ".join(str(error).split())[:200]
        if "straddling" in why:
            why = f"a row is longer than {BLOCK >> 20} MiB, most likely a quote that is never closed"
        raise DataError(f"{path} cannot be read as {path.suffix.lstrip('.')} ({why}): check or export it again") from error
    except OSError as error:
        raise DataError(disk_error(error, path, "read")) from error


@contextmanager
def _open_text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    with path.open("rb") as file, gzip.open(file) if path.suffix == ".gz" else file as raw:
        start = raw.read(2)
        raw.seek(0)
        utf16 = start in (b"\xff\xfe", b"\xfe\xff")
        name = "utf-16" if utf16 else "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        with io.TextIOWrapper(raw, encoding=name, errors="replace", newline="") as text:
            yield text


class _Bytes(io.RawIOBase):
    """Decoded text as UTF-8 bytes, followed by an end marker as one more row.

    The marker shows whether a quote is never closed: then the parser makes it a part of the row before.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            block = self._text.read(1 << 20)
            if not block and not self._ended:
                self._ended, block = True, f"\n{_END}\n"
            self._rest = block.encode()
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n


def _header(spec: TableSpec, text: io.TextIOWrapper, separator: str | None) -> tuple[list[str], str]:
    """Return the names in the first row, and the separator: of a csv the one of , ; tab | that its header uses most."""
    first = text.readline()
    separator = separator or max(",;\t|", key=first.count)
    lines = iter([first]) if first.count('"') % 2 == 0 else iter([first, *iter(text.readline, "")])
    names = [name.strip() for name in next(csv.reader(lines, delimiter=separator), [])]
    if not any(names):
        raise DataError(f"{spec.path} is empty: the first row must name the columns")
    twice = sorted({name for name in names if names.count(name) > 1 and any(name in theirs for theirs in spec.columns.values())})
    if twice:
        raise DataError(f"{spec.path} has the column {twice[0]!r} more than once: rename one of them")
    return names, separator


def _read_csv(text: io.TextIOWrapper, spool: Spool, separator: str | None) -> RawTable:
    spec = spool.spec
    names, separator = _header(spec, text, separator)
    found = spec.find(names)
    keep = sorted({names.index(name) for theirs in found.values() for name in theirs})
    last = [""]  # the last malformed row, unparsed

    def reject(bad: pc.InvalidRow) -> str:
        last[0] = bad.text
        if bad.text != _END:
            what = f"{bad.actual_columns} instead of {bad.expected_columns}: {_lines(bad.text)}{bad.text}"
            spool.reject(bad.number, "wrong number of fields", what)
        return "error" if spool.full else "skip"

    done = 0
    for batch in _parse_csv(text, separator, names, keep, reject):
        # Good rows before each malformed one so far: the offset between a good row's number and its place.
        ahead = np.array(spool.rows, dtype=np.int64) - 1 - np.arange(len(spool.rows))
        places = np.arange(done, done + batch.num_rows)
        frame = pl.DataFrame(pl.from_arrow(batch)).rename({str(i): names[i] for i in keep})
        columns = [pl.coalesce(theirs).alias(ours) for ours, theirs in found.items()]
        spool.add(frame.select(pl.Series("row", places + 1 + np.searchsorted(ahead, places, side="right")), *columns))
        done += batch.num_rows
    return _close_quote(spool.table(done + len(spool.rows)), spool, last[0])


def _parse_csv(
    text: io.TextIOWrapper, separator: str, names: list[str], keep: list[int], reject: Callable[[pc.InvalidRow], str]
) -> Iterator[pa.RecordBatch]:
    """Yield batches of the columns `keep`, named by their places, and call `reject` for each malformed row."""
    yield from pc.open_csv(
        pa.PythonFile(io.BufferedReader(_Bytes(text), BLOCK), mode="r"),
        # pyarrow numbers rows only with one thread.
        read_options=pc.ReadOptions(use_threads=False, block_size=BLOCK, column_names=[str(i) for i in range(len(names))]),
        parse_options=pc.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=reject),
        convert_options=pc.ConvertOptions(
            include_columns=[str(i) for i in keep],
            column_types={str(i): pa.string() for i in keep},
            check_utf8=False,  # the text has just been decoded
            strings_can_be_null=False,
        ),
    )


def _lines(text: str) -> str:
    """Return a remark for a row of several lines: it may have swallowed others."""
    return f"({n:,} lines) " if (n := text.count("\n") + 1) > 1 else ""


def _close_quote(table: RawTable, spool: Spool, tail: str) -> RawTable:
    """Set the last row aside if its quote is never closed: it was cut off, or it has swallowed rows."""
    if tail == _END:
        return table
    if tail.endswith(_END):  # it had too few fields, so it has been set aside already
        row, swallowed = spool.rows.pop(), tail
        spool.reasons.pop()
        spool.values.pop()
    else:
        last = table.frame.last().collect().row(0, named=True)
        row, swallowed = last["row"], next((text for text in last.values() if _END in str(text)), "")
    swallowed = swallowed.replace(_END, "").strip()
    spool.reject(row, "a quote is never closed", f"{_lines(swallowed)}{swallowed}")
    return replace(spool.table(table.read), frame=table.frame.filter(pl.col("row") != row))


def _read_json(text: io.TextIOWrapper, spool: Spool) -> RawTable:
    spec = spool.spec
    seen: dict[str, None] = {}
    read = 0
    lines = enumerate(text, start=1)
    while batch := list(islice(lines, BATCH)):
        rows: list[int] = []
        records: list[dict[str, Any]] = []
        for number, line in batch:
            if not line.strip():
                continue
            read += 1
            record = _parse(line, python=spec.amazon)
            if isinstance(record, dict):
                rows.append(number)
                records.append(record)
            else:
                spool.reject(number, "not a JSON object", line.strip())
        if spool.full:
            raise spool.error()
        for record in records:
            seen.update(dict.fromkeys(record))
        columns = {ours: text_column([_value(record, theirs, spec, ours) for record in records]) for ours, theirs in spec.columns.items()}
        spool.add(pl.DataFrame({"row": pl.Series(rows, dtype=pl.Int64), **columns}))
    table = spool.table(read)
    found = spec.find(list(seen)) if seen else {}
    return replace(table, frame=table.frame.select("row", *found))


def _parse(line: str, python: bool) -> Any:
    """Return the value of a line of JSON, or None. `python` allows Python literals, as in some Amazon files of 2014."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        pass
    if python:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # odd escapes within titles
                return ast.literal_eval(line.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            pass
    return None


def _value(record: dict[str, Any], names: tuple[str, ...], spec: TableSpec, ours: str) -> str | None:
    value = next((record[name] for name in names if record.get(name) is not None), None)
    text = _flat(value, "|" if ours.endswith("category") else " ")
    return html.unescape(text) if text and spec.amazon else text


def _flat(value: object, separator: str) -> str | None:
    """Return a JSON value as text. A list is joined; of a list of lists (paths) the first non-empty one is used."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        paths = [part for part in value if isinstance(part, list) and part]
        parts = [_flat(part, " ") for part in (paths[0] if paths else value)]
        return separator.join(part for part in parts if part)
    return json.dumps(value)


def _read_parquet(spool: Spool) -> RawTable:
    spec = spool.spec
    frame = pl.scan_parquet(spec.path)
    schema = frame.collect_schema()
    found = spec.find(schema.names())
    columns = [
        pl.coalesce([_as_text(name, schema[name], "|" if ours.endswith("category") else " ") for name in theirs]).alias(ours)
        for ours, theirs in found.items()
    ]
    # Copied, so that a damaged page is detected here and not later.
    spool.folder.mkdir()
    frame.with_row_index("row", offset=1).select(pl.col("row").cast(pl.Int64), *columns).sink_parquet(
        spool.folder / "0.parquet", compression="lz4"
    )
    spool.parts = 1
    return spool.table(frame.select(pl.len()).collect().item())


def _as_text(name: str, kind: pl.DataType, separator: str) -> pl.Expr:
    """Return a Parquet column as text. Dates stay dates, in UTC without zone; lists are joined as in `_flat`."""
    column = pl.col(name)
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if isinstance(kind, pl.Datetime | pl.Date):
        return column.cast(pl.Datetime("us"))
    if isinstance(kind, pl.List):
        if isinstance(kind.inner, pl.List):
            column = column.list.first()
        return column.cast(pl.List(pl.String)).list.join(separator, ignore_nulls=True)
    return column.cast(pl.String)
