"""The raw tables of a source: each file is read by the layout of the software that exported it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from features.ingest.datasets import complete_journey
from features.ingest.formats.known import layout_of
from features.ingest.readers.files import read_head, read_table
from features.ingest.readers.raw_table import ITEM_PREFIX, RawTable, TableHead, TableSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from features.ingest.formats.layout import TableLayout
    from features.ingest.source import Source


def raw_tables(source: Source, folder: Path) -> tuple[RawTable | None, RawTable]:
    """Return the raw catalogue and log; no catalogue where it is taken from the log.

    Raises
    ------
    DataError
        If a file cannot be read, or a required column is missing.
    """
    if source.dataset is not None or source.interactions is None:
        return complete_journey()
    log = _read(*_log_spec(source, source.interactions), folder / "raw_log")
    if source.items is None:
        return None, log
    head = read_head(source.items, source.encoding, "items")
    form, layout = layout_of(source.format, "items", head.names)
    columns, mapped = _mapped(layout, source.items_columns), tuple(source.items_columns)
    spec = TableSpec("items", source.items, columns, ("item_id", "title"), mapped, source.encoding, layout, form.name)
    return _read(spec, head, folder / "raw_items"), log


def _log_spec(source: Source, path: Path) -> tuple[TableSpec, TableHead]:
    head = read_head(path, source.encoding, "interactions")
    form, layout = layout_of(source.format, "interactions", head.names)
    columns = _mapped(layout, source.interactions_columns)
    required, mapped = ["user_id", "item_id", "timestamp"], list(source.interactions_columns)
    if source.items is None:
        _, items = layout_of(source.format, "items", head.names)
        carried = _mapped(items, source.items_columns)
        columns |= {ITEM_PREFIX + name: theirs for name, theirs in carried.items() if name != "item_id"}
        required.append(ITEM_PREFIX + "title")
        mapped += [ITEM_PREFIX + name for name in source.items_columns if name != "item_id"]
    return TableSpec("interactions", path, columns, tuple(required), tuple(mapped), source.encoding, layout, form.name), head


def _mapped(layout: TableLayout, mapping: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the layout's names, those that the user mapped in their place."""
    return dict(layout.columns) | {ours: (theirs,) for ours, theirs in mapping.items()}


def _read(spec: TableSpec, head: TableHead, folder: Path) -> RawTable:
    table = read_table(spec, folder)
    frame = table.frame if spec.layout.rows is None else spec.layout.rows(table.frame)
    return replace(table, frame=frame, format=spec.format, head=head)
