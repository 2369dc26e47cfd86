"""Input and output of the file readers: a table specification, and a raw table of numbered rows."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from features.errors import DataError, disk_errors
from features.ingest.formats.layout import TableLayout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ITEM_PREFIX = "item:"  # begins columns of the catalogue that are read from the log's rows
ATTRIBUTE_PREFIX = "attribute:"  # begins columns of customers that are kept as attributes
MAX_MALFORMED = 1_000_000  # with more than this the file has another format
FORMULA = r"^[=+\-@\t\r]"
PIECE = 4_000_000  # rows of a long table that are computed at once
SHOWN = 60  # characters of an offending value that the quarantine shows


class MissingColumnError(DataError):
    """A table lacks columns; `found` says which and what it has instead."""

    def __init__(self, found: str, lacking: Sequence[str], advice: str) -> None:
        super().__init__(f"{found}: {advice}")
        self.found = found
        self.lacking = tuple(lacking)


@dataclass(frozen=True)
class TableSpec:
    """One table to read: its path, and the names under which each canonical column may be found.

    Attributes
    ----------
    columns : canonical name -> names in the file; the first one with a value wins.
    required : canonical names that must be found.
    mapped : canonical names that the user mapped, which must be found too.
    layout : how records become rows.
    format : name of the format, for messages.
    """

    name: str
    path: Path
    columns: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]
    mapped: tuple[str, ...] = ()
    encoding: str | None = None
    layout: TableLayout = field(default_factory=lambda: TableLayout({}))
    format: str = "canonical"

    def find(self, found: Sequence[str]) -> dict[str, list[str]]:
        """Return canonical name -> names that the file has.

        Raises
        ------
        DataError
            If a required or mapped column is missing.
        """
        present = {ours: [name for name in theirs if name in found] for ours, theirs in self.columns.items()}
        lacking = [name for name in (*self.required, *self.mapped) if not present[name]]
        if lacking:
            raise MissingColumnError(
                f"{self.path} has no {self._wanted(lacking)}; it has: {', '.join(found[:20])}", lacking, self._advice(lacking[0])
            )
        return {ours: theirs for ours, theirs in present.items() if theirs}

    def _wanted(self, lacking: Sequence[str]) -> str:
        def describe(name: str) -> str:
            ours, theirs = name.removeprefix(ITEM_PREFIX), self.columns[name]
            return ours if theirs == (ours,) else f"{ours} (looked for {' or '.join(theirs)})"

        return ", ".join(dict.fromkeys(describe(name) for name in lacking))

    def _advice(self, lacking: str) -> str:
        if self.format != "canonical":
            return f"check that the file is an export of this kind ({self.format}); if not, leave source.format out"
        if lacking.startswith(ITEM_PREFIX):
            return "name a file of items, or map the column of the log under [source.items_columns]"
        return f"map the column under [source.{self.name}_columns]"


@dataclass(frozen=True)
class RawTable:
    """Rows of a file before validation.

    Attributes
    ----------
    frame : `row` (numbered from 1) and the columns found, as text; dates of Parquet files stay dates.
    malformed : rows that could not be parsed: row, reason, offence.
    read : number of rows of both kinds.
    format : name of the format by which it was read.
    head : the columns and first rows of the file; None where no file was read.
    notes : what was guessed or mended while reading.
    spec : what was looked for in the file; None where no file was read.
    """

    frame: pl.LazyFrame
    malformed: pl.DataFrame
    read: int
    format: str = "canonical"
    head: TableHead | None = None
    notes: tuple[str, ...] = ()
    spec: TableSpec | None = None


@dataclass(frozen=True)
class TableHead:
    """What is known of a file before it is read as a whole.

    Attributes
    ----------
    sample : the first rows with all columns of the file, as text.
    encoding : encoding of a text file; None for Parquet.
    separator : separator of a csv or tsv; None for others.
    """

    sample: pl.DataFrame
    encoding: str | None = None
    separator: str | None = None

    @property
    def names(self) -> list[str]:
        """The names of the file's columns."""
        return self.sample.columns


