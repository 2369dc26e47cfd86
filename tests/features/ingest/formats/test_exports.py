"""Exports of each shop software, made small: the tables that come of them, and what is refused and said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.errors import DataError
from features.ingest.formats.google_merchant import GOOGLE_MERCHANT
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.table_store import load_quarantine, load_tables
from features.ingest.tables import raw_tables

EXPORTS = Path(__file__).parent / "exports"
ANNA, BO = "anna@example.com", "bo@example.com"


@dataclass(frozen=True)
class Shop:
    """What came of an export. `refused`: (table, row, reason) of each quarantined row."""

    items: pl.DataFrame
    log: pl.DataFrame
    refused: list[tuple[str, int, str]]
    notes: str

    def column(self, name: str) -> dict[str, Any]:
        return dict(self.items.select("item_id", name).iter_rows())

    @property
    def sold(self) -> list[tuple[str, str, float | None]]:
        return self.log.select("user_id", "item_id", "value").rows()


Read = Callable[..., Shop]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Ingests two exports: names of files of `exports`, or paths."""

    def make(log: str | Path, items: str | Path | None, **options: Any) -> Shop:
        source = Source.model_validate({"interactions": EXPORTS / log, "items": items and EXPORTS / items, **options})
        summary = ingest(source, tmp_path / "out")
        for table in (summary.items, summary.interactions):
            assert table.read == table.kept + table.quarantined
        refused = [(table, int(row), reason) for table, row, reason, _ in load_quarantine(tmp_path / "out").iter_rows()]
        return Shop(*load_tables(tmp_path / "out"), refused, "\n".join(summary.notes))

    return make


def test_shopify_as_csv(read: Read) -> None:
    shop = read("shopify_orders.csv", "shopify_products.csv")
    assert shop.column("title") == {
        "LS-S-W": "Linen shirt - S / White",
        "LS-M-W": "Linen shirt - M / White",
        "LS-L-W": "Linen shirt - L / White",
        "Gift mug": "Gift mug",
        "SC-1": "Old scarf",
        "SO-1": "Oat soap",
    }
    assert shop.column("price") == {"LS-S-W": 39.9, "LS-M-W": 39.9, "LS-L-W": 42, "Gift mug": 12, "SC-1": 9, "SO-1": 4.5}
    in_stock = {"LS-S-W": True, "LS-M-W": False, "LS-L-W": True, "Gift mug": True, "SC-1": False, "SO-1": False}
    assert shop.column("available") == in_stock, "M has none, L goes on without; SC-1 is archived, SO-1 not published"
    assert shop.column("group_id")["LS-L-W"] == "linen-shirt"
    assert set(shop.items.filter(group_id="linen-shirt")["category"]) == {"Apparel & Accessories|Clothing|Shirts"}
    assert set(shop.items.filter(group_id="linen-shirt")["brand"]) == {"Nord"}
    assert shop.column("category")["Gift mug"] == "Mugs"
    in_euros = [line for line in shop.sold if line[1] != "LS-L-W"]
    assert in_euros == [(ANNA, "LS-S-W", 79.8), (ANNA, "Gift mug", 10.0), (ANNA, "LS-M-W", 39.9)]
    assert shop.log.filter(item_id="LS-L-W")["user_id"].to_list() == [BO], "in Swedish crowns"
    assert shop.log["timestamp"][0] == datetime(2026, 1, 3, 9, 15)
    assert shop.refused == [
        ("items", 4, "an image, no product"),
        ("interactions", 3, "order is refunded"),
        ("interactions", 4, "order is refunded"),
        ("interactions", 5, "order is cancelled"),
        ("interactions", 7, "order is voided"),
        ("interactions", 8, "item_id not in the catalogue"),
    ]
    assert "shopify_products.csv looks like Shopify: read as format shopify" in shop.notes
    assert "2 items are not available, as draft, archived or unpublished (such as " in shop.notes
    assert "1 row of partially refunded orders is kept, because what was sent back is not known" in shop.notes
    assert "1 row finds its item by sku or name, not by item_id ('Linen shirt - M / White' is 'LS-M-W')" in shop.notes


