"""Shopify: the products and orders exports as csv, and both as JSON of the REST and the GraphQL API.

The orders' lines name a product by its sku. A variant without a sku is known by the name that Shopify gives its lines: the product's title,
and its options.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.formats import columns as c
from features.ingest.formats.layout import NAME, REFUSED, Format, Record, TableLayout

if TYPE_CHECKING:
    from polars import LazyFrame

    from features.ingest.source import Source

_OPTIONS = ("_option1", "_option2", "_option3")
_OF_PRODUCT = ("title", "description", "brand", "category", "_type", "_published", "_status")
_ITEM = ("item_id", "_handle", *_OF_PRODUCT, "price", "_quantity", "_tracker", "_policy", *_OPTIONS, "created_at", "barcode")
_OF_ORDER = ("user_id", "timestamp", "status", "_cancelled", "currency")
_LINE = (*_OF_ORDER, "item_id", NAME, "quantity", "unit_price", "_discount", "order_id", "event_id")
_CARRIED = {"title": (NAME,), "price": ("unit_price",), "brand": ("_vendor",)}


def _products(rows: LazyFrame, _source: Source) -> LazyFrame:
    tracks = "_tracker" in rows.collect_schema()
    rows = c.complete(rows, _ITEM)
    variant = pl.any_horizontal(pl.col(name).is_not_null() for name in ("item_id", "title", "price", *_OPTIONS))
    rows = c.of_group(rows.with_columns(c.refuse(~variant, "an image, no product")), "_handle", _OF_PRODUCT)
    options = [pl.when(pl.col(name) != "Default Title").then(name) for name in _OPTIONS]
    label = pl.concat_list(options).list.drop_nulls().list.join(" / ")
    name = pl.when(label != "").then(pl.concat_str("title", pl.lit(" - "), label)).otherwise("title")
    shown = pl.col("_status").str.to_lowercase().is_in(["active", "unlisted"]).fill_null(True) & c.is_true("_published").fill_null(True)
    return rows.with_columns(
        item_id=pl.coalesce(pl.col("item_id").str.strip_prefix("'"), name),
        barcode=pl.col("barcode").str.strip_prefix("'"),
        title=name,
        group_title=pl.col("title"),
        group_id=pl.col("_handle"),
        category=pl.coalesce(c.path(pl.col("category"), ">"), "_type"),
        available=pl.when(~shown).then(c.NO).otherwise(_in_stock(tracks=tracks)),
        **{NAME: name},
    ).with_columns(c.remark(~shown, "not available, as draft, archived or unpublished"))


def _in_stock(*, tracks: bool) -> pl.Expr:
    """Return whether there is stock. A variant that is not tracked, or whose policy is to continue, is always sold."""
    goes_on = pl.col("_policy").str.to_lowercase().is_in(["continue", "true", "yes"]).fill_null(False)
    counted = pl.col("_tracker").is_not_null() if tracks else pl.lit(True)
    stock = c.number("_quantity")
    return pl.when(goes_on | ~counted).then(c.YES).when(stock > 0).then(c.YES).when(stock <= 0).then(c.NO)


def _orders(rows: LazyFrame, _source: Source) -> LazyFrame:
    rows = c.of_group(c.complete(rows, _LINE), "order_id", _OF_ORDER)
    paid = c.number("quantity") * c.number("unit_price") - c.number("_discount")
    return rows.with_columns(
        user_id=c.email("user_id"),
        item_id=pl.coalesce(pl.col("item_id").str.strip_prefix("'"), NAME),
        status=pl.when(pl.col("_cancelled").is_not_null()).then(pl.lit("cancelled")).otherwise("status"),
        value=pl.when((c.number("_discount") > 0) & (paid >= 0)).then(paid.round(6).cast(pl.String)),
    )


def _product_records(record: Record) -> list[Record]:
    product = {
        "_handle": record.get("handle") or record.get("id"),
        "title": record.get("title"),
        "description": record.get("body_html") or record.get("descriptionHtml") or record.get("description"),
        "brand": record.get("vendor"),
        "category": c.inner(record, "category", "full_name") or c.inner(record, "category", "fullName"),
        "_type": record.get("product_type") or record.get("productType"),
        "_status": record.get("status"),
        # REST says when it was published, and null where it is not.
        "_published": "false" if record.get("published_at", record.get("publishedAt", "yes")) is None else "true",
        "created_at": record.get("created_at") or record.get("createdAt"),
    }
    found = [product | _variant(one) for one in c.nodes(record.get("variants"))]
    return list(c.distinct(found)) or [product | {REFUSED: "a product without variants"}]


def _variant(one: Record) -> Record:
    values = [one.get(name.removeprefix("_")) for name in _OPTIONS]
    values = [option.get("value") for option in c.nodes(one.get("selectedOptions"))] or values
    tracked = one.get("inventory_management") or ("shopify" if c.inner(one, "inventoryItem", "tracked") else None)
    quantity = one.get("inventory_quantity", one.get("inventoryQuantity"))
    known = "inventory_management" in one or "inventoryItem" in one or quantity is None
    return {
        "item_id": one.get("sku") or None,
        "barcode": one.get("barcode") or None,
        "price": one.get("price"),
        "_quantity": quantity,
        "_tracker": tracked if known else "shopify",
        "_policy": one.get("inventory_policy") or one.get("inventoryPolicy"),
        **dict(zip(_OPTIONS, values, strict=False)),
    }


def _order_records(record: Record) -> list[Record]:
    status = record.get("financial_status") or record.get("displayFinancialStatus")
    number = record.get("name") or record.get("id")
    order = {
        "order_id": number,
        "user_id": c.inner(record, "customer", "id") or record.get("email") or record.get("contact_email"),
        "timestamp": record.get("created_at") or record.get("createdAt") or record.get("processed_at"),
        "status": status,
        "_cancelled": record.get("cancelled_at") or record.get("cancelledAt"),
        "currency": record.get("currency") or record.get("currencyCode"),
    }
    lines = c.nodes(record.get("line_items", record.get("lineItems")))
    return [order | _line(one, number) for one in lines] or [order | {REFUSED: "an order without lines"}]


def _line(one: Record, number: object) -> Record:
    title = one.get("title")
    label = one.get("variant_title") or one.get("variantTitle")
    return {
        "item_id": one.get("sku") or None,
        NAME: one.get("name") or (f"{title} - {label}" if title and label and label != "Default Title" else title),
        "quantity": one.get("quantity"),
        "unit_price": one.get("price") or c.inner(one, "originalUnitPriceSet", "shopMoney", "amount"),
        "_discount": one.get("total_discount") or c.inner(one, "totalDiscountSet", "shopMoney", "amount"),
        "_vendor": one.get("vendor"),
        "event_id": f"{number}-{one['id']}" if one.get("id") else None,
    }


_PRODUCT_CSV = {
    "item_id": ("Variant SKU", "SKU"),
    "_handle": ("Handle", "URL handle"),
    "title": ("Title",),
    "description": ("Body (HTML)", "Description"),
    "brand": ("Vendor",),
    "category": ("Product Category", "Product category"),
    "_type": ("Type",),
    "_status": ("Status",),
    "_published": ("Published", "Published on online store"),
    "price": ("Variant Price", "Price"),
    "barcode": ("Variant Barcode", "Barcode"),
    "_quantity": ("Variant Inventory Qty", "Inventory quantity"),
    "_tracker": ("Variant Inventory Tracker", "Inventory tracker"),
    "_policy": ("Variant Inventory Policy", "Continue selling when out of stock"),
    **{name: (f"Option{i} Value", f"Option{i} value") for i, name in enumerate(_OPTIONS, 1)},
}
_ORDER_CSV = {
    "order_id": ("Name",),
    "user_id": ("Email", "Phone"),
    "timestamp": ("Created at", "Paid at"),
    "status": ("Financial Status",),
    "_cancelled": ("Cancelled at",),
    "currency": ("Currency",),
    "item_id": ("Lineitem sku", "Lineitem name"),
    NAME: ("Lineitem name",),
    "quantity": ("Lineitem quantity",),
    "unit_price": ("Lineitem price",),
    "_discount": ("Lineitem discount",),
}

_PRODUCTS_JSON = TableLayout(c.same(*_ITEM), records=_product_records, rows=_products)
_ORDERS_JSON = TableLayout(c.same(*_LINE, "_vendor"), records=_order_records, rows=_orders, carried=_CARRIED)


SHOPIFY = Format(
    name="shopify",
    title="Shopify",
    items=(
        TableLayout(_PRODUCT_CSV, frozenset({"Handle", "Title", "Variant Price"}), rows=_products),
        TableLayout(_PRODUCT_CSV, frozenset({"URL handle", "Title", "Price"}), rows=_products),
        replace(_PRODUCTS_JSON, signs=frozenset({"handle", "title", "variants"})),
        replace(_PRODUCTS_JSON, signs=frozenset({"title", "body_html", "variants"})),
    ),
    defaults={"guests": ("",)},  # an order without a customer is of a visitor of its own
    interactions=(
        TableLayout(
            _ORDER_CSV,
            frozenset({"Name", "Lineitem name", "Lineitem quantity"}),
            rows=_orders,
            carried={"title": ("Lineitem name",), "price": ("Lineitem price",), "brand": ("Vendor",)},
        ),
        replace(_ORDERS_JSON, signs=frozenset({"line_items", "financial_status"})),
        replace(_ORDERS_JSON, signs=frozenset({"lineItems", "createdAt"})),
    ),
)
