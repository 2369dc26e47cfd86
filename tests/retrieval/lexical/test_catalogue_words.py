"""Items that a whole query names by their id or barcode, and words that are right although the catalogue lacks them."""

from __future__ import annotations

import polars as pl
import pytest

from features.data.catalog import Catalog
from retrieval.lexical.catalogue_words import CatalogueWords, item_barcodes, item_ids
from retrieval.lexical.fields import item_fields
from retrieval.lexical.index import LexicalIndex
from retrieval.lexical.synonyms.thesaurus import Thesaurus

CATALOG = Catalog.from_frame(
    pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d", "e"],
            "title": ["Tea", "Milk", "Oats", "Soap", "Salt"],
            "barcode": ["00123456789012", "4006381333931|036000291452", None, "4006381333931", "does not apply"],
            "available": [True, False, True, True, True],
        }
    )
)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("00123456789012", ["a"]),
        ("123456789012", ["a"]),
        ("0123456789012", ["a"]),
        (" 1 234567 89012 ", ["a"]),
        ("123-456-789-012", ["a"]),
        ("0036000291452", ["b"]),
        ("36000291452", ["b"]),
        ("4006381333931", ["d"]),
        ("does not apply", []),
        ("0", []),
        ("123456789013", []),
        ("c", ["c"]),
    ],
)
def test_a_barcode_finds_its_item_with_leading_zeros_or_without(typed: str, found: list[str]) -> None:
    assert item_ids(typed, CATALOG, item_barcodes(CATALOG)) == found


def test_a_word_that_is_right_is_no_misspelling() -> None:
    items = pl.DataFrame({"title": ["Garden planters"] * 60 + ["Tea"] * 60})
    words = CatalogueWords.read(items, LexicalIndex.build(item_fields(items)))
    assert [one.read for one in words.spelling.correct(["plasters"])] == ["planters"]
    right = words.with_real_words(Thesaurus.packaged().english_words)
    assert right.spelling.correct(["plasters"]) == []
    assert [one.read for one in right.spelling.correct(["plamters"])] == ["planters"]