def test_shopify_products_as_one_item_each(read: Read) -> None:
    shop = read("shopify_orders.csv", "shopify_products.csv", variants="one")
    assert shop.column("title") == {
        "linen-shirt": "Linen shirt",
        "gift-mug": "Gift mug",
        "old-scarf": "Old scarf",
        "oat-soap": "Oat soap",
    }
    assert shop.column("price")["linen-shirt"] == 39.9
    assert shop.column("available") == {"linen-shirt": True, "gift-mug": True, "old-scarf": False, "oat-soap": False}
    assert Counter(shop.log["item_id"]) == {"linen-shirt": 3, "gift-mug": 1}
    assert ("items", 2, "a variant, part of its product's item") in shop.refused


def test_shopify_orders_alone_make_a_catalogue(read: Read) -> None:
    shop = read("shopify_orders.csv", None)
    assert shop.column("title")["LS-S-W"] == "Linen shirt - S / White"
    assert shop.column("price") == {
        "LS-S-W": 39.9,
        "Gift mug": 12,
        "LS-L-W": 42,
        "Engraving": 7,
        "Linen shirt - M / White": 39.9,
    }


def test_shopify_with_the_new_names_of_columns(read: Read, tmp_path: Path) -> None:
    text = (EXPORTS / "shopify_products.csv").read_text("utf-8")
    new = {
        "Handle,": "URL handle,",
        "Body (HTML)": "Description",
        "Option1 Value": "Option1 value",
        "Option2 Value": "Option2 value",
        "Variant SKU": "SKU",
        "Variant Inventory Tracker": "Inventory tracker",
        "Variant Inventory Qty": "Inventory quantity",
        "Variant Inventory Policy": "Continue selling when out of stock",
        "Variant Price": "Price",
        "Published": "Published on online store",
    }
    for old, name in new.items():
        text = text.replace(old, name, 1)
    (tmp_path / "products.csv").write_text(text, encoding="utf-8")
    assert read("shopify_orders.csv", tmp_path / "products.csv").items.equals(read("shopify_orders.csv", "shopify_products.csv").items)


def _lines(path: Path, *records: object) -> Path:
    path.write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    return path


REST = (
    {
        "id": 1,
        "handle": "linen-shirt",
        "title": "Linen shirt",
        "body_html": "Light",
        "vendor": "Nord",
        "product_type": "Shirts",
        "status": "active",
        "published_at": "2025-01-01",
        "variants": [
            {"id": 11, "sku": "LS-S", "option1": "S", "price": "39.90", "inventory_quantity": 3, "inventory_management": "shopify"},
            {"id": 12, "sku": "", "option1": "M", "price": "39.90", "inventory_quantity": 0, "inventory_management": "shopify"},
        ],
    },
    {
        "id": 501,
        "name": "#1",
        "email": "Anna@example.com",
        "customer": {"id": 7},
        "financial_status": "paid",
        "cancelled_at": None,
        "created_at": "2026-01-03T10:15:00+01:00",
        "currency": "EUR",
        "line_items": [
            {"id": 1, "sku": "LS-S", "name": "Linen shirt - S", "title": "Linen shirt", "quantity": 2, "price": "39.90"},
            {"id": 2, "sku": "", "name": "Linen shirt - M", "title": "Linen shirt", "quantity": 1, "price": "39.90"},
        ],
    },
)
GRAPHQL = (
    {
        "id": "gid://1",
        "handle": "linen-shirt",
        "title": "Linen shirt",
        "descriptionHtml": "Light",
        "vendor": "Nord",
        "productType": "Shirts",
        "status": "ACTIVE",
        "publishedAt": "2025-01-01",
        "variants": {
            "edges": [
                {
                    "node": {
                        "sku": "LS-S",
                        "price": "39.90",
                        "inventoryQuantity": 3,
                        "inventoryItem": {"tracked": True},
                        "selectedOptions": [{"name": "Size", "value": "S"}],
                    }
                },
                {
                    "node": {
                        "sku": None,
                        "price": "39.90",
                        "inventoryQuantity": 0,
                        "inventoryItem": {"tracked": True},
                        "inventoryPolicy": "DENY",
                        "selectedOptions": [{"name": "Size", "value": "M"}],
                    }
                },
            ]
        },
    },
    {
        "name": "#1",
        "customer": {"id": "7"},
        "displayFinancialStatus": "PAID",
        "cancelledAt": None,
        "createdAt": "2026-01-03T10:15:00+01:00",
        "currencyCode": "EUR",
        "lineItems": {
            "nodes": [
                {"sku": "LS-S", "name": "Linen shirt - S", "quantity": 2, "originalUnitPriceSet": {"shopMoney": {"amount": "39.90"}}},
                {
                    "sku": None,
                    "title": "Linen shirt",
                    "variantTitle": "M",
                    "quantity": 1,
                    "originalUnitPriceSet": {"shopMoney": {"amount": 39.9}},
                },
            ]
        },
    },
)