@dataclass
class Spool:
    """A collector of a file's rows, as Parquet parts in a folder, and of its malformed rows."""

    spec: TableSpec
    folder: Path
    parts: int = 0
    rows: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Forget what was read, so that the file can be read again in another way."""
        for kept in (self.rows, self.reasons, self.values, self.notes):
            kept.clear()
        self.parts = 0
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, frame: pl.DataFrame) -> None:
        # Handled here, because the caller blames the file that is read for every OSError.
        with disk_errors(self.folder, "written"):
            self.folder.mkdir(exist_ok=True)
            frame.write_parquet(self.folder / f"{self.parts:06}.parquet", compression="lz4")
        self.parts += 1

    @property
    def full(self) -> bool:
        """Whether so many rows are malformed that the file must have another format."""
        return len(self.rows) > MAX_MALFORMED

    def error(self) -> DataError:
        count, kind = f"{len(self.rows):,}", self.spec.path.suffix
        return DataError(f"{self.spec.path} has at least {count} rows that cannot be parsed ({self.reasons[-1]}): is it really {kind}?")

    def reject(self, row: int, reason: str, value: str) -> None:
        self.rows.append(row)
        self.reasons.append(reason)
        self.values.append(re.sub(r"[\s\x00-\x1f\x7f]+", " ", value[: 2 * SHOWN]).strip()[:SHOWN])

    def table(self, read: int) -> RawTable:
        schema = {"row": pl.Int64, **dict.fromkeys(self.spec.columns, pl.String)}
        frame = pl.scan_parquet(self.folder / "*.parquet") if self.parts else pl.LazyFrame(schema=schema)
        return RawTable(frame, malformed(self.rows, self.reasons, self.values), read, notes=tuple(self.notes))


def malformed(rows: Sequence[int] = (), reasons: Sequence[str] = (), values: Sequence[str] = ()) -> pl.DataFrame:
    """Return a frame of rows that could not be parsed: number, reason and content."""
    return pl.DataFrame({"row": pl.Series(rows, dtype=pl.Int64), "reason": text_column(reasons), "offence": text_column(values)})


def stored(frame: pl.LazyFrame, path: Path, last: int = 0) -> pl.LazyFrame:
    """Write a table to disk, so that it is computed once and never whole in memory, and return it from there.

    Parameters
    ----------
    last : number of the last row. Of more than `PIECE` rows so many are written at once: polars reads ahead of slow expressions.
    """
    if last <= PIECE:
        frame.sink_parquet(path, compression="lz4")
        return pl.scan_parquet(path)
    pieces = []
    for begin in range(0, last + 1, PIECE):
        pieces.append(path.with_suffix(f".{begin}.parquet"))
        here = pl.col("row").is_between(begin, begin + PIECE, closed="left")
        frame.filter(here).sink_parquet(pieces[-1], compression="lz4")
    return pl.scan_parquet(pieces)


def text_column(values: Sequence[str | None]) -> pl.Series:
    """Return strings as a column. A lone surrogate, which JSON can express and UTF-8 cannot, becomes U+FFFD."""
    try:
        return pl.Series(values, dtype=pl.String)
    except UnicodeEncodeError:
        return pl.Series([value and re.sub("[\ud800-\udfff]", "\ufffd", value) for value in values], dtype=pl.String)


def as_text_cell(text: pl.Expr) -> pl.Expr:
    """Return text for a csv that may be opened in a spreadsheet: an apostrophe precedes a would-be formula.

    Numbers are not formulas.

    References
    ----------
    OWASP, CSV Injection.
    """
    formula = text.str.contains(FORMULA) & text.cast(pl.Float64, strict=False).is_null()
    return pl.when(formula).then(pl.lit("'") + text).otherwise(text)


def text_cell(value: Any) -> Any:
    """Apply `as_text_cell` to one value; a value that is not a string stays as it is."""
    return pl.select(as_text_cell(pl.lit(value, pl.String))).item() if isinstance(value, str) and re.match(FORMULA, value) else value
