"""The items that a rule is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, model_validator

from features.data.ids import spellings
from features.errors import DataError
from features.names import ATTRIBUTES, BRAND, GROUP_ID
from ranking.filters import in_categories

if TYPE_CHECKING:
    from features.data.catalog import Catalog

KEYS = ("items", "brands", "categories", "groups", "attributes", "min_margin", "max_margin", "min_stock", "max_stock")


class Selection(BaseModel):
    """Conditions that an item must meet, all of them; of the values of a list any one.

    Attributes
    ----------
    items, groups : ids of items and of products (`group_id`).
    brands : ignoring case.
    categories : as in `ranking.filters.Filters`.
    attributes : as the catalogue's column has them, "seller: acme"; ignoring case.
    min_margin, max_margin : bounds of the margin of one piece, both included; an item of unknown margin meets neither.
    min_stock, max_stock : bounds of the pieces in stock; an item of unknown stock meets neither.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    items: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    min_margin: float | None = None
    max_margin: float | None = None
    min_stock: float | None = None
    max_stock: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any(getattr(self, key) not in ((), None) for key in KEYS):
            raise ValueError(f"no items are named, expected at least one of {', '.join(KEYS)}")
        return self

    @property
    def by_numbers(self) -> bool:
        """Whether margin or stock decides, which change while a bundle is in use."""
        return any(value is not None for value in (self.min_margin, self.max_margin, self.min_stock, self.max_stock))

    def mask(self, catalog: Catalog, margins: np.ndarray) -> np.ndarray:
        """Return the items that meet the conditions, bool (n_items,); names that the catalogue lacks match nothing.

        Parameters
        ----------
        margins : of one piece, float (n_items,), nan where unknown.
        """
        frame = catalog.frame
        mask = np.ones(len(catalog), dtype=bool)
        if self.items:
            mask &= _of_items(catalog, self.items)
        if self.groups:
            mask &= frame[GROUP_ID].is_in(list(self.groups)).fill_null(value=False).to_numpy()
        if self.brands:
            mask &= of_texts(frame[BRAND], self.brands)
        if self.categories:
            mask &= np.any([_in_category(catalog, one) for one in self.categories], axis=0)
        if self.attributes:
            mask &= np.any([with_attribute(frame, one) for one in self.attributes], axis=0)
        for low, high, values in ((self.min_margin, self.max_margin, margins), (self.min_stock, self.max_stock, catalog.stock)):
            if low is not None:
                mask &= values >= low
            if high is not None:
                mask &= values <= high
        return mask


def of_texts(column: pl.Series, wanted: tuple[str, ...]) -> np.ndarray:
    """Return where a column has one of some texts, ignoring case and outer space, bool (n,)."""
    names = [one.strip().lower() for one in wanted]
    return column.str.strip_chars().str.to_lowercase().is_in(names).fill_null(value=False).to_numpy()


def attribute_values(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return each item's value of a named attribute in lower case; null where it has none."""
    parts = frame[ATTRIBUTES].str.to_lowercase().str.split(";")
    table = pl.DataFrame({"parts": parts}).with_row_index("item").explode("parts")
    pair = table.with_columns(pl.col("parts").str.split_exact(":", 1).struct.rename_fields(["name", "value"])).unnest("parts")
    found = pair.filter(pl.col("name").str.strip_chars() == name.strip().lower()).group_by("item").agg(pl.col("value").first())
    whole = table.select("item").unique().join(found, on="item", how="left").sort("item")
    return whole["value"].str.strip_chars()


def with_attribute(frame: pl.DataFrame, wanted: str) -> np.ndarray:
    """Return the items with an attribute such as "seller: acme", bool (n_items,)."""
    name, _, value = wanted.partition(":")
    return (attribute_values(frame, name) == value.strip().lower()).fill_null(value=False).to_numpy()


def _of_items(catalog: Catalog, items: tuple[str, ...]) -> np.ndarray:
    mask = np.zeros(len(catalog), dtype=bool)
    rows = catalog.rows([one for item in items for one in spellings(item)])
    mask[rows[rows >= 0]] = True
    return mask


def _in_category(catalog: Catalog, category: str) -> np.ndarray:
    try:
        return in_categories(catalog, (category,))
    except DataError:  # its last item may have left the catalogue, which must not stop all answers
        return np.zeros(len(catalog), dtype=bool)
