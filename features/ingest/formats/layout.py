"""The layout of a shop software's export: under which names its tables hold our columns, and how its records become rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

    from features.ingest.optional_tables import OptionalName
    from features.ingest.source import Source

Record = dict[str, Any]

REFUSED = "refused"  # column: why the layout refuses the row
REMARK = "remark"  # column: what is to be said of the row, which is kept
PRIVATE = "_"  # begins the names of columns that only a layout reads

# Columns by which a line of the log finds its item where the id is another one: both tables have them.
SKU, NAME = "_sku", "_name"
KEYS = (SKU, NAME)


@dataclass(frozen=True)
class TableLayout:
    """Layout of one table of an export.

    Attributes
    ----------
    columns : canonical name -> names in the export; the first one with a value wins. Names that begin with an underscore are columns
        that only `rows` reads.
    signs : names of columns by which the export is recognised: a header that has all of them is of this layout.
    records : of a JSON or XML record, the rows that it stands for: an order gives one row for each of its lines.
    nested : the same for the nested columns of a Parquet file.
    rows : completes raw canonical columns, such as an order's date that only its first line has. It gets the columns that were found,
        as text, and `row`; it may add `refused` and `remark`.
    carried : of a log, the columns of the catalogue that its rows hold.
    python : whether a line may be a Python literal instead of JSON.
    """

    columns: Mapping[str, tuple[str, ...]]
    signs: frozenset[str] = frozenset()
    records: Callable[[Record], Iterable[Record]] | None = None
    nested: Callable[[pl.LazyFrame], pl.LazyFrame] | None = None
    rows: Callable[[pl.LazyFrame, Source], pl.LazyFrame] | None = None
    carried: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    python: bool = False


@dataclass(frozen=True)
class Format:
    """The export of one shop software.

    Attributes
    ----------
    name : value of `source.format`.
    title : name of the software, for messages.
    items, interactions : layouts of the tables, the most recent first. Empty where the software exports no such table: then the table
        is recognised by its header.
    optional : the same of the optional tables that the software exports.
    defaults : keys of the source -> the values that the software's logs need, where the user gives none.
    """

    name: str
    title: str
    items: tuple[TableLayout, ...] = ()
    interactions: tuple[TableLayout, ...] = ()
    optional: Mapping[OptionalName, tuple[TableLayout, ...]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
