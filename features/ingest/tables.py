"""The raw tables of a source: each file is read by the layout of the software that exported it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.errors import DataError
from features.ingest.datasets import complete_journey, complete_journey_campaigns
from features.ingest.formats.canonical import CANONICAL
from features.ingest.formats.known import layout_of, layouts
from features.ingest.formats.layout import KEYS, REFUSED, REMARK, TableLayout
from features.ingest.formats.orders import without_cancelled
from features.ingest.help_pages.markdown import is_pages, read_pages
from features.ingest.optional_tables import OPTIONAL
from features.ingest.profile.column_names import other_spellings
from features.ingest.profile.missing_columns import advice
from features.ingest.readers.files import read_head, read_table
from features.ingest.readers.raw_table import ATTRIBUTE_PREFIX, ITEM_PREFIX, MissingColumnError, RawTable, TableHead, TableSpec, stored
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from features.ingest.formats.layout import Format
    from features.ingest.optional_tables import OptionalName, Table
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
    log = _read(*_log_spec(source, source.interactions), source, folder / "raw_log")
    if source.items is None:
        return None, log
    items = raw_items(source, source.items, folder)
    return items, _matched(log, items, source.interactions.name, folder / "matched.parquet")


def raw_items(source: Source, path: Path, folder: Path) -> RawTable:
    """Return the raw catalogue of a file. Raises DataError like `raw_tables`."""
    head = read_head(path, source.encoding, "items")
    form, layout, note = _layout(source, "items", path, head)
    columns, mapped = _mapped(layout, source.items_columns, head), tuple(source.items_columns)
    spec = TableSpec("items", path, columns, ("item_id", "title"), mapped, source.encoding, layout, form.name)
    return _read(spec, head, note, source, folder / "raw_items")


def raw_optional(source: Source, folder: Path) -> dict[OptionalName, RawTable]:
    """Return the raw optional tables that the shop has. Raises DataError like `raw_tables`."""
    given: dict[OptionalName, RawTable] = {
        name: _raw_optional(source, name, path, folder) for name in OPTIONAL if (path := getattr(source, name)) is not None
    }
    return (complete_journey_campaigns() | given) if source.dataset is not None else given


def _raw_optional(source: Source, name: OptionalName, path: Path, folder: Path) -> RawTable:
    one, mapping = OPTIONAL[name], getattr(source, f"{name}_columns")
    if name == "help_pages" and is_pages(path):
        spec = TableSpec(name, path, layouts(CANONICAL, name)[0].columns, one.required, encoding=source.encoding, format="markdown")
        return read_pages(spec, folder / f"raw_{name}")
    head = read_head(path, source.encoding, name)
    form, layout, note = _layout(source, name, path, head)
    columns = _mapped(layout, mapping, head)
    if name == "customers":
        columns |= {ATTRIBUTE_PREFIX + theirs: (theirs,) for theirs in source.customers_attributes}
    found = [ours for ours in one.either if set(columns[ours]) & set(head.names)]
    required = (*one.required, *(found or one.either)[:1])
    spec = TableSpec(name, path, columns, required, tuple(mapping), source.encoding, layout, form.name)
    return _read(spec, head, note, source, folder / f"raw_{name}")


def _log_spec(source: Source, path: Path) -> tuple[TableSpec, TableHead, str | None]:
    head = read_head(path, source.encoding, "interactions")
    form, layout, note = _layout(source, "interactions", path, head)
    columns = _mapped(layout, source.interactions_columns, head)
    required, mapped = ["user_id", "item_id", "timestamp"], list(source.interactions_columns)
    if source.items is None:
        carried = _mapped(TableLayout(layout.carried or layouts(CANONICAL, "items")[0].columns), source.items_columns, head)
        columns |= {ITEM_PREFIX + name: theirs for name, theirs in carried.items() if name != "item_id"}
        required.append(ITEM_PREFIX + "title")
        mapped += [ITEM_PREFIX + name for name in source.items_columns if name != "item_id"]
    return TableSpec("interactions", path, columns, tuple(required), tuple(mapped), source.encoding, layout, form.name), head, note


def _layout(source: Source, table: Table, path: Path, head: TableHead) -> tuple[Format, TableLayout, str | None]:
    """Return a table's format and layout, and a note if they were recognised by the header.

    A mapping of the ids says that the user knows the file: then a format counts only if it is named.
    """
    form, layout = layout_of(source.format, table, head.names)
    if form.name in (source.format, "canonical"):
        return form, layout, None
    what = f"note: {path.name} looks like {form.title}"
    if "item_id" in getattr(source, f"{table}_columns"):
        ours = CANONICAL, layouts(CANONICAL, table)[0]
        return *ours, f"{what}, and is read by your names under [source.{table}_columns]: leave them out to read it as format {form.name}"
    return form, layout, f'{what}: read as format {form.name}; source.format = "canonical" reads our names'


def _mapped(layout: TableLayout, mapping: Mapping[str, str], head: TableHead) -> dict[str, tuple[str, ...]]:
    """Return the layout's names, our own also as the file spells them, and those that the user mapped in their place."""
    # Records that a layout takes apart have its own names, whatever the file's are.
    ours = [name for name, theirs in layout.columns.items() if theirs == (name,) and name not in mapping and layout.records is None]
    taken = set(mapping.values())
    spelled = {name: (theirs,) for name, theirs in other_spellings(ours, head.names).items() if theirs not in taken}
    return dict(layout.columns) | spelled | {name: (theirs,) for name, theirs in mapping.items()}