@pytest.mark.parametrize(("product", "order"), [REST, GRAPHQL], ids=["rest", "graphql"])
def test_shopify_as_json(read: Read, tmp_path: Path, product: dict[str, Any], order: dict[str, Any]) -> None:
    cancelled = order | {"name": "#2", "cancelled_at": "2026-01-04", "cancelledAt": "2026-01-04"}
    empty = order | {"name": "#3", "line_items": [], "lineItems": {"nodes": []}}
    shop = read(_lines(tmp_path / "orders.jsonl", order, cancelled, empty), _lines(tmp_path / "products.jsonl", product))
    assert shop.items.select("item_id", "title", "price", "available", "group_id", "category").rows() == [
        ("LS-S", "Linen shirt - S", 39.9, True, "linen-shirt", "Shirts"),
        ("Linen shirt - M", "Linen shirt - M", 39.9, False, "linen-shirt", "Shirts"),
    ]
    assert shop.sold == [("7", "LS-S", 79.8), ("7", "Linen shirt - M", 39.9)]
    assert [reason for _, _, reason in shop.refused] == ["order is cancelled"] * 2 + ["an order without lines"]


def test_woocommerce(read: Read) -> None:
    shop = read("woocommerce_orders.jsonl", "woocommerce_products.csv")
    assert shop.column("title") == {"11": "Linen shirt - S", "12": "Linen shirt - M", "20": "Gift mug", "30": "Old scarf"}
    assert shop.column("price") == {"11": 29.9, "12": 39.9, "20": 12, "30": 9}
    assert shop.column("available") == {"11": True, "12": False, "20": True, "30": False}
    assert shop.column("group_id") == {"11": "10", "12": "10", "20": "20", "30": "30"}, "a parent by its id and by its sku"
    assert shop.column("category") == {"11": "Clothing|Shirts", "12": "Clothing|Shirts", "20": "Home, kitchen|Mugs", "30": "Scarves"}
    assert shop.sold[:3] == [("7", "11", 59.8), ("7", "20", 12.0), (BO, "20", 12.0)], "a guest is the e-mail address"
    assert "0" not in shop.log["user_id"]
    assert shop.log["timestamp"][0] == datetime(2026, 1, 3, 10, 15), "of date_created_gmt"
    assert ("items", 1, "a product with variations, which are the items") in shop.refused
    assert ("interactions", 3, "order is cancelled") in shop.refused
    assert ("interactions", 4, "order is not paid yet") in shop.refused
    assert ("interactions", 5, "an order without lines") in shop.refused
    assert "of partially refunded orders" in shop.notes


def test_woocommerce_products_as_one_item_each(read: Read) -> None:
    shop = read("woocommerce_orders.csv", "woocommerce_products.csv", variants="one")
    assert shop.column("title") == {"10": "Linen shirt", "20": "Gift mug", "30": "Old scarf"}
    assert shop.column("price") == {"10": 29.9, "20": 12, "30": 9}
    assert shop.column("available") == {"10": True, "20": True, "30": False}
    assert shop.sold == [(ANNA, "10", 59.8), (ANNA, "20", 12.0), ("cy@example.com", "10", 39.9)], "by sku, and by name without one"
    assert ("interactions", 3, "order has failed") in shop.refused


