"""The reader of csv and tsv files."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from features.errors import DataError
from features.ingest.readers.dialect import Dialect, sniff
from features.ingest.readers.quotes import QuoteMender, QuoteSurvey
from features.ingest.readers.raw_table import SHOWN
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from features.ingest.readers.raw_table import RawTable, Spool

BLOCK = 8 << 20  # bytes of csv parsed at once, and the longest row that can be read
CHUNK = 1 << 20  # characters decoded at once
LINES = 5_000  # lines mended at once
_ROW = "\x1erow\x1e"  # no name of a column
_END = "\x1eend of file\x1e"


def read_csv(reopen: Callable[[], AbstractContextManager[io.TextIOWrapper]], spool: Spool, separator: str | None) -> RawTable:
    """Read a text with separators; None takes the separator that the header uses most.

    Quotes are taken as the standard has them. If anything in the text speaks against that, it is read again, line by line.
    """
    spec = spool.spec
    with reopen() as text:
        dialect = sniff(spec.path, text, separator)
    twice = sorted(
        {name for name in dialect.names if dialect.names.count(name) > 1 and any(name in theirs for theirs in spec.columns.values())}
    )
    if twice:
        raise DataError(f"{spec.path} has the column {twice[0]!r} more than once: rename one of them")
    found = spec.find(dialect.names)
    survey = QuoteSurvey(dialect.separator)
    spool.notes += dialect.notes
    try:
        with reopen() as text:
            _skip(text, dialect.start)
            table = _read(_seen(iter(partial(text.read, CHUNK), ""), survey), spool, dialect, found)
        if not survey.stray and not _speaks_against(table, survey):
            return table
    except (DataError, pa.ArrowInvalid):
        if not survey.quoted:
            raise
    spool.clear()
    spool.notes += dialect.notes
    mender = QuoteMender(dialect)
    with reopen() as text:
        _skip(text, dialect.start)
        table = _read(_joined(mender.lines(text)), spool, dialect, found)
    if not mender.mended:
        return table
    rows = f"{counted(mender.mended, 'row')} {agree(mender.mended, 'has', 'have')} stray quotes"
    told = f"note: {spec.path.name}: {rows}, which are read as text (e.g. {mender.example[:SHOWN]!r})"
    return replace(table, notes=(*table.notes, told))


def _skip(text: io.TextIOWrapper, lines: int) -> None:
    for _ in range(lines):
        next(text, None)


def _seen(blocks: Iterator[str], survey: QuoteSurvey) -> Iterator[str]:
    for block in blocks:
        survey.see(block)
        yield block


def _joined(lines: Iterator[str]) -> Iterator[str]:
    while batch := list(islice(lines, LINES)):
        yield "".join(batch)


def _speaks_against(table: RawTable, survey: QuoteSurvey) -> bool:
    """Whether quotes may have swallowed rows: a quoted field holds line ends, or rows with quotes have the wrong number of fields."""
    return survey.quoted and (table.read != survey.lines or table.malformed["offence"].str.contains('"', literal=True).any())


def _read(blocks: Iterator[str], spool: Spool, dialect: Dialect, found: dict[str, list[str]]) -> RawTable:
    names = dialect.names
    keep = sorted({names.index(name) for theirs in found.values() for name in theirs})
    last = [""]  # the last malformed row, unparsed
    malformed: list[int] = []  # rows that the parser refused

    def reject(bad: pc.InvalidRow) -> str:
        last[0] = bad.text
        if bad.text != _END:
            what = f"{bad.actual_columns} instead of {bad.expected_columns}: {_lines(bad.text)}{bad.text}"
            malformed.append(bad.number)
            spool.reject(bad.number, "wrong number of fields", what)
        return "error" if spool.full else "skip"

    done = 0
    for batch in _parse_csv(blocks, dialect, keep, reject):
        # Good rows before each malformed one so far: the offset between a good row's number and its place.
        ahead = np.array(malformed, dtype=np.int64) - 1 - np.arange(len(malformed))
        places = np.arange(done, done + batch.num_rows)
        done += batch.num_rows
        frame = pl.DataFrame(pl.from_arrow(batch)).rename({str(i): names[i] for i in keep})
        frame = frame.with_columns(pl.Series(_ROW, places + 1 + np.searchsorted(ahead, places, side="right")))
        columns = [pl.coalesce(*map(_with_value, theirs[:-1]), theirs[-1]).alias(ours) for ours, theirs in found.items()]
        spool.add(_without_headers(frame, [names[i] for i in keep], spool).select(pl.col(_ROW).alias("row"), *columns))
    return _close_quote(spool.table(done + len(malformed)), spool, last[0])


def _without_headers(frame: pl.DataFrame, names: list[str], spool: Spool) -> pl.DataFrame:
    """Set aside rows that repeat the header, as in exports that were joined."""
    if not (frame[names[0]] == names[0]).any():
        return frame
    again = pl.all_horizontal(pl.col(name).str.strip_chars() == name for name in names)
    for row in frame.filter(again)[_ROW]:
        spool.reject(row, "the header again", ",".join(names))
    return frame.filter(~again)


def _parse_csv(
    blocks: Iterator[str], dialect: Dialect, keep: list[int], reject: Callable[[pc.InvalidRow], str]
) -> Iterator[pa.RecordBatch]:
    """Yield batches of the columns `keep`, named by their places, and call `reject` for each malformed row."""
    yield from pc.open_csv(
        pa.PythonFile(io.BufferedReader(_Bytes(blocks), BLOCK), mode="r"),
        # pyarrow numbers rows only with one thread.
        read_options=pc.ReadOptions(use_threads=False, block_size=BLOCK, column_names=[str(i) for i in range(len(dialect.names))]),
        parse_options=pc.ParseOptions(delimiter=dialect.separator, newlines_in_values=True, invalid_row_handler=reject),
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

    def __init__(self, blocks: Iterator[str]) -> None:
        self._blocks = blocks
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            block = next(self._blocks, "")
            if not block and not self._ended:
                self._ended, block = True, f"\n{_END}\n"
            self._rest = block.encode()
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n
