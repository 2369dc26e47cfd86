"""Attributes, barcodes, margins and stock of the catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Ingest = Callable[..., Any]
LOG = "user_id,item_id,timestamp\nu,A,2026-01-01\n"


@pytest.mark.parametrize(
    ("raw", "barcode"),
    [
        ("0123456789012", "0123456789012"),
        (" 0123456789012 ", "0123456789012"),
        ("'0123456789012", "0123456789012"),
        ('"=""0123456789012"""', "0123456789012"),
        ("4006381333931|4006381333948", "4006381333931|4006381333948"),
        ("4006381333931 | 4006381333948|", "4006381333931|4006381333948"),
        ("4006381333931; 4006381333948", "4006381333931|4006381333948"),
        ("N/A", None),
        ("-", None),
        ("", None),
        ("4.00638E+12", None),
    ],
)
def test_barcodes_are_text_with_their_zeros(ingested: Ingest, raw: str, barcode: str | None) -> None:
    shop = ingested(LOG, f"item_id,title,barcode\nA,Tea,{raw}\n")
    assert shop.items["barcode"].to_list() == [barcode]


def test_a_rounded_barcode_is_left_out_with_a_note(ingested: Ingest) -> None:
    shop = ingested(LOG, "item_id,title,barcode\nA,Tea,4.00638E+12\nB,Milk,4006381333931\n")
    assert shop.items["barcode"].to_list() == [None, "4006381333931"]
    assert "1 barcode of the catalogue (1 row) has lost digits in a spreadsheet or program, e.g. '4.00638E+12'" in str(shop.summary.notes)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("colour: red; size: 40", "colour: red; size: 40"),
        ("<ul><li>colour: red</li><li>size: 40</li></ul>", "colour: red size: 40"),
        ("material: cotton &amp; linen", "material: cotton & linen"),
        ("nan", None),
    ],
)
def test_attributes_are_cleaned_as_descriptions_are(ingested: Ingest, raw: str, text: str | None) -> None:
    shop = ingested(LOG, f"item_id,title,attributes,description\nA,Tea,{raw},{raw}\n")
    assert shop.items["attributes"].to_list() == shop.items["description"].to_list() == [text]


def test_objects_of_json_are_attributes(ingested: Ingest) -> None:
    records = [
        {"item_id": "A", "title": "Shoe", "attributes": {"colour": "red", "size": 40}, "barcode": ["0123", "0456"]},
        {"item_id": "B", "title": "Shoe", "attributes": [{"name": "colour", "value": "blue"}], "barcode": "0789"},
    ]
    shop = ingested(LOG, "\n".join(map(json.dumps, records)) + "\n")
    assert shop.items["attributes"].to_list() == ["colour: red; size: 40", "colour: blue"]
    assert shop.items["barcode"].to_list() == ["0123|0456", "0789"]


def test_a_product_of_variants_has_the_attributes_and_barcodes_of_all(ingested: Ingest) -> None:
    items = "item_id,title,group_id,attributes,barcode\nA,Shoe,G,colour: red; size: 40,01\nB,Shoe,G,colour: red; size: 41,02|03\nC,Mug,,,\n"
    shop = ingested(LOG, items, variants="one")
    assert shop.items.select("item_id", "attributes", "barcode").rows() == [
        ("G", "colour: red; size: 40; size: 41", "01|02|03"),
        ("C", None, None),
    ]


@pytest.mark.parametrize(
    ("raw", "margin"), [("1.25", 1.25), ("$1.25", 1.25), ("-0.40", -0.4), ("1.25 USD", 1.25), ("", None), ("n/a", None), ("0", 0.0)]
)
def test_a_margin_is_money_and_may_be_negative(ingested: Ingest, raw: str, margin: float | None) -> None:
    shop = ingested(LOG, f"item_id,title,margin\nA,Tea,{raw}\nB,Mug,2.50\n")
    assert shop.items["margin"].to_list() == [margin, 2.5]


def test_a_margin_that_is_no_number_is_unknown_and_said(ingested: Ingest) -> None:
    shop = ingested(LOG, "item_id,title,margin\nA,Tea,high\nB,Mug,2.50\n")
    assert shop.items["margin"].to_list() == [None, 2.5]
    assert "1 value of margin is not a number ('high', row 1): its row is kept, with an unknown margin" in "".join(shop.summary.notes)


@pytest.mark.parametrize(
    ("raw", "stock", "available"),
    [("12", 12.0, True), ("0", 0.0, False), ("12 in stock", 12.0, True), ("-3", 0.0, False), ("in stock", None, True), ("", None, None)],
)
def test_stock_alone_says_what_is_available(ingested: Ingest, raw: str, stock: float | None, available: bool | None) -> None:
    shop = ingested(LOG, f"item_id,title,stock\nA,Tea,{raw}\nB,Mug,2\n")
    assert shop.items.select("stock", "available").rows() == [(stock, available), (2.0, True)]


def test_stock_beside_available_counts_pieces_alone(ingested: Ingest) -> None:
    shop = ingested(LOG, 'item_id,title,available,stock\nA,Tea,no,"1,200"\nB,Mug,yes,lots\n')
    assert shop.items.select("stock", "available").rows() == [(1200.0, False), (None, True)]
    assert "1 value of stock is not a number ('lots', row 2)" in "".join(shop.summary.notes)


def test_a_product_of_variants_has_the_stock_of_all(ingested: Ingest) -> None:
    items = "item_id,title,group_id,price,margin,stock\nA,Shoe,G,40,9,3\nB,Shoe,G,35,8,4\nC,Mug,,5,,\n"
    shop = ingested(LOG, items, variants="one")
    assert shop.items.select("item_id", "margin", "stock").rows() == [("G", 8.0, 7.0), ("C", None, None)]