def test_woocommerce_products_of_the_rest_api(read: Read, tmp_path: Path) -> None:
    product = {
        "id": 20,
        "name": "Gift mug",
        "sku": "MUG",
        "type": "simple",
        "status": "publish",
        "description": "Stoneware",
        "price": "10.00",
        "regular_price": "12.00",
        "sale_price": "10.00",
        "stock_status": "onbackorder",
        "stock_quantity": 0,
        "categories": [{"id": 1, "name": "Mugs"}],
        "date_created_gmt": "2025-01-01T00:00:00",
    }
    shirt = product | {"id": 10, "name": "Linen shirt", "sku": "SHIRT", "type": "variable", "price": "", "regular_price": ""}
    small = product | {
        "id": 11,
        "name": "Linen shirt",
        "sku": "SHIRT-S",
        "type": "variation",
        "parent_id": 10,
        "categories": [],
        "attributes": [{"name": "Size", "option": "S"}],
        "stock_status": "outofstock",
    }
    shop = read("woocommerce_orders.jsonl", _lines(tmp_path / "products.jsonl", product, shirt, small))
    assert shop.items.select("item_id", "title", "price", "available", "group_id", "category").rows() == [
        ("20", "Gift mug", 10.0, True, "20", "Mugs"),
        ("11", "Linen shirt - S", 10.0, False, "10", "Mugs"),
    ]


def test_magento(read: Read) -> None:
    shop = read("magento_order_items.csv", "magento_products.csv")
    assert shop.column("title") == {"SHIRT-S": "Linen shirt S", "SHIRT-M": "Linen shirt M", "MUG": "Gift mug", "SCARF": "Old scarf"}
    assert shop.column("price") == {"SHIRT-S": 39.9, "SHIRT-M": 39.9, "MUG": 10, "SCARF": 9}
    assert shop.column("available") == {"SHIRT-S": True, "SHIRT-M": False, "MUG": True, "SCARF": False}
    assert shop.column("group_id") == {"SHIRT-S": "SHIRT", "SHIRT-M": "SHIRT", "MUG": "MUG", "SCARF": "SCARF"}
    assert shop.column("category") == {"SHIRT-S": "Men|Tops", "SHIRT-M": "Men|Tops", "MUG": "Home|Mugs", "SCARF": "Scarves"}
    assert set(shop.items["created_at"]) == {datetime(2025, 1, 5, 10)}
    assert shop.sold == [("7", "SHIRT-S", 79.8), (BO, "MUG", 24.0)]
    assert shop.log["quantity"].to_list() == [2, 2], "of three mugs one was sent back"
    assert Counter(shop.refused) == Counter(
        [
            ("items", 3, "a configurable product, whose variants are the items"),
            ("items", 5, "a row of another store view"),
            ("items", 6, "a row of another store view"),
            ("interactions", 2, "part of another line of the order"),
            ("interactions", 3, "order is cancelled"),
            ("interactions", 4, "order is refunded"),
            ("interactions", 6, "order is not paid yet"),
        ]
    )


def test_magento_in_a_store_view(read: Read) -> None:
    shop = read("magento_order_items.csv", "magento_products.csv", store_view="de", variants="one")
    assert shop.column("title") == {"SHIRT": "Linen shirt", "MUG": "Geschenkbecher", "SCARF": "Old scarf"}
    assert shop.column("price") == {"SHIRT": 39.9, "MUG": 10, "SCARF": 9}
    assert shop.column("available") == {"SHIRT": True, "MUG": True, "SCARF": False}
    assert Counter(shop.log["item_id"]) == {"SHIRT": 1, "MUG": 1}


def test_a_store_view_that_nothing_has_is_told(read: Read) -> None:
    with pytest.raises(DataError, match="no product has a row of the store view 'fr'; the export has de: correct source.store_view"):
        read("magento_order_items.csv", "magento_products.csv", store_view="fr")


