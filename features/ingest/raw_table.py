"""What readers are asked for and what they give: a specification in, a raw table of numbered rows out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from features.errors import DataError, disk_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ITEM_PREFIX = "item:"  # columns of the catalogue that are read from the log's rows
MAX_MALFORMED = 1_000_000  # more than this is another format, not some broken rows
FORMULA = r"^[=+\-@\t\r]"
SHOWN = 60  # characters of an offending value that are kept


@dataclass(frozen=True)
class TableSpec:
    """One table to read: where it is, and under which names each of our columns may be found.

    `columns`: our name -> their names, the first with a value wins. `mapped`: names the user chose, which therefore must be there.
    """

    name: str
    path: Path
    columns: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]
    mapped: tuple[str, ...] = ()
    encoding: str = "utf-8"
    amazon: bool = False

    def find(self, found: Sequence[str]) -> dict[str, list[str]]:
        """Our name -> their names that are among those found.

        Raises
        ------
        DataError: a required or mapped column is not there.
        """
        present = {ours: [name for name in theirs if name in found] for ours, theirs in self.columns.items()}
        lacking = [name for name in (*self.required, *self.mapped) if not present[name]]
        if lacking:
            raise DataError(f"{self.path} has no {self._wanted(lacking)}; it has: {', '.join(found[:20])}: {self._advice(lacking[0])}")
        return {ours: theirs for ours, theirs in present.items() if theirs}

    def _wanted(self, lacking: Sequence[str]) -> str:
        def describe(name: str) -> str:
            ours, theirs = name.removeprefix(ITEM_PREFIX), self.columns[name]
            return ours if theirs == (ours,) else f"{ours} (looked for {' or '.join(theirs)})"

        return ", ".join(dict.fromkeys(describe(name) for name in lacking))

    def _advice(self, lacking: str) -> str:
        if self.amazon:
            return "is it of the Amazon layout? If not, leave the format out"
        if lacking.startswith(ITEM_PREFIX):
            return "name a file of items, or say under [source.items_columns] which column of the log it is"
        return f"say under [source.{self.name}_columns] which one it is"


@dataclass(frozen=True)
class RawTable:
    """What a file holds. `frame`: `row` and the columns found, as text (native dates stay dates). `malformed`: row, reason, offence."""

    frame: pl.LazyFrame
    malformed: pl.DataFrame
    read: int


@dataclass
class Spool:
    """Collects a file's rows as Parquet parts in a folder, and its malformed rows."""

    spec: TableSpec
    folder: Path
    parts: int = 0
    rows: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)

    def add(self, frame: pl.DataFrame) -> None:
        # Told here: around it, whatever is refused is taken for a fault of the file that is read.
        with disk_errors(self.folder, "written"):
            self.folder.mkdir(exist_ok=True)
            frame.write_parquet(self.folder / f"{self.parts:06}.parquet", compression="lz4")
        self.parts += 1

    @property
    def full(self) -> bool:
        """Whether so many rows are malformed that the file must be of another kind."""
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
        return RawTable(frame, malformed(self.rows, self.reasons, self.values), read)


def malformed(rows: Sequence[int] = (), reasons: Sequence[str] = (), values: Sequence[str] = ()) -> pl.DataFrame:
    """Rows that could not be parsed, with their numbers, the reason and what stood there."""
    return pl.DataFrame({"row": pl.Series(rows, dtype=pl.Int64), "reason": text_column(reasons), "offence": text_column(values)})


def text_column(values: Sequence[str | None]) -> pl.Series:
    """Strings as a column; a lone surrogate, which JSON can spell and UTF-8 cannot, becomes U+FFFD."""
    try:
        return pl.Series(values, dtype=pl.String)
    except UnicodeEncodeError:
        return pl.Series([value and re.sub("[\ud800-\udfff]", "\ufffd", value) for value in values], dtype=pl.String)


def as_text_cell(text: pl.Expr) -> pl.Expr:
    """A text for a csv that somebody may open in a spreadsheet: what would be taken for a formula gets an apostrophe before it.

    OWASP, CSV Injection. Numbers are none.
    """
    formula = text.str.contains(FORMULA) & text.cast(pl.Float64, strict=False).is_null()
    return pl.when(formula).then(pl.lit("'") + text).otherwise(text)


def text_cell(value: Any) -> Any:
    """`as_text_cell` for one value; what is no text stays as it is."""
    return pl.select(as_text_cell(pl.lit(value, pl.String))).item() if isinstance(value, str) and re.match(FORMULA, value) else value
