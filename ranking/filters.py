"""A request's rules, as a mask over the catalogue: retrieval searches inside it, so that k items still come back."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.split import LABEL_EVENTS
from features.errors import DataError

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.histories import Histories


@dataclass(frozen=True)
class Filters:
    """What may be shown.

    Attributes
    ----------
    categories: any of them must hold; each is a whole path from its broad end ("Grocery|Dairy"), a part of it from there on ("Grocery") or
        one name within ("Dairy"); capitals do not matter. min_price, max_price: both inclusive; with either, an item of unknown price
        is left out, because nobody can promise that it is within.
    in_stock: only what is available. exclude: catalogue rows, -1 for an item nobody knows.
    new_only: leave out what the user has bought; what was only looked at or put into the cart stays.

    Raises
    ------
    DataError: a price bound is negative or nan, or the lower one is above the upper one.
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
        """Which items may be shown: bool (n_items,), or (b, n_items) if it depends on the user.

        prices: the items' present prices, float (n_items,), nan where unknown.

        Raises
        ------
        DataError: a category that no item has.
        """
        mask = catalog.available.copy() if self.in_stock else np.ones(len(catalog), dtype=bool)
        if self.categories:
            mask &= in_categories(catalog, self.categories)
        if self.min_price is not None:
            mask &= prices >= self.min_price
        if self.max_price is not None:
            mask &= prices <= self.max_price
        mask[[row for row in self.exclude if row >= 0]] = False
        if not self.new_only:
            return mask
        each = np.tile(mask, (len(users), 1))
        bought = np.isin(users.event, LABEL_EVENTS)
        each[users.user[bought], users.item[bought]] = False
        return each


def in_categories(catalog: Catalog, wanted: tuple[str, ...]) -> np.ndarray:
    """Items in any of the wanted categories, bool (n,)."""
    # By distinct path: a shop has far fewer of them than items.
    paths = catalog.frame["category"].unique().drop_nulls().to_list()
    parts = {path: [_fold(part) for part in path.split("|")] for path in paths}
    hits: set[str] = set()
    for category in wanted:
        asked = [_fold(part) for part in category.split("|")]
        found = {path for path, names in parts.items() if names[: len(asked)] == asked or (len(asked) == 1 and asked[0] in names)}
        if not found or not any(asked):
            raise DataError(f"no item is in category {category!r}; {_closest(category, paths)}")
        hits |= found
    return catalog.frame.select(pl.col("category").is_in(list(hits)).fill_null(value=False)).to_series().to_numpy()


def _fold(name: str) -> str:
    return name.strip().casefold()


def _closest(category: str, paths: list[str]) -> str:
    """The end of the error: which names were perhaps meant."""
    names = {_fold(part): part.strip() for path in paths for part in (*path.split("|"), path)}
    near = difflib.get_close_matches(_fold(category), names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(names[name]) for name in near) + "?"
    return (
        f"the catalogue has {len(paths):,} categories, such as {', '.join(map(repr, sorted(paths)[:3]))}"
        if paths
        else "the catalogue has none"
    )
