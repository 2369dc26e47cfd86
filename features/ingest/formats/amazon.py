"""The public Amazon review files: metadata as items, reviews as the log and as what customers say.

Field names of 2023 first, then of 2018 and 2014.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.formats.layout import Format, TableLayout
from features.names import RATING

if TYPE_CHECKING:
    from polars import LazyFrame

    from features.ingest.source import Source


def _ratings(rows: LazyFrame, _source: Source) -> LazyFrame:
    return rows.with_columns(event=pl.lit(RATING))


_REVIEWS = {
    "item_id": ("parent_asin", "asin"),
    "text": ("text", "reviewText"),
    "rating": ("rating", "overall"),
    "title": ("title", "summary"),
    "timestamp": ("timestamp", "unixReviewTime"),
    "user_id": ("user_id", "reviewerID"),
}


_REVIEW_SIGNS = (("parent_asin", "text"), ("asin", "reviewText"))
AMAZON = Format(
    name="amazon",
    title="Amazon reviews",
    items=(
        TableLayout(
            columns={
                "item_id": ("parent_asin", "asin"),
                "title": ("title",),
                "description": ("description",),
                "brand": ("brand", "store"),
                "category": ("categories", "category"),
                "price": ("price",),
            },
            python=True,
        ),
    ),
    interactions=(
        TableLayout(
            columns={
                "user_id": ("user_id", "reviewerID"),
                "item_id": ("parent_asin", "asin"),
                "timestamp": ("timestamp", "unixReviewTime"),
                "rating": ("rating", "overall"),
            },
            rows=_ratings,
            python=True,
        ),
    ),
    optional={
        "reviews": tuple(
            TableLayout(_REVIEWS, frozenset(signs), python=True) for signs in (("parent_asin", "text"), ("asin", "reviewText"))
        )
    },
)
