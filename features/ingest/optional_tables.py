"""The tables that a shop may bring beside its catalogue and its log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from features.data.queries import QUERY_COLUMNS
from features.data.reviews import REVIEW_COLUMNS
from features.names import ITEM_ID, QUERY, ROW, STARS, TEXT, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


OptionalName = Literal["queries", "reviews"]


@dataclass(frozen=True)
class OptionalTable:
    """One of them.

    Attributes
    ----------
    name : key of the source, and name in the quarantine.
    title : what messages call it, after "the".
    columns : canonical columns as they are stored.
    required : columns that its file must have.
    either : columns of which its file must have one.
    """

    name: OptionalName
    title: str
    columns: Mapping[str, pl.DataType] = field(repr=False)
    required: tuple[str, ...]
    either: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Name of the file that it is stored in."""
        return f"{self.name}.parquet"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that its file may have."""
        return tuple(name for name in self.columns if name != ROW)


QUERIES = OptionalTable("queries", "search log", QUERY_COLUMNS, (QUERY, TIMESTAMP))
REVIEWS = OptionalTable("reviews", "table of reviews", REVIEW_COLUMNS, (ITEM_ID,), (TEXT, STARS))
OPTIONAL: dict[OptionalName, OptionalTable] = {one.name: one for one in (QUERIES, REVIEWS)}
FILES = ("items", "interactions", *OPTIONAL)  # keys of a source that name its files
