"""Reads judged queries from a file.

Two layouts, as csv, json lines or Parquet:

- a row a judgment: `query`, `item_id`, `rating` (0 is not relevant; without the column every row is relevant with 1);
- a row a query: `query` and `accept`, a regular expression that is searched in the title and the category of every item, whatever its case.

A column `kind` names slices. In the second layout a kind such as "price<3" also asks of each relevant item that it costs less than 3.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.metrics.judged import Judgments
from eval.metrics.user_items import UserItems
from eval.search.query_set import QuerySet
from features.data.prices import exact
from features.errors import DataError
from features.ingest.readers.files import read_table
from features.ingest.readers.raw_table import TableSpec
from features.names import CATEGORY, ITEM_ID, PRICE, TITLE, USER_ID
from features.text.plain import counted

if TYPE_CHECKING:
    from features.data.catalog import Catalog

QUERY, RATING, ACCEPT, KIND = "query", "rating", "accept", "kind"
_PRICE = re.compile(r"\s*price\s*(<=|<|>=|>)\s*(\d+(?:\.\d+)?)\s*")
_WANTED = "a row a judgment with query, item_id and rating, or a row a query with query and accept"


def read_judged(path: Path, catalog: Catalog, prices: np.ndarray | None = None) -> QuerySet:
    """Read a file of judged queries.

    Parameters
    ----------
    prices : float (n_items,), for kinds such as "price<3"; None: the catalogue's. An item without a price meets no such kind

    Raises
    ------
    DataError
        The file cannot be read, has neither layout, or judges no item of this catalogue.
    """
    names = (QUERY, ITEM_ID, RATING, ACCEPT, KIND, USER_ID)
    with tempfile.TemporaryDirectory() as folder:
        table = read_table(TableSpec("queries", path, {name: (name,) for name in names}, (QUERY,)), Path(folder) / "queries")
        frame = table.frame.collect()
    frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in names if name not in frame.columns)
    empty = pl.col(QUERY).is_null() | (pl.col(QUERY).str.strip_chars() == "")
    whole = frame.filter(~empty)
    notes = (*table.notes, *_dropped(table.read - whole.height, "row", "without a query or unreadable"))
    if whole[ACCEPT].is_not_null().any():
        found = _by_pattern(path, whole, catalog, _catalog_prices(catalog) if prices is None else prices)
    elif whole[ITEM_ID].is_not_null().any():
        found = _by_item(path, whole, catalog)
    else:
        raise DataError(f"{path} has no column {ITEM_ID} and no column {ACCEPT}, or nothing in them: give {_WANTED}")
    if not found.judged_queries:
        raise DataError(
            f"{path} has {counted(len(found), 'query', 'queries')}, and none with a relevant item of this catalogue: check the ids"
        )
    return found.with_slices({}, *notes)


def _by_item(path: Path, frame: pl.DataFrame, catalog: Catalog) -> QuerySet:
    """Make the set of a row a judgment."""
    frame = frame.with_columns(
        item=pl.Series(catalog.rows([catalog.spelt(item or "") for item in frame[ITEM_ID].to_list()])),
        value=pl.lit(1.0) if frame[RATING].is_null().all() else pl.col(RATING).str.strip_chars().cast(pl.Float64, strict=False),
    )
    graded = pl.col("value").is_finite() & (pl.col("value") >= 0)
    rated = frame.filter(graded.fill_null(False))
    if not rated.height:
        raise DataError(f"{path} has no rating from 0 up, such as {frame[RATING][0]!r}: give numbers, 0 for not relevant")
    notes = list(_dropped(frame.height - rated.height, "row", f"whose {RATING} is no number from 0 up"))
    unknown = rated.filter(pl.col("item") < 0)
    if unknown.height:
        notes.append(f"{counted(unknown.height, 'judgment')} of items that the catalogue lacks left out, such as {unknown[ITEM_ID][0]!r}")
    asked = rated.select(QUERY, USER_ID).unique(maintain_order=True).with_row_index("place")
    known = rated.filter(pl.col("item") >= 0).join(asked, on=[QUERY, USER_ID], nulls_equal=True)
    place, item, value = (known[name].to_numpy() for name in ("place", "item", "value"))
    judgments = Judgments.of(place, item, value, len(asked), len(catalog))
    kinds = rated.group_by(QUERY, USER_ID, maintain_order=True).agg(pl.col(KIND).drop_nulls().first())[KIND]
    return QuerySet("judged", tuple(asked[QUERY]), tuple(asked[USER_ID]), judgments).with_slices(_slices(kinds), *notes)


def _by_pattern(path: Path, frame: pl.DataFrame, catalog: Catalog, prices: np.ndarray) -> QuerySet:
    """Make the set of a row a query with the pattern of what is relevant."""
    asked = frame.filter(pl.col(ACCEPT).is_not_null())
    texts = catalog.frame.select(text=pl.concat_str(pl.col(TITLE, CATEGORY).fill_null(""), separator="\n"))["text"]
    distinct = texts.unique()
    query, item = [], []
    for place, (text, pattern, kind) in enumerate(asked.select(QUERY, ACCEPT, KIND).iter_rows()):
        try:
            matching = distinct.filter(distinct.str.contains(f"(?i)(?:{pattern})"))
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{path} accepts {pattern!r} for the query {text!r}, which is no regular expression: mend it") from error
        rows = np.flatnonzero(texts.is_in(matching.implode()).to_numpy() & _cheap_enough(kind, prices))
        query.append(np.full(len(rows), place))
        item.append(rows)
    relevant = UserItems.of(np.concatenate(query), np.concatenate(item), asked.height, len(catalog))
    found = QuerySet("judged", tuple(asked[QUERY]), tuple(asked[USER_ID]), Judgments.binary(relevant))
    return found.with_slices(_slices(asked[KIND]), *_dropped(frame.height - asked.height, "row", f"without {ACCEPT}"))


def _cheap_enough(kind: str | None, prices: np.ndarray) -> np.ndarray:
    """Return which items have a price that a kind such as "price<3" asks for, bool (n_items,); all for other kinds."""
    asked = _PRICE.fullmatch(kind or "")
    if not asked:
        return np.ones(len(prices), dtype=bool)
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[asked[1]]
    return compare(prices, float(asked[2]))


def _catalog_prices(catalog: Catalog) -> np.ndarray:
    return exact(catalog.frame[PRICE].fill_null(float("nan")).to_numpy())


def _slices(kinds: pl.Series) -> dict[str, np.ndarray]:
    """Return the slice of each kind; price limits are one slice."""
    named = ["price" if kind and _PRICE.fullmatch(kind) else kind for kind in kinds.to_list()]
    return {kind: np.array([one == kind for one in named]) for kind in sorted({one for one in named if one})}


def _dropped(count: int, noun: str, why: str) -> tuple[str, ...]:
    return (f"{counted(count, noun)} {why} left out",) if count else ()
