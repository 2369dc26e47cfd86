"""The raw tables of a source: each file is read by the layout of the software that exported it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from features.errors import DataError
from features.ingest.datasets import complete_journey
from features.ingest.formats.canonical import CANONICAL
from features.ingest.formats.known import layout_of
from features.ingest.profile.column_names import other_spellings
from features.ingest.profile.missing_columns import advice
from features.ingest.readers.files import read_head, read_table
from features.ingest.readers.raw_table import ITEM_PREFIX, MissingColumnError, RawTable, TableHead, TableSpec

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
    columns, mapped = _mapped(layout, source.items_columns, head), tuple(source.items_columns)
    spec = TableSpec("items", source.items, columns, ("item_id", "title"), mapped, source.encoding, layout, form.name)
    return _read(spec, head, folder / "raw_items"), log


def _log_spec(source: Source, path: Path) -> tuple[TableSpec, TableHead]:
    head = read_head(path, source.encoding, "interactions")
    form, layout = layout_of(source.format, "interactions", head.names)
    columns = _mapped(layout, source.interactions_columns, head)
    required, mapped = ["user_id", "item_id", "timestamp"], list(source.interactions_columns)
    if source.items is None:
        _, items = layout_of(source.format, "items", head.names)
        carried = _mapped(items, source.items_columns, head)
        columns |= {ITEM_PREFIX + name: theirs for name, theirs in carried.items() if name != "item_id"}
        required.append(ITEM_PREFIX + "title")
        mapped += [ITEM_PREFIX + name for name in source.items_columns if name != "item_id"]
    return TableSpec("interactions", path, columns, tuple(required), tuple(mapped), source.encoding, layout, form.name), head


def _mapped(layout: TableLayout, mapping: Mapping[str, str], head: TableHead) -> dict[str, tuple[str, ...]]:
    """Return the layout's names, our own also as the file spells them, and those that the user mapped in their place."""
    ours = [name for name, theirs in layout.columns.items() if theirs == (name,) and name not in mapping]
    taken = set(mapping.values())
    spelled = {name: (theirs,) for name, theirs in other_spellings(ours, head.names).items() if theirs not in taken}
    return dict(layout.columns) | spelled | {name: (theirs,) for name, theirs in mapping.items()}


def _read(spec: TableSpec, head: TableHead, folder: Path) -> RawTable:
    try:
        table = read_table(spec, folder)
    except MissingColumnError as error:
        if spec.format != CANONICAL.name or (hint := advice(spec, head, error.lacking)) is None:
            raise
        raise DataError(f"{error.found}: {hint}") from error
    frame = table.frame if spec.layout.rows is None else spec.layout.rows(table.frame)
    return replace(table, frame=frame, format=spec.format, head=head, spec=spec)
