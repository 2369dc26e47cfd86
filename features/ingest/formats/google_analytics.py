"""Google Analytics 4: events as BigQuery exports them (JSON, Parquet), with a list of items each, and flat tables of them.

An event that tells of no purchase, cart or view (page_view, scroll) is refused by its name, and so is one without items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.formats import columns as c
from features.ingest.formats.layout import Format, Record, TableLayout
from features.names import CART, PURCHASE, VIEW

if TYPE_CHECKING:
    from polars import LazyFrame

    from features.ingest.source import Source

EVENTS = {
    PURCHASE: PURCHASE,
    "in_app_purchase": PURCHASE,
    "ecommerce_purchase": PURCHASE,
    "add_to_cart": CART,
    "view_item": VIEW,
}
_REFUND = ("refund", "purchase_refund")
_ITEM = {
    "item_id": ("item_id",),
    "_item_name": ("item_name",),
    "_item_brand": ("item_brand",),
    "_item_category": ("item_category",),
    "quantity": ("quantity", "item_quantity"),
    "unit_price": ("price", "item_price"),
    "_revenue": ("item_revenue",),
}
_EVENT = {
    "event": ("event_name", "eventName"),
    "timestamp": ("event_timestamp", "event_date", "date"),
    "user_id": ("user_id", "user_pseudo_id", "userPseudoId"),
    "order_id": ("transaction_id", "ecommerce_transaction_id", "ecommerce.transaction_id", "transactionId"),
    "currency": ("currency",),
}
# Flat tables have the fields of `items` under names of their own.
_FLAT = {ours: (*theirs, *(f"{before}{name}" for name in theirs for before in ("items.", "items_"))) for ours, theirs in _ITEM.items()}
_COLUMNS = {**_EVENT, **_FLAT}
_CARRIED = {"title": _FLAT["_item_name"], "brand": _FLAT["_item_brand"], "category": _FLAT["_item_category"], "price": _FLAT["unit_price"]}


def _events(rows: LazyFrame, source: Source) -> LazyFrame:
    if rows.collect_schema().get("timestamp") == pl.String:
        ticks = pl.col("timestamp").str.strip_chars().cast(pl.Int64, strict=False)
        milliseconds = pl.when(ticks > 100_000_000_000_000).then((ticks // 1000).cast(pl.String))  # it counts microseconds
        rows = rows.with_columns(timestamp=pl.coalesce(milliseconds, "timestamp"))
    rows = c.complete(rows, _COLUMNS)
    name = pl.col("event")
    known = name.is_in([*EVENTS, *_REFUND, *source.events])
    ours = name.replace({theirs: ours for theirs, ours in EVENTS.items() if theirs not in source.events})
    refund, empty = name.is_in(_REFUND), pl.col("item_id").is_null()
    bought = ours == PURCHASE
    return (
        rows.with_columns(
            c.refuse(~known, pl.concat_str(pl.lit("no event of an item: "), name)),
            event=ours,
            # A refund of the whole order has no items.
            status=pl.when(refund & empty).then(pl.lit("refunded")).when(refund).then(pl.lit("partially refunded")),
            unit_price=pl.when(bought).then("unit_price"),
            value=pl.when(bought).then("_revenue"),
            order_id=pl.when(bought | refund).then("order_id"),
        )
        .with_columns(c.refuse(refund, "a refund"))
        .with_columns(c.refuse(empty, pl.concat_str(name, pl.lit(" without an item"))))
    )


def _records(record: Record) -> list[Record]:
    event = {
        "event_name": record.get("event_name"),
        "event_timestamp": record.get("event_timestamp"),
        "event_date": record.get("event_date"),
        "user_id": record.get("user_id") or None,
        "user_pseudo_id": record.get("user_pseudo_id"),
        "transaction_id": c.inner(record, "ecommerce", "transaction_id"),
    }
    items = c.nodes(record.get("items"))
    if not items and not isinstance(record.get("items"), list):
        return [record | {name: value for name, value in event.items() if value is not None}]
    return [event | one for one in items] or [event]


def _nested(frame: LazyFrame) -> LazyFrame:
    """Give each item of an event a row of its own; an event without items keeps one."""
    schema = frame.collect_schema()
    kind = schema.get("ecommerce")
    if isinstance(kind, pl.Struct) and "transaction_id" in [field.name for field in kind.fields]:
        frame = frame.with_columns(transaction_id=pl.col("ecommerce").struct.field("transaction_id"))
    kind = schema.get("items")
    if isinstance(kind, pl.Struct) and len(kind.fields) == 1:  # Parquet's own wrapping of lists
        frame = frame.with_columns(pl.col("items").struct.field(kind.fields[0].name).alias("items"))
        kind = kind.fields[0].dtype
    if not isinstance(kind, pl.List):
        return frame
    # An event without items stays a row: whether `explode` keeps an empty list depends on the engine.
    frame = frame.with_columns(pl.when(pl.col("items").list.len() > 0).then("items")).explode("items")
    item = kind.inner
    if isinstance(item, pl.Struct) and len(item.fields) == 1 and isinstance(item.fields[0].dtype, pl.Struct):
        frame, item = frame.with_columns(pl.col("items").struct.field(item.fields[0].name).alias("items")), item.fields[0].dtype
    if not isinstance(item, pl.Struct):
        return frame
    wanted = {name for theirs in _ITEM.values() for name in theirs}
    return frame.with_columns(pl.col("items").struct.field(field.name).alias(field.name) for field in item.fields if field.name in wanted)


def _layout(*signs: str) -> TableLayout:
    return TableLayout(_COLUMNS, frozenset(signs), records=_records, nested=_nested, rows=_events, carried=_CARRIED)


GOOGLE_ANALYTICS = Format(
    name="google-analytics",
    title="Google Analytics",
    interactions=(_layout("event_name", "event_timestamp"), _layout("event_name", "user_pseudo_id"), _layout("event_name", "event_date")),
)
