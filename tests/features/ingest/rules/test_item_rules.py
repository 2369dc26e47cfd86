"""Attributes and barcodes of the catalogue."""

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
