"""The catalogue of the shop's items. External ids are strings; all other code refers to an item by its row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.ids import spellings
from features.errors import DataError
from features.names import (
    ATTRIBUTES,
    AVAILABLE,
    BARCODE,
    BRAND,
    CATEGORY,
    CREATED_AT,
    DESCRIPTION,
    GROUP_ID,
    ITEM_ID,
    MARGIN,
    PRICE,
    STOCK,
    TITLE,
)
from features.text.plain import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Canonical columns and their types. Only item_id and title are required.
ITEM_COLUMNS: dict[str, pl.DataType] = {
    ITEM_ID: pl.String(),
    TITLE: pl.String(),
    DESCRIPTION: pl.String(),
    BRAND: pl.String(),
    CATEGORY: pl.String(),
    PRICE: pl.Float64(),
    AVAILABLE: pl.Boolean(),
    CREATED_AT: pl.Datetime("us"),
    GROUP_ID: pl.String(),
    ATTRIBUTES: pl.String(),
    BARCODE: pl.String(),
    MARGIN: pl.Float64(),
    STOCK: pl.Float64(),
}


@dataclass(frozen=True)
class Catalog:
    """Items, one per row, sorted by `item_id`; validated on construction.

    Attributes
    ----------
    frame : pl.DataFrame
        All columns of `ITEM_COLUMNS`. Missing values are null; `available` defaults to true.

    Raises
    ------
    DataError
        If an id is null or duplicated, or a title is null.
    """

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        if self.frame.columns != list(ITEM_COLUMNS):
            raise DataError(f"catalogue columns are {self.frame.columns}, expected {list(ITEM_COLUMNS)}: use Catalog.from_frame")
        nulls = self.frame.select(pl.col("item_id", "title").null_count()).row(0)
        if any(nulls):
            raise DataError(f"catalogue has {nulls[0]} rows without item_id and {nulls[1]} without title: run `recsys ingest` on it first")
        if self.frame["item_id"].n_unique() != self.frame.height:
            twice = self.frame.filter(pl.col("item_id").is_duplicated())["item_id"][0]
            raise DataError(f"item_id {twice!r} occurs more than once in the catalogue: run `recsys ingest` on it first")

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Catalog:
        """Build a catalogue from a table with at least item_id and title; drop unknown columns.

        Raises
        ------
        DataError
            If a required column is missing, or the rows are not a valid catalogue.
        """
        missing = {"item_id", "title"} - set(frame.columns)
        if missing:
            raise DataError(f"the catalogue lacks {sorted(missing)}; found {frame.columns}: map your names in recsys.toml")
        columns = [
            (pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name)) for name, kind in ITEM_COLUMNS.items()
        ]
        return cls(frame.select(columns).with_columns(pl.col("available").fill_null(True)).sort("item_id"))

    def __len__(self) -> int:
        return self.frame.height

    @cached_property
    def ids(self) -> np.ndarray:
        """External id of each row, object (n,)."""
        return self.frame["item_id"].to_numpy()

    @cached_property
    def available(self) -> np.ndarray:
        """Whether the item may be sold now, bool (n,)."""
        return self.frame["available"].to_numpy()

    @cached_property
    def stock(self) -> np.ndarray:
        """Pieces of each item, float64 (n,); nan where unknown."""
        return self.frame[STOCK].to_numpy().astype(np.float64)

    @cached_property
    def groups(self) -> np.ndarray | None:
        """Code of each item's group, int64 (n,); an item without a group is one of its own. None: no group has two items."""
        codes = self.codes(GROUP_ID).astype(np.int64)
        alone = codes < 0
        codes[alone] = len(codes) + np.arange(int(alone.sum()))
        return codes if len(np.unique(codes)) < len(codes) else None

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.frame["item_id"].to_list())}

    def rows(self, item_ids: Iterable[str]) -> np.ndarray:
        """Return the row of each external id, int64 (n,); -1 where the catalogue has no such item."""
        return np.array([self._row_of.get(item, -1) for item in item_ids], dtype=np.int64)

    def rows_or_raise(self, item_ids: Sequence[str]) -> np.ndarray:
        """Return the row of each external id, int64 (n,), whatever its spelling (`features.data.ids`).

        Raises
        ------
        DataError
            If an id is not in the catalogue.
        """
        rows = self.rows(item_ids)
        for place in np.flatnonzero(rows < 0).tolist():
            rows[place] = self.rows(spellings(item_ids[place])).max()
        if (rows < 0).any():
            unknown = item_ids[int(np.argmax(rows < 0))]
            cases = [one for one in (unknown.lower(), unknown.upper()) if self.rows([one]).max() >= 0]
            meant = f"did you mean {cases[0]!r}? " if cases else ""
            found = f"item {unknown!r} is not in the catalogue of {counted(len(self), 'item')}"
            raise DataError(f"{found}: {meant}check the id, or ingest and refresh first")
        return rows

    def spelt(self, item_id: str) -> str:
        """Return an id as the catalogue has it; as it is where the catalogue lacks it."""
        return next((one for one in spellings(item_id) if one in self._row_of), item_id)

    def codes(self, column: str) -> np.ndarray:
        """Return an integer code for each item's value in a text column, int32 (n,); -1 where it is null."""
        ranks = self.frame[column].rank("dense").cast(pl.Int32) - 1
        return ranks.fill_null(-1).to_numpy()
