"""The product feed of Google Merchant Center, as tsv, csv or RSS, which most shop software writes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.formats import columns as c
from features.ingest.formats.layout import SKU, Format, Record, TableLayout

if TYPE_CHECKING:
    from polars import LazyFrame

    from features.ingest.source import Source

_ATTRIBUTES = ("color", "size", "material", "pattern", "gender", "age_group")
# The feed's own names; its documentation writes them with spaces too.
_NAMES = {
    "item_id": ("id",),
    "group_id": ("item_group_id",),
    "title": ("title",),
    "description": ("description",),
    "brand": ("brand",),
    "category": ("product_type",),
    "_google": ("google_product_category",),
    "price": ("price",),
    "_sale": ("sale_price",),
    "_dates": ("sale_price_effective_date",),
    "available": ("availability",),
    "barcode": ("gtin",),
    SKU: ("mpn",),
    **{f"_{name}": (name,) for name in _ATTRIBUTES},
}
_COLUMNS = {ours: (*theirs, *(name.replace("_", " ") for name in theirs if "_" in name)) for ours, theirs in _NAMES.items()}


def _products(rows: LazyFrame, _source: Source) -> LazyFrame:
    rows = c.complete(rows, _COLUMNS)
    named = pl.when(~pl.col("_google").str.contains(r"^\d+$")).then("_google")  # a number is a line of Google's list, and no text
    now = pl.lit(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M"))
    start, end = (pl.col("_dates").str.split("/").list.get(i, null_on_oob=True).str.strip_chars().str.slice(0, 16) for i in (0, 1))
    on_sale = (start.fill_null("") <= now) & (end.fill_null("9") >= now)
    return rows.with_columns(
        attributes=c.attributes({name: pl.col(f"_{name}") for name in _ATTRIBUTES}),
        category=c.path(pl.coalesce("category", named), ">"),
        price=pl.when(on_sale).then(pl.coalesce("_sale", "price")).otherwise("price"),
    )


def _records(record: Record) -> list[Record]:
    """Return the product of an RSS item. An element that is repeated is a list, whose first one counts."""
    return [{name: value[0] if isinstance(value, list) and value else value for name, value in record.items()}]


def _layout(*signs: str) -> TableLayout:
    return TableLayout(_COLUMNS, frozenset(signs), records=_records, rows=_products)


GOOGLE_MERCHANT = Format(
    name="google-merchant",
    title="Google Merchant",
    items=(
        _layout("id", "title", "link", "price", "availability"),
        _layout("id", "title", "image_link", "price"),
        _layout("id", "title", "image link", "price"),
    ),
)
