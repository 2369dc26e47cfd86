"""The reader of csv and tsv files."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from features.ingest.readers.raw_table import RawTable, Spool

BLOCK = 8 << 20  # bytes of csv parsed at once, and the longest row that can be read
_END = "\x1eend of file\x1e"


def read_csv(text: io.TextIOWrapper, spool: Spool, separator: str | None) -> RawTable:
    """Read a text with separators; None takes the separator that the header uses most."""
    spec = spool.spec
    names, separator = header(spec.path, text, separator)
    twice = sorted({name for name in names if names.count(name) > 1 and any(name in theirs for theirs in spec.columns.values())})
    if twice:
        raise DataError(f"{spec.path} has the column {twice[0]!r} more than once: rename one of them")
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
        columns = [pl.coalesce(*map(_with_value, theirs[:-1]), theirs[-1]).alias(ours) for ours, theirs in found.items()]
        spool.add(frame.select(pl.Series("row", places + 1 + np.searchsorted(ahead, places, side="right")), *columns))
        done += batch.num_rows
    return _close_quote(spool.table(done + len(spool.rows)), spool, last[0])


def header(path: Path, text: io.TextIOWrapper, separator: str | None) -> tuple[list[str], str]:
    """Return the names in the first row, and the separator: of a csv the one of , ; tab | that its header uses most."""
    first = text.readline()
    separator = separator or max(",;\t|", key=first.count)
    lines = iter([first]) if first.count('"') % 2 == 0 else iter([first, *iter(text.readline, "")])
    names = [name.strip() for name in next(csv.reader(lines, delimiter=separator), [])]
    if not any(names):
        raise DataError(f"{path} is empty: the first row must name the columns")
    return names, separator


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


def _with_value(name: str) -> pl.Expr:
    return pl.when(pl.col(name).str.strip_chars() != "").then(name)


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
