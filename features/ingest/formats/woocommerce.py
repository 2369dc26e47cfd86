"""WooCommerce: the product export as csv, products and orders as JSON of the REST API, and the csv of Advanced Order Export.

A line of an order names the variation if the product has variations, else the product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.formats import columns as c
from features.ingest.formats.layout import NAME, REFUSED, SKU, Format, Record, TableLayout
from features.ingest.values.named_values import attributes_of

if TYPE_CHECKING:
    from polars import LazyFrame

    from features.ingest.source import Source

_ATTRIBUTES = range(1, 11)  # numbers of columns
_OF_PARENT = ("description", "brand", "category", "_published")
_ITEM = (
    "item_id",
    SKU,
    "title",
    "_short",
    *_OF_PARENT,
    "_regular",
    "_sale",
    "_type",
    "_parent",
    "_in_stock",
    "_stock",
    "_backorders",
    "attributes",
    "barcode",
)
_OF_ORDER = ("user_id", "timestamp", "status", "currency")
_LINE = (*_OF_ORDER, "item_id", SKU, NAME, "quantity", "value", "unit_price", "order_id", "event_id")


def _products(rows: LazyFrame, source: Source) -> LazyFrame:
    rows = c.complete(rows, _ITEM)
    parent_id = pl.col("_parent").str.strip_prefix("id:")
    by_sku = rows.filter(pl.col(SKU).is_not_null()).group_by(SKU).agg(parent_of_sku=pl.col("item_id").first())
    # A parent is an id ("id:12"), or the sku of the parent where it has one.
    rows = rows.join(by_sku, left_on="_parent", right_on=SKU, how="left", maintain_order="left")
    named = pl.when(pl.col("_parent").str.starts_with("id:")).then(parent_id).otherwise(pl.coalesce("parent_of_sku", parent_id))
    child = pl.col("_parent").is_not_null() & (parent_id != "0")
    rows = rows.with_columns(group_id=pl.when(child).then(named).otherwise("item_id"), _child=child)
    rows = _with_parents(rows)
    parent = pl.col("_has_children")
    shown = ~pl.col("_published").is_in(["0", "-1", "draft", "private", "pending", "trash"]).fill_null(False)
    name = pl.when(pl.col("_child") & (pl.col("title").is_null())).then("group_title").otherwise("title")
    rows = c.complete(rows, [name for i in _ATTRIBUTES for name in (f"_name{i}", f"_value{i}")])
    attributes = c.named_attributes((pl.col(f"_name{i}"), pl.col(f"_value{i}")) for i in _ATTRIBUTES)
    rows = rows.with_columns(
        title=name,
        description=pl.coalesce("description", "_short"),
        attributes=pl.coalesce("attributes", attributes),
        category=c.deepest("category", ">"),
        price=pl.when(~parent).then(pl.coalesce("_sale", "_regular")),
        available=pl.when(parent | ~shown).then(c.NO).otherwise(_in_stock()),
        **{NAME: name},
    ).with_columns(c.remark(~shown & ~parent, "not available, as draft, private or in the trash"))
    return rows.with_columns(c.refuse(parent & (source.variants == "items"), "a product with variations, which are the items"))


def _with_parents(rows: LazyFrame) -> LazyFrame:
    """Complete variations by their product, and mark products that have variations."""
    facts = rows.select(pl.col("item_id").alias("group_id"), pl.col("title").alias("group_title"), *_OF_PARENT)
    parents = facts.unique("group_id", keep="last")
    children = rows.filter("_child").select(item_id="group_id", _has_children=pl.lit(True)).unique("item_id")
    joined = rows.join(parents, on="group_id", how="left", suffix=" of parent", maintain_order="left")
    joined = joined.join(children, on="item_id", how="left", maintain_order="left")
    return joined.with_columns(
        pl.col("_has_children").fill_null(False),
        group_title=pl.coalesce("group_title", "title"),
        **{name: pl.coalesce(name, f"{name} of parent") for name in _OF_PARENT},
    )


def _in_stock() -> pl.Expr:
    word = pl.col("_in_stock").str.to_lowercase().str.replace_all(r"[ _-]", "")
    known = pl.when(word.is_in(["1", "true", "yes", "instock", "onbackorder", "backorder"])).then(c.YES).when(word.is_not_null()).then(c.NO)
    more = pl.col("_backorders").str.to_lowercase().is_in(["1", "yes", "notify"])
    stock = c.number("_stock")
    counted = pl.when((stock > 0) | more.fill_null(False)).then(c.YES).when(stock <= 0).then(c.NO)
    return pl.coalesce(known, counted)


def _orders(rows: LazyFrame, _source: Source) -> LazyFrame:
    rows = c.complete(rows, (*_LINE, "_email", "_customer", "_refunded"))
    rows = c.of_group(rows, "order_id", (*_OF_ORDER, "_email", "_customer"))
    account = pl.when(~pl.col("_customer").is_in(["0", "0.0"])).then("_customer")  # 0 is a guest
    taken_back = c.number("_refunded").abs()
    left = c.number("quantity") - taken_back
    return rows.with_columns(
        user_id=pl.coalesce(account, c.email("_email")),
        item_id=pl.when(~pl.col("item_id").is_in(["0", "0.0"])).then("item_id").otherwise(pl.coalesce(SKU, NAME)),
        quantity=pl.when(taken_back > 0).then(left.cast(pl.String)).otherwise("quantity"),
    )


def _product_records(record: Record) -> list[Record]:
    categories = [one.get("name") for one in c.nodes(record.get("categories"))]
    options = " / ".join(str(one["option"]) for one in c.nodes(record.get("attributes")) if one.get("option"))
    title = record.get("name")
    variation = record.get("type") == "variation" or bool(record.get("parent_id") and not categories)
    return [
        {
            "item_id": record.get("id"),
            SKU: record.get("sku"),
            "title": f"{title} - {options}" if variation and title and options and options not in str(title) else title,
            "description": record.get("description"),
            "_short": record.get("short_description"),
            "brand": next((one.get("name") for one in c.nodes(record.get("brands"))), None),
            "category": str(categories[0]).replace(",", r"\,") if categories else None,
            "attributes": attributes_of(c.nodes(record.get("attributes"))),
            "barcode": record.get("global_unique_id"),
            "_regular": record.get("price") or record.get("regular_price"),
            "_sale": None,  # `price` is what the shop asks now
            "_type": record.get("type"),
            "_parent": f"id:{record['parent_id']}" if variation and record.get("parent_id") else None,
            "_in_stock": record.get("stock_status", record.get("in_stock")),
            "_stock": record.get("stock_quantity"),
            "_published": None if record.get("status") == "publish" else record.get("status"),
            "created_at": record.get("date_created_gmt") or record.get("date_created"),
        }
    ]


def _order_records(record: Record) -> list[Record]:
    number, status = record.get("number") or record.get("id"), record.get("status")
    if record.get("refunds") and status not in ("refunded", "cancelled", "failed"):
        status = "partially refunded"
    order = {
        "order_id": number,
        "user_id": None,
        "_customer": record.get("customer_id"),
        "_email": c.inner(record, "billing", "email"),
        # The time without a zone is the shop's; that of `_gmt` is UTC.
        "timestamp": record.get("date_created_gmt") or record.get("date_created"),
        "status": status,
        "currency": record.get("currency"),
    }
    lines = [order | _line(one, number) for one in c.nodes(record.get("line_items"))]
    return lines or [order | {REFUSED: "an order without lines"}]


def _line(one: Record, number: object) -> Record:
    return {
        "item_id": one.get("variation_id") or one.get("product_id"),
        SKU: one.get("sku"),
        NAME: one.get("name"),
        "quantity": one.get("quantity"),
        "value": one.get("total"),
        "event_id": f"{number}-{one['id']}" if one.get("id") else None,
    }


_PRODUCT_CSV = {
    "item_id": ("ID",),
    SKU: ("SKU",),
    "title": ("Name",),
    "description": ("Description",),
    "_short": ("Short description",),
    "brand": ("Brands", "Brand"),
    "category": ("Categories",),
    "_regular": ("Regular price",),
    "_sale": ("Sale price",),
    "_type": ("Type",),
    "_parent": ("Parent",),
    "_in_stock": ("In stock?",),
    "_stock": ("Stock",),
    "_backorders": ("Backorders allowed?",),
    "_published": ("Published",),
    "barcode": ("GTIN, UPC, EAN, or ISBN",),
    **{f"_name{i}": (f"Attribute {i} name",) for i in _ATTRIBUTES},
    **{f"_value{i}": (f"Attribute {i} value(s)",) for i in _ATTRIBUTES},
}
_ORDER_CSV = {
    "order_id": ("Order Number", "Order ID"),
    "user_id": ("Customer User ID", "Customer ID", "Email (Billing)", "Billing Email"),
    "_customer": ("Customer User ID", "Customer ID"),
    "_email": ("Email (Billing)", "Billing Email"),
    "timestamp": ("Order Date", "Paid Date"),
    "status": ("Order Status",),
    "currency": ("Currency", "Order Currency"),
    "item_id": ("Variation ID", "Product ID", "Product Id", "SKU", "Item Name"),
    SKU: ("SKU",),
    NAME: ("Item Name",),
    "quantity": ("Quantity (- Refund)", "Quantity"),
    "unit_price": ("Item Cost",),
}

WOOCOMMERCE = Format(
    name="woocommerce",
    title="WooCommerce",
    items=(
        TableLayout(_PRODUCT_CSV, frozenset({"ID", "Name", "Regular price"}), rows=_products),
        TableLayout(c.same(*_ITEM, "created_at"), frozenset({"id", "name", "regular_price"}), records=_product_records, rows=_products),
    ),
    defaults={"guests": ("",)},  # an order without a customer is of a visitor of its own
    interactions=(
        TableLayout(
            _ORDER_CSV,
            frozenset({"Order Number", "Order Status", "Item Name"}),
            rows=_orders,
            carried={"title": ("Item Name",), "price": ("Item Cost",)},
        ),
        TableLayout(
            c.same(*_LINE, "_email", "_customer"),
            frozenset({"line_items", "billing"}),
            records=_order_records,
            rows=_orders,
            carried={"title": (NAME,)},
        ),
    ),
)
