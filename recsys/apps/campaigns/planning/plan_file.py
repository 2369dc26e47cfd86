"""Writes a plan: after sending, with `redeemed_at` filled in, it is ingested as campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.errors import DataError, disk_errors

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl


def write_plan(frame: pl.DataFrame, path: Path) -> None:
    """Write the plan as .csv, .jsonl or .parquet.

    Raises
    ------
    DataError
        If its ending is another one, or it cannot be written.
    """
    writers = {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}
    if path.suffix not in writers:
        raise DataError(f"the plan is to be written to {path}, expected a name that ends in {', '.join(writers)}")
    with disk_errors(path, "written"):
        writers[path.suffix](path)
