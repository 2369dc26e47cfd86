"""Availability, in the words of the large platforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from features.errors import DataError

Ingest = Callable[..., Any]
LOG = "user_id,item_id,timestamp\nu,0,2026-02-03\n"


def items(*values: str) -> str:
    return "item_id\ttitle\tavailable\n" + "".join(f"{row}\tA title\t{value}\n" for row, value in enumerate(values))


YES = [
    "in stock",
    "in_stock",
    "instock",
    "In-Stock",
    "https://schema.org/InStock",
    "http://schema.org/PreOrder",
    "backorder",
    "onbackorder",
    "preorder",
]
YES += [
    "available for order",
    "limited availability",
    "active",
    "Enabled",
    "12",
    "12.0",
    "12 pcs",
    "1,200",
    "10+",
    "in stock: 3",
    "In Stock (4)",
    "only 2 left",
    "Only 1 left in stock!",
    "noch 5 Stück",
    "> 5",
    "12 in stock",
    "auf Lager",
    "en stock",
]
YES += ["Disponible", "disponibile", "sí", "ja", "verfügbar", "hay existencias"]
NO = [
    "out of stock",
    "out_of_stock",
    "outofstock",
    "OutOfStock",
    "https://schema.org/OutOfStock",
    "https://schema.org/SoldOut",
    "discontinued",
    "sold out",
]
NO += [
    "draft",
    "archived",
    "disabled",
    "0",
    "0.0",
    "-3",
    "0 in stock",
    "in stock: 0",
    "In Stock (0)",
    "Out of stock (0)",
    "sold out: 3",
    "0 left",
    "ausverkauft",
    "rupture de stock",
    "épuisé",
    "agotado",
    "esaurito",
    "Nicht auf Lager",
    "non",
]


@pytest.mark.parametrize(("values", "expected"), [(YES, True), (NO, False)])
def test_words_of_the_platforms(values: list[str], expected: bool, ingested: Ingest) -> None:
    shop = ingested(LOG.replace(",", "\t"), items(*values), suffix="tsv")
    assert shop.refused == []
    assert dict(zip(values, shop.items["available"], strict=True)) == dict.fromkeys(values, expected)


def test_a_status_of_1_and_2_is_told_from_counts(ingested: Ingest) -> None:
    log = LOG.replace(",", "\t")
    shop = ingested(log, items(*"1212121212"), suffix="tsv")
    assert shop.items["available"].to_list() == [True, False] * 5
    assert "read as a status, 1 for yes and 2 for no" in shop.summary.notes[0]
    assert ingested(log, items(*"1212121210"), suffix="tsv").items["available"].to_list() == [True] * 9 + [False]


def test_a_word_that_is_not_known_is_refused_with_the_key_that_reads_it(ingested: Ingest) -> None:
    log = LOG.replace(",", "\t")
    shop = ingested(log, items("yes", "Bald wieder", "Bald wieder"), suffix="tsv")
    assert shop.refused == [(row, "available is neither yes nor no", "Bald wieder") for row in (2, 3)]
    (note,) = shop.summary.notes
    assert "2 values of available are neither yes nor no ('Bald wieder'; row 2)" in note
    assert 'set source.availability = { "Bald wieder" = true }, or false' in note
    assert ingested(log, items("yes", "Bald wieder"), suffix="tsv", availability={"Bald wieder": False}).items["available"].to_list() == [
        True,
        False,
    ]
    with pytest.raises(DataError, match=r"source.availability = \{ \"Bald wieder\" = true \}"):
        ingested(log, items("Bald wieder"), suffix="tsv")
