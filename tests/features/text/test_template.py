"""The text template of an item."""

from __future__ import annotations

import hashlib

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.text.template import MAX_DESCRIPTION, item_texts, text_hashes


def text_of(**item: str | None) -> str:
    schema = {"item_id": pl.String, **dict.fromkeys(item, pl.String)}
    return item_texts(
        Catalog.from_frame(pl.DataFrame({"item_id": ["x"], **{name: [value] for name, value in item.items()}}, schema=schema))
    )[0]


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"title": "Milk"}, "Milk"),
        ({"title": "Milk", "brand": "Dairy & Co"}, "Milk. Dairy & Co"),
        ({"title": "Milk", "category": "Food|Dairy | Fresh"}, "Milk. Fresh, Dairy, Food"),
        ({"title": "Milk", "brand": "B", "category": "C", "description": "D"}, "Milk. B. C. D"),
        ({"title": "Milk", "brand": None, "category": "", "description": " "}, "Milk"),
        ({"title": " Mi\x00lk \n\t 1\u00a0l\u200b", "brand": "\x1b"}, "Mi lk 1 l"),
        ({"title": "x", "description": "d" * 999}, "x. " + "d" * MAX_DESCRIPTION),
    ],
)
def test_the_template(item: dict[str, str | None], text: str) -> None:
    assert text_of(**item) == text


any_text = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=20)  # Cn: Python and polars may know different Unicode versions


@given(any_text, any_text, any_text)
def test_any_text_becomes_one_clean_line(title: str, brand: str, description: str) -> None:
    text = text_of(title=title, brand=brand, description=description)
    assert text == " ".join(text.split())
    assert all(character.isprintable() or character.isspace() for character in text)


def test_texts_are_in_catalogue_order() -> None:
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": ["b", "a"], "title": ["Bread", "Apple"]}))
    assert item_texts(catalog).to_list() == ["Apple", "Bread"]


@given(st.lists(any_text, max_size=12))
def test_hashes_are_sha256_and_equal_exactly_where_texts_are(texts: list[str]) -> None:
    hashes = text_hashes(pl.Series(texts, dtype=pl.String))
    assert hashes.shape == (len(texts), 16)
    assert [row.tobytes() for row in hashes] == [hashlib.sha256(text.encode()).digest()[:16] for text in texts]
