"""Quotes of reviews, word for word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.names import ROW, SENTENCE, SENTIMENT, TIMESTAMP
from recsys.apps.reviews.answers import Quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.catalog import Catalog


def quote_of(mention: Mapping[str, Any], catalog: Catalog) -> Quote:
    """Return the sentence of a row of `ScoredReviews.counted_mentions`."""
    time = mention[TIMESTAMP]
    date = None if time is None else f"{time:%Y-%m-%d}"
    return Quote(mention[SENTENCE], mention[SENTIMENT], str(catalog.ids[mention["item"]]), mention[ROW], date)
