"""Small logs for the tests of related items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions
from retrieval.related.substitutes import CategoryTexts

if TYPE_CHECKING:
    from collections.abc import Sequence


def catalog_of(**columns: list) -> Catalog:
    """A catalogue of items i0, i1 and so on."""
    n = len(next(iter(columns.values())))
    ids = [f"i{i}" for i in range(n)]
    return Catalog.from_frame(pl.DataFrame({"item_id": ids, "title": ids, **columns}))


def log_of(rows: Sequence[tuple[str, int, float]], n_items: int) -> Interactions:
    """A log of purchases (user, item row, day)."""
    ids = [f"i{i}" for i in range(n_items)]
    frame = pl.DataFrame([(u, ids[i], int(day * DAY) * 1_000_000) for u, i, day in rows], ["user_id", "item_id", "timestamp"], orient="row")
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": ids, "title": ids}))
    return Interactions.from_frame(frame.with_columns(pl.col("timestamp").cast(pl.Datetime("us"))), catalog)


def texts_of(category: list[int], vectors: list[list[float]]) -> CategoryTexts:
    """Items with a text each."""
    made = np.array(vectors, dtype=np.float32)
    return CategoryTexts(np.array(category), made / np.linalg.norm(made, axis=1, keepdims=True), np.arange(len(category)))
