"""Checks the columns of tables over integer rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_columns(table: object, kinds: Mapping[str, type], shape: tuple[int, ...], of: str, advice: str) -> None:
    """Check that columns, which are attributes of a table, have their types and one shape (n,).

    Parameters
    ----------
    of : what messages call the table, such as "the search log".
    advice : what to do.

    Raises
    ------
    DataError
        If one has another type or shape.
    """
    for name, kind in kinds.items():
        column = getattr(table, name)
        if column.dtype != kind or column.shape != shape or column.ndim != 1:
            raise DataError(f"{name} of {of} is {column.dtype} {column.shape}, expected {np.dtype(kind)} {shape}: {advice}")


def check_rows(table: object, ends: Mapping[str, tuple[int, int]], of: str, advice: str) -> None:
    """Check that each column holds rows of another table, low <= row < end; see `check_columns`.

    Raises
    ------
    DataError
        If a row refers to nothing.
    """
    for name, (low, end) in ends.items():
        column = getattr(table, name)
        if len(column) and not low <= column.min() <= column.max() < end:
            found = f"from {column.min()} to {column.max()}"
            raise DataError(f"{name} of {of} runs {found}, expected {low} to {end - 1}: {advice}")
