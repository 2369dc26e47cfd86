"""A request's filters as a mask over the catalogue. Retrieval searches within the mask, so k items still come back."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.prices import limit
from features.errors import DataError

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.histories import Histories


@dataclass(frozen=True)
class Filters:
    """Conditions that a recommended item must meet.

    Attributes
    ----------
    categories : the item is in any of them. Each is a path from the top ("Grocery|Dairy"), its beginning ("Grocery") or
        one name within ("Dairy"); case does not matter.
    min_price, max_price : inclusive bounds; with either, items of unknown price are excluded.
    in_stock : the item is available.
    exclude : excluded catalogue rows; -1 stands for an unknown item and is ignored.
    new_only : the user has never bought the item, however long ago; views and carts do not count.

    Raises
    ------
    DataError
        If a price bound is negative or nan, or the lower one exceeds the upper one.
    """

    categories: tuple[str, ...] = ()
    min_price: float | None = None
    max_price: float | None = None
    in_stock: bool = False
    exclude: tuple[int, ...] = ()
    new_only: bool = False

    def __post_init__(self) -> None:
        for name, price in (("min_price", self.min_price), ("max_price", self.max_price)):
            if price is not None and not price >= 0:
                raise DataError(f"{name} is {price}, expected 0 or more: correct it")
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise DataError(f"min_price {self.min_price} is above max_price {self.max_price}: no item can be within, swap them")

    def allowed(self, catalog: Catalog, prices: np.ndarray, users: Histories) -> np.ndarray:
        """Return which items pass: bool (n_items,), or (b, n_items) if it depends on the user.

        Parameters
        ----------
        prices : the items' current prices, float (n_items,), exact (`features.data.prices`), nan where unknown.

        Raises
        ------
        DataError
            If no item is in one of the categories.
        """
        mask = catalog.available.copy() if self.in_stock else np.ones(len(catalog), dtype=bool)
        if self.categories:
            mask &= in_categories(catalog, self.categories)
        if self.min_price is not None:
            mask &= prices >= limit(self.min_price)
        if self.max_price is not None:
            mask &= prices <= limit(self.max_price)
        mask[[row for row in self.exclude if row >= 0]] = False
        if not self.new_only:
            return mask
        each = np.tile(mask, (len(users), 1))
        bought = users.purchases
        each[bought.user, bought.item] = False
        return each


def in_categories(catalog: Catalog, wanted: tuple[str, ...]) -> np.ndarray:
    """Return which items are in any of the wanted categories, bool (n,).

    Raises
    ------
    DataError
        If no item is in one of them.
    """
    # Compared by distinct path: a shop has far fewer paths than items.
    paths = catalog.frame["category"].unique().drop_nulls().to_list()
    parts = {path: [_fold(part) for part in path.split("|")] for path in paths}
    hits: set[str] = set()
    for category in wanted:
        path = [_fold(part) for part in category.split("|")]
        matches = {other for other, names in parts.items() if names[: len(path)] == path or (len(path) == 1 and path[0] in names)}
        if not matches or not any(path):
            raise DataError(f"no item is in category {category!r}; {_closest(category, paths)}")
        hits |= matches
    return catalog.frame.select(pl.col("category").is_in(list(hits)).fill_null(value=False)).to_series().to_numpy()


def _fold(name: str) -> str:
    return name.strip().casefold()


def _closest(category: str, paths: list[str]) -> str:
    """Return the hint of the error: similar category names, or some that exist."""
    names = {_fold(part): part.strip() for path in paths for part in (*path.split("|"), path)}
    near = difflib.get_close_matches(_fold(category), names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(names[name]) for name in near) + "?"
    return (
        f"the catalogue has {len(paths):,} categories, such as {', '.join(map(repr, sorted(paths)[:3]))}"
        if paths
        else "the catalogue has none"
    )
