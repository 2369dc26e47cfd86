"""Rows that are not kept: those of erased users, those that broke a rule, and tables that have no others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.errors import DataError
from features.ingest.optional_tables import OPTIONAL
from features.ingest.summary import TableSummary
from features.ingest.table_store import ERASED
from features.text.plain import agree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from features.ingest.erased_users import ErasedUsers
    from features.ingest.readers.raw_table import RawTable
    from features.ingest.rules.checked_table import CheckedTable

AT_ONCE = 10_000_000  # rows of a table, of which the refused ones are in memory together


def without_erased(erased: ErasedUsers, log: RawTable, rules: CheckedTable) -> tuple[RawTable, pl.LazyFrame]:
    """Refuse the rows of erased users. The content of malformed rows is dropped too, because it may be theirs."""
    checked, spellings = rules.frame, rules.spellings
    gone = erased.among(checked.select("user_id").unique().collect(engine="streaming")["user_id"].drop_nulls())
    # The list may hold an id as an earlier version read it.
    gone += [after for before, after in spellings.iter_rows() if erased.has(before)]
    reason = pl.when(pl.col("user_id").is_in(gone)).then(pl.lit(ERASED)).otherwise("reason")
    return replace(log, malformed=log.malformed.with_columns(offence=pl.lit(""))), checked.with_columns(reason=reason)


def require_rows(name: str, raw: RawTable, checked: pl.LazyFrame, advice: Mapping[str, str]) -> None:
    """Raise DataError with the reasons, an example and what to do, if a table has no row that can be used."""
    if raw.read == 0:
        raise DataError(f"the {name} has no rows, expected at least one: export it again, or name another file")
    if checked.filter(pl.col("reason").is_null()).head(1).collect().height:
        return
    counts, first = [], None
    for refused in refused_rows(raw, checked):
        counts.append(reasons_of(refused))
        first = first or next(refused.iter_rows(), None)
    assert first is not None
    row, reason, value = first
    summary = TableSummary(name, raw.read, 0, reason_counts(counts))
    if set(summary.reasons) == {ERASED}:
        if name in [one.title for one in OPTIONAL.values()]:  # a shop can do without
            return
        raise DataError(f"all {raw.read:,} rows of the {name} are of erased users: ingest a log that has others")
    example = f", such as {value!r} in row {row:,}" if len(summary.reasons) == 1 else f"; row {row:,}: {reason}: {value!r}"
    none = agree(raw.read, f"the one row of the {name} cannot", f"not one of the {raw.read:,} rows of the {name} can")
    what = f"{none} be used ({summary.why}{example})"
    raise DataError(f"{what}: {advice.get(next(iter(summary.reasons))) or advice.get(reason) or _advice(reason)}")


def _advice(reason: str) -> str:
    if "damaged text" in reason:
        return "set source.encoding: bytes of the file are of another one"
    return "export it again with the ids as text" if "rounded" in reason else "correct the export, or map another column"


def refused_rows(raw: RawTable, checked: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Yield row, reason and offence of the rows that broke a rule or could not be parsed, in order, those of `AT_ONCE` rows each."""
    columns = ("row", "reason", "offence")
    rows = pl.concat([checked.select("row"), raw.malformed.lazy().select("row")])
    last: int = rows.select(pl.col("row").cast(pl.Int64).max()).collect(engine="streaming").item() or 0
    for begin in range(0, last + 1, AT_ONCE):
        here = pl.col("row").is_between(begin, begin + AT_ONCE, closed="left")
        broken = checked.filter(pl.col("reason").is_not_null() & here).select(columns).collect(engine="streaming")
        yield pl.concat([broken, raw.malformed.filter(here).select(columns)]).sort("row", maintain_order=True)


def reasons_of(refused: pl.DataFrame) -> pl.DataFrame:
    """Return `reason` and its number of rows, `len`, in some of the refused rows."""
    return refused.group_by("reason").len()


def reason_counts(counts: Iterable[pl.DataFrame]) -> dict[str, int]:
    """Return reason -> number of rows, most frequent first, of several `reasons_of`."""
    total = pl.concat(counts).group_by("reason").agg(pl.col("len").sum())
    return dict(total.sort(["len", "reason"], descending=[True, False]).iter_rows())
