"""Attributes and barcodes in the exports of shop software."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.table_store import load_tables

Read = Callable[[str], dict[str, tuple[str | None, str | None]]]
LOG = "user_id,item_id,timestamp\nu,A,2026-01-01\n"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Ingests a catalogue given as text: item -> attributes and barcode."""

    def make(items: str) -> dict[str, tuple[str | None, str | None]]:
        (tmp_path / "items").write_text(items, encoding="utf-8")
        (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
        ingest(Source(items=tmp_path / "items", interactions=tmp_path / "log.csv"), tmp_path / "out")
        frame: pl.DataFrame = load_tables(tmp_path / "out")[0]
        return {item: (attributes, barcode) for item, attributes, barcode in frame.select("item_id", "attributes", "barcode").iter_rows()}

    return make


def test_google_merchant(read: Read) -> None:
    feed = "id\ttitle\tlink\timage_link\tprice\tavailability\tgtin\tcolor\tsize\tage_group\n"
    feed += "A\tShirt\thttps://x/1\thttps://x/1.jpg\t1 EUR\tin_stock\t00400638133393\tred\t40\tadult\n"
    feed += "B\tMug\thttps://x/2\thttps://x/2.jpg\t1 EUR\tin_stock\t\t\t\t\n"
    assert read(feed) == {"A": ("color: red; size: 40; age group: adult", "00400638133393"), "B": (None, None)}


@pytest.mark.parametrize(("sku", "barcode", "price"), [("Variant SKU", "Variant Barcode", "Variant Price"), ("SKU", "Barcode", "Price")])
def test_shopify_as_csv(read: Read, sku: str, barcode: str, price: str) -> None:
    handle = "Handle" if price == "Variant Price" else "URL handle"
    table = f"{handle},Title,{sku},{barcode},{price}\nshirt,Shirt,A,'0400638133393,1\nmug,Mug,B,,2\n"
    assert read(table) == {"A": (None, "0400638133393"), "B": (None, None)}


def test_shopify_as_json(read: Read) -> None:
    variants = [{"sku": "A", "price": "1", "barcode": "0400638133393"}, {"sku": "B", "price": "1", "barcode": ""}]
    product = {"handle": "shirt", "title": "Shirt", "body_html": "", "variants": variants}
    assert read(json.dumps(product) + "\n") == {"A": (None, "0400638133393"), "B": (None, None)}


def test_woocommerce_as_csv(read: Read) -> None:
    header = 'ID,Name,Regular price,"GTIN, UPC, EAN, or ISBN",Attribute 1 name,Attribute 1 value(s),Attribute 2 name,Attribute 2 value(s)'
    table = f'{header}\nA,Shirt,1,0400638133393,Colour,"Red, blue",Size,40\nB,Mug,1,,Colour,,,\n'
    assert read(table) == {"A": ("Colour: Red, blue; Size: 40", "0400638133393"), "B": (None, None)}


def test_woocommerce_as_json(read: Read) -> None:
    attributes = [{"id": 1, "name": "Colour", "options": ["Red", "Blue"]}, {"id": 2, "name": "Size", "option": "40"}]
    shirt = {"id": "A", "name": "Shirt", "regular_price": "1", "attributes": attributes, "global_unique_id": "0400638133393"}
    mug = {"id": "B", "name": "Mug", "regular_price": "1", "attributes": [], "global_unique_id": ""}
    lines = json.dumps(shirt) + "\n" + json.dumps(mug) + "\n"
    assert read(lines) == {"A": ("Colour: Red, Blue; Size: 40", "0400638133393"), "B": (None, None)}
