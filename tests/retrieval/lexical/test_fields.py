"""The fields that the lexical index reads of a catalogue."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from retrieval.lexical.fields import item_fields, text_fields
from retrieval.lexical.index import LexicalIndex

ITEMS = pl.DataFrame({"item_id": list("abc"), "title": ["Shoe", "Shoe", "Mug"], "brand": ["Nord", "Nord", None]})
TEXT_OF, FIRST = np.array([0, 0, 1]), np.array([0, 2])


def test_a_column_without_attributes_changes_no_score() -> None:
    without = LexicalIndex.build(item_fields(ITEMS))
    empty = LexicalIndex.build(item_fields(Catalog.from_frame(ITEMS).frame))
    assert empty.terms == without.terms
    np.testing.assert_array_equal(empty.values, without.values)
    np.testing.assert_array_equal(empty.texts, without.texts)


@pytest.mark.parametrize("words", [["red"], ["blue"], ["shoe", "blue"]])
def test_a_text_has_the_attributes_of_all_its_items(words: list[str]) -> None:
    items = ITEMS.with_columns(attributes=pl.Series(["colour: red; size: 40", "colour: blue; size: 40", None]))
    fields = text_fields(items, TEXT_OF, FIRST)
    assert fields["attributes"].to_list() == ["colour: red; size: 40; colour: blue; size: 40", ""]
    assert LexicalIndex.build(fields).search(words, 3)[0].tolist() == [0]


def test_without_attributes_the_fields_are_those_of_the_first_items() -> None:
    assert text_fields(ITEMS, TEXT_OF, FIRST).equals(item_fields(ITEMS[FIRST]))
