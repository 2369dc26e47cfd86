"""The reader of Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from features.ingest.readers.raw_table import RawTable, Spool


def read_parquet(spool: Spool) -> RawTable:
    """Read a Parquet file; each column that is no date becomes text."""
    spec = spool.spec
    frame = pl.scan_parquet(spec.path).with_row_index("row", offset=1)
    if spec.layout.nested is not None:
        frame = spec.layout.nested(frame)
    schema = frame.collect_schema()
    found = spec.find(schema.names())
    columns = [
        pl.coalesce([_as_text(name, schema[name], "|" if ours.endswith("category") else " ") for name in theirs]).alias(ours)
        for ours, theirs in found.items()
    ]
    # Copied, so that a damaged page is detected here and not later.
    spool.folder.mkdir()
    frame.select(pl.col("row").cast(pl.Int64), *columns).sink_parquet(spool.folder / "0.parquet", compression="lz4")
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