@pytest.mark.parametrize("name", ["google_analytics.jsonl", "google_analytics.csv", "google_analytics.parquet"])
def test_google_analytics(read: Read, tmp_path: Path, name: str) -> None:
    log = EXPORTS / name
    if log.suffix == ".parquet":
        log = tmp_path / name
        pl.read_ndjson(EXPORTS / "google_analytics.jsonl").with_columns(pl.col("event_timestamp").cast(pl.Int64)).write_parquet(log)
    shop = read(log, "items.csv")
    assert shop.log.select("user_id", "item_id", "event", "quantity", "value").rows() == [
        ("111.222", "LS-S", "view", None, None),
        ("111.222", "LS-S", "cart", 1, None),
        ("anna", "LS-S", "purchase", 2, 79.8),
        ("anna", "MUG", "purchase", 1, 12.0),
    ]
    assert shop.log["timestamp"].dt.truncate("1s")[0] == datetime(2026, 1, 3, 10, 15)
    assert [reason for _, _, reason in shop.refused] == [
        "no event of an item: page_view",
        "no event of an item: scroll",
        "purchase without an item",
        "order is refunded",
        "a refund",
    ]


def test_google_analytics_reads_a_mapped_event(read: Read) -> None:
    shop = read("google_analytics.csv", "items.csv", events={"scroll": "view", "add_to_cart": "view"})
    assert shop.log["event"].to_list() == ["view", "view", "purchase", "purchase"]
    assert ("interactions", 6, "scroll without an item") in shop.refused


def test_google_merchant(tmp_path: Path) -> None:
    source = Source(items=EXPORTS / "google_merchant.tsv", interactions=EXPORTS / "google_analytics.jsonl")
    items, _ = raw_tables(source, tmp_path)
    assert items is not None
    assert items.frame.select("item_id", "price", "available", "category", "group_id").collect().rows() == [
        ("LS-S", "29.90 EUR", "in_stock", "Clothing|Shirts", "LS"),
        ("LS-M", "39.90 EUR", "out_of_stock", "Clothing|Shirts", "LS"),  # the sale is over
        ("MUG", "12.00 EUR", "preorder", "Home & Garden|Kitchen & Dining|Mugs", None),
        ("SOAP", "4.50 EUR", "backorder", None, None),  # 473 is a number of Google's list
    ]
    assert "google_merchant.tsv looks like Google Merchant" in items.notes[0]


def test_google_merchant_repeats_elements() -> None:
    records = GOOGLE_MERCHANT.items[0].records
    assert records is not None
    assert list(records({"id": "A", "product_type": ["Clothing > Shirts", "Sale"], "price": "1 EUR"})) == [
        {"id": "A", "product_type": "Clothing > Shirts", "price": "1 EUR"}
    ]


def test_amazon_and_our_own_names(read: Read) -> None:
    shop = read("amazon_reviews.jsonl", "amazon_items.jsonl", format="amazon")
    assert shop.column("category") == {"B01": "Clothing|Shirts", "B02": "Home|Mugs"}
    assert shop.log["event"].to_list() == ["rating", "rating"]
    shop = read("log.csv", "items.csv")
    assert shop.column("category") == {"LS-S": "Clothing|Shirts", "LS-M": "Clothing|Shirts", "MUG": "Home|Mugs"}
    assert shop.sold == [("anna", "LS-S", 39.9), ("anna", "LS-M", 29.9), ("cy", "MUG", None), ("cy", "MUG", 12.0)]


def test_a_mapping_of_ids_goes_before_recognition(read: Read) -> None:
    mapping = {"item_id": "Handle", "title": "Title", "price": "Variant Price"}
    log = {"user_id": "Email", "item_id": "Lineitem name", "timestamp": "Created at"}
    with pytest.raises(Exception, match="no item of the log is in the catalogue"):
        read("shopify_orders.csv", "shopify_products.csv", items_columns=mapping, interactions_columns=log)


def test_a_mapped_column_goes_before_the_formats(read: Read) -> None:
    shop = read("shopify_orders.csv", "shopify_products.csv", items_columns={"brand": "Type", "price": "Variant Compare At Price"})
    assert shop.column("brand")["Gift mug"] == "Mugs"
    assert shop.column("brand")["LS-M-W"] == "Shirts", "which only the first row of the product has"
    assert shop.column("price")["LS-S-W"] == 49.9


def test_the_canonical_format_can_be_named(read: Read) -> None:
    with pytest.raises(Exception, match="has no user_id"):
        read("shopify_orders.csv", "items.csv", format="canonical")
