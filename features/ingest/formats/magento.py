"""Magento and Adobe Commerce: the export of products, one row a store view, and lines of orders as csv or as JSON of the REST API.

A line of an order has the sku of the simple product, also where a configurable one was bought.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from features.errors import DataError
from features.ingest.formats import columns as c
from features.ingest.formats.layout import NAME, REFUSED, Format, Record, TableLayout

if TYPE_CHECKING:
    from polars import LazyFrame

    from features.ingest.source import Source

_FACTS = (
    "title", "description", "brand", "category", "price", "_special", "_from", "_to", "_quantity", "_in_stock", "_online", "_type",
    "_variations", "created_at",
)  # fmt: skip
_ITEM = ("item_id", "_view", *_FACTS)
_LINE = ("user_id", "timestamp", "status", "currency", "item_id", NAME, "quantity", "unit_price", "value", "order_id", "event_id")
_LINE_ONLY = ("_email", "_parent_line", "_canceled", "_refunded")
_OF_PARENT = ("title", "description", "brand", "category")


def _products(rows: LazyFrame, source: Source) -> LazyFrame:
    rows = _with_parents(_one_view(c.complete(rows, _ITEM), source.store_view))
    today = pl.lit(datetime.now(UTC).date().isoformat())
    on_sale = (_day("_from").fill_null("0") <= today) & (_day("_to").fill_null("9") >= today)
    shown = ~pl.col("_online").is_in(["2", "0", "Disabled", "disabled", "No"]).fill_null(False)
    parent = pl.col("_has_children")
    rows = rows.with_columns(
        category=_category(pl.col("category")),
        created_at=pl.coalesce(pl.col("created_at").str.to_datetime("%m/%d/%y, %I:%M %p", strict=False).cast(pl.String), "created_at"),
        price=pl.when(parent).then(None).when(on_sale & (c.number("_special") > 0)).then("_special").otherwise("price"),
        available=pl.when(parent | ~shown).then(c.NO).otherwise(_in_stock()),
        **{NAME: pl.col("title")},
    ).with_columns(c.remark(~shown & ~parent, "not available, as disabled"))
    return rows.with_columns(c.refuse(parent & (source.variants == "items"), "a configurable product, whose variants are the items"))


def _with_parents(rows: LazyFrame) -> LazyFrame:
    """Complete variants by their configurable product, and mark products whose variants are in the table."""
    own = rows.filter(pl.col(REFUSED).is_null())
    children = (
        own.select(pl.col("item_id").alias("group_id"), *_OF_PARENT, child=pl.col("_variations").str.split("|"))
        .explode("child")
        .with_columns(item_id=pl.col("child").str.extract(r"(?:^|,)\s*sku=([^,]+)").str.strip_chars())
        .filter(pl.col("item_id").is_not_null())
        .drop("child")
        .unique("item_id", keep="first", maintain_order=True)
    )
    parents = children.join(own, on="item_id", how="semi").select(item_id="group_id", _has_children=pl.lit(True)).unique("item_id")
    rows = rows.join(children, on="item_id", how="left", suffix=" of parent", maintain_order="left")
    return rows.join(parents, on="item_id", how="left", maintain_order="left").with_columns(
        pl.col("_has_children").fill_null(False),
        group_id=pl.coalesce("group_id", "item_id"),
        group_title=pl.coalesce("title of parent", "title"),
        **{name: pl.coalesce(name, f"{name} of parent") for name in _OF_PARENT},
    )


def _one_view(rows: LazyFrame, view: str | None) -> LazyFrame:
    """Keep one row of each product: the default view's, completed by the view that was chosen.

    Raises
    ------
    DataError
        If no row is of the view that was chosen.
    """
    if view and not rows.filter(pl.col("_view") == view).head(1).collect().height:
        views = rows.select(pl.col("_view").drop_nulls().unique().sort()).head(20).collect().to_series().to_list()
        raise DataError(
            f"no product has a row of the store view {view!r}; the export has {', '.join(views) or 'none'}: correct source.store_view"
        )
    own = pl.col("_view").is_null() | pl.col("_view").is_in(["default", "admin", "all"])
    chosen = pl.col("_view") == view if view else pl.lit(False)
    rows = rows.with_columns(_order=pl.when(chosen).then(0).when(own).then(1).otherwise(2))
    best = rows.filter(pl.col("item_id").is_not_null()).group_by("item_id")
    of_view = pl.col("_order") < 2
    facts = [pl.col(name).filter(of_view).sort_by(pl.col("_order").filter(of_view), pl.col("row").filter(of_view)) for name in _FACTS]
    # The view whose row stands for the product: the default view, else the chosen one, else the first.
    kept = pl.col("_view").fill_null("").sort_by(pl.col("_order").replace_strict({0: 1, 1: 0, 2: 2}), "row").first()
    values = best.agg(*[fact.drop_nulls().first().alias(f"{name} of view") for name, fact in zip(_FACTS, facts, strict=True)], _kept=kept)
    rows = rows.join(values, on="item_id", how="left", maintain_order="left")
    other = (pl.col("_view").fill_null("") != pl.col("_kept")).fill_null(False)
    completed = {name: pl.when(pl.col("_order") < 2).then(pl.coalesce(f"{name} of view", name)).otherwise(name) for name in _FACTS}
    names = [f"{name} of view" for name in _FACTS]
    return rows.with_columns(c.refuse(other, "a row of another store view"), **completed).drop(*names, "_kept", "_order")


def _category(text: pl.Expr) -> pl.Expr:
    """Return the deepest path without its root, which every category of a store has."""
    paths = text.str.split(",")
    depth = paths.list.eval(pl.element().str.count_matches("/", literal=True))
    return c.path(paths.list.get(depth.list.arg_max()).str.replace(r"^\s*(?:Default Category|Root Catalog)\s*(?:/|$)", ""), "/")


def _day(name: str) -> pl.Expr:
    """Return the day of a time, as text; of "1/31/24, 10:00 AM" too, as Magento's export writes it."""
    text = pl.col(name).str.split(",").list.first().str.split(" ").list.first()
    american = pl.coalesce(text.str.to_date("%m/%d/%y", strict=False), text.str.to_date("%m/%d/%Y", strict=False))
    return pl.coalesce(american, text.str.to_date("%Y-%m-%d", strict=False)).cast(pl.String)


