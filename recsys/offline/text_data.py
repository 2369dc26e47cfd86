"""Reads the file of a benchmark of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_text_data(folder: Path, name: str, file: str, columns: Sequence[str]) -> tuple[pl.DataFrame, Path]:
    """Read a Parquet file that lies in a folder, or in its folder `name`; also returns where it was found.

    Raises
    ------
    DataError
        If the file is missing, or lacks a column.
    """
    found = [path for path in (folder / name / file, folder / file) if path.is_file()]
    if not found:
        raise DataError(f"{folder} holds neither {name}/{file} nor {file}: give --data DIR")
    frame = pl.read_parquet(found[0])
    if missing := [column for column in columns if column not in frame.columns]:
        raise DataError(f"{found[0]} has no column {missing[0]}, expected {', '.join(columns)}: give --data DIR")
    return frame, found[0]
