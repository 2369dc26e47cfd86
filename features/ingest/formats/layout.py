"""The layout of a shop software's export: under which names its tables hold our columns, and how its records become rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

Record = dict[str, Any]


@dataclass(frozen=True)
class TableLayout:
    """Layout of one table of an export.

    Attributes
    ----------
    columns : canonical name -> names in the export; the first one with a value wins.
    signs : names of columns by which the export is recognised: a header that has all of them is of this layout.
    records : of a JSON or XML record, the rows that it stands for: an order gives one row for each of its lines.
    rows : completes raw canonical columns, such as an order's date that only its first line has. It gets the columns that were found,
        as text, and `row`.
    python : whether a line may be a Python literal instead of JSON.
    """

    columns: Mapping[str, tuple[str, ...]]
    signs: frozenset[str] = frozenset()
    records: Callable[[Record], Iterable[Record]] | None = None
    rows: Callable[[pl.LazyFrame], pl.LazyFrame] | None = None
    python: bool = False


@dataclass(frozen=True)
class Format:
    """The export of one shop software.

    Attributes
    ----------
    name : value of `source.format`.
    title : name of the software, for messages.
    items, interactions : layouts of the two tables, the most recent first. Empty where the software exports no such table: then
        the canonical layout is taken.
    """

    name: str
    title: str
    items: tuple[TableLayout, ...] = ()
    interactions: tuple[TableLayout, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