def _in_stock() -> pl.Expr:
    known = pl.when(c.is_true("_in_stock")).then(c.YES).when(pl.col("_in_stock").is_not_null()).then(c.NO)
    stock = c.number("_quantity")
    return pl.coalesce(known, pl.when(stock > 0).then(c.YES).when(stock <= 0).then(c.NO))


def _orders(rows: LazyFrame, _source: Source) -> LazyFrame:
    rows = c.complete(rows, (*_LINE, *_LINE_ONLY))
    ordered, back = c.number("quantity"), pl.sum_horizontal(c.number("_canceled").fill_null(0), c.number("_refunded").fill_null(0))
    share = c.number("value") * (ordered - back) / ordered
    part = pl.col("_parent_line").is_not_null() & ~pl.col("_parent_line").is_in(["0", "0.0"])
    closed = pl.col("status").str.to_lowercase() == "closed"  # Magento's word for an order that is refunded as a whole
    return rows.with_columns(
        c.refuse(part, "part of another line of the order"),
        user_id=pl.coalesce(pl.when(~pl.col("user_id").is_in(["0", "0.0"])).then(c.email("user_id")), c.email("_email")),
        quantity=pl.when(back > 0).then((ordered - back).cast(pl.String)).otherwise("quantity"),
        value=pl.when((back > 0) & (ordered > 0)).then(share.round(6).cast(pl.String)).otherwise("value"),
        status=pl.when(closed).then(pl.lit("refunded")).otherwise("status"),
    )  # fmt: skip


def _order_records(record: Record) -> list[Record]:
    number = record.get("increment_id") or record.get("entity_id")
    order = {
        "order_id": number,
        "user_id": record.get("customer_id"),
        "_email": record.get("customer_email"),
        "timestamp": record.get("created_at"),
        "status": record.get("status") or record.get("state"),
        "currency": record.get("order_currency_code"),
    }
    lines = [order | _line(one, number) for one in c.nodes(record.get("items"))]
    return lines or [order | {REFUSED: "an order without lines"}]


def _line(one: Record, number: object) -> Record:
    return {
        "item_id": one.get("sku"),
        NAME: one.get("name"),
        "quantity": one.get("qty_ordered"),
        "unit_price": one.get("price"),
        "_parent_line": one.get("parent_item_id"),
        "_canceled": one.get("qty_canceled"),
        "_refunded": one.get("qty_refunded"),
        "event_id": f"{number}-{one['item_id']}" if one.get("item_id") else None,
    }


_PRODUCT_CSV = {
    "item_id": ("sku",),
    "_view": ("store_view_code",),
    "title": ("name",),
    "description": ("description", "short_description"),
    "brand": ("manufacturer", "brand"),
    "category": ("categories",),
    "price": ("price",),
    "_special": ("special_price",),
    "_from": ("special_price_from_date",),
    "_to": ("special_price_to_date",),
    "_quantity": ("qty",),
    "_in_stock": ("is_in_stock",),
    "_online": ("product_online", "status"),
    "_type": ("product_type",),
    "_variations": ("configurable_variations",),
    "created_at": ("created_at",),
}
_ORDER_CSV = {
    "order_id": ("increment_id", "order_id"),
    "user_id": ("customer_id", "customer_email"),
    "_email": ("customer_email",),
    "timestamp": ("created_at",),
    "status": ("status", "state"),
    "currency": ("order_currency_code",),
    "item_id": ("sku",),
    NAME: ("name",),
    "quantity": ("qty_ordered",),
    "unit_price": ("price",),
    "_parent_line": ("parent_item_id",),
    "_canceled": ("qty_canceled",),
    "_refunded": ("qty_refunded",),
}

MAGENTO = Format(
    name="magento",
    title="Magento",
    items=(TableLayout(_PRODUCT_CSV, frozenset({"sku", "store_view_code", "product_type"}), rows=_products),),
    defaults={"guests": ("",)},  # an order without a customer is of a visitor of its own
    interactions=(
        TableLayout(
            _ORDER_CSV, frozenset({"sku", "qty_ordered", "order_id"}), rows=_orders, carried={"title": ("name",), "price": ("price",)}
        ),
        TableLayout(
            c.same(*_LINE, *_LINE_ONLY),
            frozenset({"increment_id", "items"}),
            records=_order_records,
            rows=_orders,
            carried={"title": (NAME,), "price": ("unit_price",)},
        ),
    ),
)
