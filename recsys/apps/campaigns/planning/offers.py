"""Reads the offers that a campaign may make: a TOML file with a table [[offer]] for each, or a csv file with a row for each."""

from __future__ import annotations

import csv
import math
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from features.errors import DataError, disk_errors
from features.names import CATEGORY, ITEM_ID, OFFER
from features.text.closest import did_you_mean
from ranking.filters import in_categories

if TYPE_CHECKING:
    from pathlib import Path

    from features.data.catalog import Catalog

_AMOUNTS = ("cost", "discount", "margin")
_KEYS = ("name", ITEM_ID, CATEGORY, *_AMOUNTS)


@dataclass(frozen=True)
class Offer:
    """An offer.

    Attributes
    ----------
    name : as in earlier campaigns, so that their redemptions count for it.
    item_id, category : what it is for; neither: everything.
    cost : of sending it to one customer.
    discount : costs as much again where it is redeemed.
    margin : what a redemption earns before the discount.
    """

    name: str
    item_id: str | None = None
    category: str | None = None
    cost: float = 0.0
    discount: float = 0.0
    margin: float = 0.0


def read_offers(path: Path, catalog: Catalog) -> list[Offer]:
    """Read the offers of a file.

    Raises
    ------
    DataError
        If the file cannot be read or has no offer, or an offer has no name, a negative amount, no margin, or is for something that the
        catalogue lacks.
    """
    rows = _rows(path)
    if not rows:
        how = "a row" if path.suffix == ".csv" else "a table [[offer]]"
        raise DataError(f"{path} has no offers, expected at least one: write {how} with name, margin and cost")
    offers = [_offer(row, f"{path}, offer {number}", catalog) for number, row in enumerate(rows, start=1)]
    names = [offer.name for offer in offers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path} has {names.count(twice[0])} offers of the name {twice[0]!r}, expected one: give each its own name")
    return offers


def table_of(offers: list[Offer]) -> pl.DataFrame:
    """Return `offer`, `item_id`, `category` of offers, a row for each."""
    columns = {OFFER: [one.name for one in offers], ITEM_ID: [one.item_id for one in offers], CATEGORY: [one.category for one in offers]}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def amounts(offers: list[Offer], name: str) -> np.ndarray:
    """Return an amount of each offer, float64 (m,)."""
    return np.array([getattr(offer, name) for offer in offers], dtype=np.float64)


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix not in {".toml", ".csv"}:
        raise DataError(f"the offers are in {path}, expected a file that ends in .toml or .csv: see docs/campaigns.md")
    try:
        with disk_errors(path, "read"):
            text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            return _csv_rows(path, text)
        content = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}), expected UTF-8 text: see docs/campaigns.md for its form") from error
    if unknown := sorted(set(content) - {"offer"}):
        raise DataError(f"{path} has the key {unknown[0]!r}, expected tables [[offer]] alone: see docs/campaigns.md")
    rows = content.get("offer", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: `offer` is not a list of tables: write [[offer]] above each offer")
    return rows


def _csv_rows(path: Path, text: str) -> list[dict[str, Any]]:
    rows = csv.DictReader(text.splitlines())
    header = ",".join(rows.fieldnames or ())
    if "," not in header and any(sign in header for sign in ";\t"):
        raise DataError(f"{path}: the columns are {header!r}, expected commas between them, and amounts such as 1.50: write it so")
    found = []
    for number, row in enumerate(rows, start=1):
        if more := row.get(None):  # pyright: ignore[reportArgumentType] # where DictReader puts what no column is left for
            advice = "write amounts as 1.50, and quote what has a comma"
            raise DataError(f"{path}, offer {number} has more values than columns ({', '.join(more)!r} is left over): {advice}")
        found.append({key: value for key, value in row.items() if value})
    return found


def _offer(row: dict[str, Any], where: str, catalog: Catalog) -> Offer:
    if unknown := sorted(str(key) for key in set(row) - set(_KEYS)):
        hint = did_you_mean(unknown[0], _KEYS) or f"; known keys are {', '.join(_KEYS)}"
        raise DataError(f"{where}: unknown key {unknown[0]!r}{hint}")
    name = str(row.get("name", "")).strip()
    if not name:
        raise DataError(f"{where} has no name: give it one")
    amounts_ = {key: _amount(row, key, f"{where} ({name})") for key in _AMOUNTS}
    item, category = (str(row[key]).strip() if key in row else None for key in (ITEM_ID, CATEGORY))
    if item and category:
        raise DataError(f"{where} ({name}) is for an item and for a category at once: leave one of them out")
    if item:
        item = str(catalog.ids[_known(lambda: int(catalog.rows_or_raise([str(item)])[0]), where, name)])
    if category:
        _known(lambda: in_categories(catalog, (category,)), where, name)
    return Offer(name, item or None, category or None, **amounts_)


def _known(look_up: Any, where: str, name: str) -> Any:
    try:
        return look_up()
    except DataError as error:
        raise DataError(f"{where} ({name}): {error}") from error


def _amount(row: dict[str, Any], key: str, where: str) -> float:
    if key not in row:
        if key == "margin":
            raise DataError(f"{where} has no margin, expected what a redemption earns before the discount: add margin = ...")
        return 0.0
    try:
        value = math.nan if isinstance(row[key], bool) else float(row[key])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {key} is {row[key]!r}, expected an amount such as 1.50")
    if value < 0:
        raise DataError(f"{where}: {key} is {value:g}, expected 0 or more: mend it")
    return value
