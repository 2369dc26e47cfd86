"""The reader of Parquet files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.values.ids import as_text
from features.ingest.values.named_values import attributes_expression, holds_attributes
from features.ingest.values.nested import Losses, names_for, separator_for, struct_losses, text_expression

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from features.ingest.readers.raw_table import RawTable, Spool


def read_parquet(spool: Spool) -> RawTable:
    """Read a Parquet file; each column that is no date becomes text."""
    spec = spool.spec
    frame = pl.scan_parquet(spec.path).with_row_index("row", offset=1)
    if spec.layout.nested is not None:
        frame = spec.layout.nested(frame)
    schema = frame.collect_schema()
    found = spec.find(schema.names())
    columns = [pl.coalesce([_as_text(name, schema[name], ours) for name in theirs]).alias(ours) for ours, theirs in found.items()]
    # Copied, so that a damaged page is detected here and not later.
    spool.folder.mkdir()
    frame.select(pl.col("row").cast(pl.Int64), *columns).sink_parquet(spool.folder / "0.parquet", compression="lz4")
    spool.parts = 1
    return replace(spool.table(frame.select(pl.len()).collect().item()), notes=tuple(_notes(frame, found)))


def _as_text(name: str, kind: pl.DataType, ours: str) -> pl.Expr:
    """Return a column as text. Dates stay dates, in UTC without zone."""
    column = pl.col(name)
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if isinstance(kind, pl.Datetime | pl.Date):
        return column.cast(pl.Datetime("us"))
    if not kind.is_nested():
        return as_text(column, kind)
    if holds_attributes(ours):
        return attributes_expression(column, kind)
    return text_expression(column, kind, separator_for(ours), names_for(ours))


def _notes(frame: pl.LazyFrame, found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    schema = frame.collect_schema()
    for ours, theirs in found.items():
        if holds_attributes(ours):
            continue
        losses = Losses()
        for name in theirs:
            struct_losses(frame, name, schema[name], names_for(ours), losses)
        yield from losses.notes(ours)
