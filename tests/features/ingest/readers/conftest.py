"""A file as its reader gives it: rows with their numbers, rows set aside, and notes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from features.ingest.formats.layout import TableLayout
from features.ingest.readers.files import read_head, read_table
from features.ingest.readers.raw_table import RawTable, TableSpec

NAMES = ("item_id", "title", "price")
Read = Callable[..., RawTable]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write bytes to a file and read it, which checks that every row is accounted for."""

    def read_bytes(content: bytes, name: str = "items.csv", encoding: str | None = None, layout: TableLayout | None = None) -> RawTable:
        path = tmp_path / name
        path.write_bytes(content)
        spec = TableSpec("items", path, {one: (one,) for one in NAMES}, ("item_id",), encoding=encoding, layout=layout or TableLayout({}))
        read_head(path, encoding, "items")
        table = read_table(spec, tmp_path / f"{name}.rows")
        assert table.frame.collect().height + table.malformed.height == table.read
        return table

    return read_bytes


def rows(table: RawTable) -> list[tuple[object, ...]]:
    """Return number and title of each row."""
    return table.frame.select("row", "title").collect().rows()


def set_aside(table: RawTable) -> list[tuple[object, ...]]:
    """Return number and reason of each malformed row."""
    return table.malformed.sort("row").select("row", "reason").rows()