def _read(spec: TableSpec, head: TableHead, note: str | None, source: Source, folder: Path) -> RawTable:
    """Read a file and complete its rows by the layout. What costs a pass over the rows is written to disk, to be computed once."""
    table = _found(spec, head, folder)
    frame, notes = table.frame, [*table.notes, *([note] if note else [])]
    if spec.layout.rows is not None:
        frame = _completed(spec, frame, source)
    if spec.name == "interactions":
        frame, said = without_cancelled(frame, source.statuses, spec.path.name)
        notes += said
    if frame is not table.frame:
        frame = stored(frame, folder.with_name(f"{folder.name}.parquet"))
        notes += _remarks(frame, spec.path.name)
    return replace(table, frame=frame, format=spec.format, head=head, spec=spec, notes=tuple(notes))


def _completed(spec: TableSpec, frame: pl.LazyFrame, source: Source) -> pl.LazyFrame:
    assert spec.layout.rows is not None
    found = frame.collect_schema()
    mine = [name for name in spec.mapped if name in found]  # the user's word goes before the layout's
    frame = spec.layout.rows(frame.with_columns(pl.col(name).alias(f"mapped {name}") for name in mine), source)
    carried = {name: pl.col(f"mapped {name}") for name in mine if found[name] != pl.String} | {
        name: pl.coalesce(pl.when(pl.col(f"mapped {name}").str.strip_chars() != "").then(f"mapped {name}"), name)
        for name in mine
        if found[name] == pl.String
    }
    return frame.with_columns(**carried).drop(f"mapped {name}" for name in mine)


def _remarks(frame: pl.LazyFrame, name: str) -> list[str]:
    """Return a note for each remark, with its count and an example."""
    if REMARK not in frame.collect_schema():
        return []
    remarks = frame.filter(pl.col(REMARK).is_not_null()).group_by(REMARK).agg(pl.len(), pl.col("item_id").first()).sort("len", REMARK)
    return [
        f"note: {name}: {counted(count, 'item')} {agree(count, 'is', 'are')} {text} (such as {item})"
        for text, count, item in remarks.collect().iter_rows()
    ]


def _matched(log: RawTable, items: RawTable, name: str, path: Path) -> RawTable:
    """Give lines whose item id is none of the catalogue's the item of the same sku, or else of the same name, where it is only one."""
    theirs, ours = items.frame.collect_schema(), log.frame.collect_schema()
    keys = [key for key in KEYS if key in theirs]
    if not keys or ours["item_id"] != pl.String:
        return log
    catalogue = items.frame.filter(pl.col(REFUSED).is_null()) if REFUSED in theirs else items.frame
    frame = log.frame.with_columns(_id=pl.col("item_id").str.strip_chars())
    known = catalogue.select(_id=pl.col("item_id").str.strip_chars(), _known=pl.lit(True)).unique("_id")
    frame = frame.join(known, on="_id", how="left", maintain_order="left")
    for key in keys:
        of_key = catalogue.filter(pl.col(key).is_not_null()).group_by(pl.col(key).alias("_key"))
        one = of_key.agg(_found=pl.col("item_id").first(), _many=pl.col("item_id").n_unique()).filter(pl.col("_many") == 1).drop("_many")
        frame = frame.with_columns(_key=pl.col(key).str.strip_chars() if key in ours else pl.col("_id"))
        frame = frame.join(one, on="_key", how="left", maintain_order="left")
        new = pl.when(pl.col("_known").is_null()).then("_found")
        frame = frame.with_columns(_id=pl.coalesce(new, "_id"), _known=pl.coalesce("_known", new.is_not_null().replace(False, None)))
        frame = frame.drop("_found", "_key")
    changed = (pl.col("_id") != pl.col("item_id").str.strip_chars()) | (pl.col("item_id").is_null() & pl.col("_id").is_not_null())
    frame = stored(frame.with_columns(_changed=changed.fill_null(False)).drop("_known"), path)
    examples = frame.filter("_changed").select(pl.len(), pl.col("item_id").first(), pl.col("_id").first().alias("found")).collect()
    count, was, found = examples.row(0)
    frame = frame.with_columns(item_id="_id").drop("_id", "_changed")
    if not count:
        return replace(log, frame=frame)
    by = f"{agree(count, 'finds its item', 'find their items')} by sku or name, not by item_id"
    note = f"note: {name}: {counted(count, 'row')} {by} ({was!r} is {found!r})"
    return replace(log, frame=frame, notes=(*log.notes, note))


def _found(spec: TableSpec, head: TableHead, folder: Path) -> RawTable:
    try:
        return read_table(spec, folder)
    except MissingColumnError as error:
        if spec.format != CANONICAL.name or (hint := advice(spec, head, error.lacking)) is None:
            raise
        raise DataError(f"{error.found}: {hint}") from error
