"""Variants of a product as one item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ingest = Callable[..., Any]
ITEMS = """item_id,title,price,available,group_id
S,Shirt S,39.90,no,SHIRT
M,Shirt M,35.00,yes,SHIRT
L,Shirt L,,,SHIRT
MUG,Mug,12.00,no,
CAP,Cap,5.00,no,CAP-1
"""
LOG = "user_id,item_id,timestamp\nu,S,2026-01-01\nu,L,2026-01-02\nv,MUG,2026-01-01\nv,SHIRT,2026-01-03\nw,X,2026-01-01\n"


def test_each_variant_is_an_item_by_default(ingested: Ingest) -> None:
    shop = ingested(LOG, ITEMS)
    assert shop.items.select("item_id", "group_id").rows() == [
        ("S", "SHIRT"),
        ("M", "SHIRT"),
        ("L", "SHIRT"),
        ("MUG", None),
        ("CAP", "CAP-1"),
    ]
    assert shop.log["item_id"].to_list() == ["S", "L", "MUG"]


def test_a_product_is_one_item(ingested: Ingest) -> None:
    shop = ingested(LOG, ITEMS, variants="one")
    assert shop.items.select("item_id", "title", "price", "available").rows() == [
        ("SHIRT", "Shirt S", 35.0, True),
        ("MUG", "Mug", 12.0, False),
        ("CAP-1", "Cap", 5.0, False),
    ]
    assert shop.log.select("user_id", "item_id").rows() == [("u", "SHIRT"), ("u", "SHIRT"), ("v", "MUG"), ("v", "SHIRT")]
    assert shop.refused == [
        (2, "a variant, part of its product's item", "M"),
        (3, "a variant, part of its product's item", "L"),
        (5, "item_id not in the catalogue", "X"),
    ]


TITLED = {
    "of a column": ("item_id,title,group_id,group_title\nS,Shirt S,SHIRT,Linen shirt\nM,Shirt M,SHIRT,\n", "Linen shirt"),
    "of the product's own row": ("item_id,title,group_id\nS,Shirt S,SHIRT\nSHIRT,The shirt,SHIRT\n", "The shirt"),
    "of the first variant": ("item_id,title,group_id\nS,Shirt S,SHIRT\nM,Shirt M,SHIRT\n", "Shirt S"),
}


@pytest.mark.parametrize("what", TITLED)
def test_the_title_is_the_products(ingested: Ingest, what: str) -> None:
    items, title = TITLED[what]
    shop = ingested("user_id,item_id,timestamp\nu,S,2026-01-01\n", items, variants="one")
    assert shop.items.select("item_id", "title").rows() == [("SHIRT", title)]


@pytest.mark.parametrize("group", ["", "nan", " "])
def test_items_without_a_group_stay_what_they_are(ingested: Ingest, group: str) -> None:
    log, items = "user_id,item_id,timestamp\nu,A,2026-01-01\n", f"item_id,title,group_id\nA,Apple,{group}\n"
    one, many = (ingested(log, items, variants=variants) for variants in ("one", "items"))
    assert one.items["item_id"].to_list() == many.items["item_id"].to_list() == ["A"]
    assert one.log.equals(many.log)


def test_ids_written_as_floats_find_their_group(ingested: Ingest) -> None:
    items = "item_id,title,group_id\n1.0,Shirt S,10.0\n2.0,Shirt M,10.0\n"
    shop = ingested("user_id,item_id,timestamp\nu,2,2026-01-01\n", items, variants="one")
    assert shop.items["item_id"].to_list() == shop.log["item_id"].to_list() == ["10"]
