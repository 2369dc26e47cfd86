"""What a query does not want, and where the same words are what packets say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lexical.catalogue_words import CatalogueWords
from retrieval.lexical.fields import item_fields
from retrieval.lexical.filters.exclusions import TitledTexts, excluded
from retrieval.lexical.index import LexicalIndex
from retrieval.lexical.query import read_query

if TYPE_CHECKING:
    import numpy as np

TITLES = (
    *("Chocolate bar", "Chocolate bar with nuts", "Chocolate with peanut butter", "Peanut crackers", "Butter"),
    *("Soy milk", "Whole milk", "Rice milk", "Crackers", "Crackers no salt added", "Salt", "Sea salt butter"),
    *("Sulfate Free Shampoo", "Shampoo with sulfates", "Sulfate soap", "Coca-Cola", "Kola drink"),
    *("Zuckerfreie Limonade", "Limonade Zucker"),
)
TEXTS = TitledTexts(LexicalIndex.build({"title": TITLES, "reviews": ["" for _ in TITLES]}), pl.Series(TITLES))


def words(text: str) -> list[tuple[str, ...]]:
    return [one.words for one in excluded(text, TEXTS)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chocolate -nuts", [("nuts",)]),
        ("-nuts chocolate", [("nuts",)]),
        ("chocolate \N{MINUS SIGN}nuts -milk", [("nuts",), ("milk",)]),
        ('chocolate -"peanut butter"', [("peanut butter",)]),
        ("chocolate -qwertz", [("qwertz",)]),
        ("chocolate without nuts", [("nuts",)]),
        ("chocolate with no nuts", [("nuts",)]),
        ("chocolate Without Nuts or milk", [("Nuts", "milk")]),
        ("chocolate without peanut butter", [("peanut butter",)]),
        ("chocolate without nuts bar", [("nuts",)]),
        ("milk not soy", [("soy",)]),
        ("milk, but not soy", [("soy",)]),
        ("bar w/o nuts", [("nuts",)]),
        ("chocolate ohne nuts", [("nuts",)]),
        ("chocolate sin nuts", [("nuts",)]),
        ("chocolate sans nuts", [("nuts",)]),
        ("soap without sulfates", [("sulfates",)]),  # it is shampoo that says so
        ("butter no salt", [("salt",)]),
    ],
)
def test_what_is_not_wanted(text: str, expected: list[tuple[str, ...]]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("crackers no salt", "crackers no salt added", "crackers without salt", "shampoo without sulfates", "Limonade ohne Zucker"),
        *(
            "coca -cola",
            "chocolate-nuts",
            "chocolate - nuts",
            "chocolate -5",
            "chocolate -",
            "--nuts",
            "no nuts",
            "sin milk",
            "sugar free milk",
        ),
        *("chocolate without", "chocolate without qwertz", "soap no 7", "nothing without it", "milk s\N{LATIN SMALL LETTER DOTLESS I}n it"),
    ],
)
def test_what_is_words(text: str) -> None:
    assert words(text) == []


OFFERS = (
    *("Black jacket", "Jacket with hood", "Black hood", "Sony headphones", "Headphones with cable", "Red shoes women", "Red shoes men"),
    *("Shoes for kids", "Chaussures en cuir", "Chaussures lacets en cuir", "Zapatos en negro", "Zapatos cordones en negro"),
    *("Leather backpack with strap", "Forget me not seeds", "Noten", "Melk", "Brood", "Milk", "Nuts", "Soy", "Bread"),
    *("Too sweet bread", "Cotton strap of leather"),
)
OFFERED = TitledTexts(LexicalIndex.build({"title": OFFERS, "reviews": ["" for _ in OFFERS]}), pl.Series(OFFERS))


@pytest.mark.parametrize(
    ("text", "expected", "rest"),
    [
        ("jacket without hood, black", [("hood",)], "jacket, black"),
        ("jacket without hood and black", [("hood",)], "jacket and black"),
        ("jacket without a hood", [("hood",)], "jacket"),
        ("headphones no cable, sony", [("cable",)], "headphones, sony"),
        ("running shoes women, not men, red", [("men",)], "running shoes women,, red"),
        ("chaussures sans lacets en cuir", [("lacets",)], "chaussures en cuir"),
        ("zapatos sin cordones en negro", [("cordones",)], "zapatos en negro"),
        ("backpack without strap and with leather", [("strap",)], "backpack and with leather"),
        ("backpack without strap or with leather", [("strap",)], "backpack or with leather"),
        ("backpack without strap of leather", [("strap",)], "backpack of leather"),
        ("shoes not for kids", [("kids",)], "shoes"),
        ("shoes not for me", [], "shoes not for me"),
        ("forget me not red", [], "forget me not red"),
        ("bread for me, not milk", [("milk",)], "bread for me,"),
        ("bread not too sweet", [], "bread not too sweet"),
        ("bread without nuts, milk or soy", [("nuts", "milk", "soy")], "bread"),
        ("bread without nuts, milk, or soy", [("nuts", "milk", "soy")], "bread"),
        ("bread without nuts or not soy", [("nuts",), ("soy",)], "bread"),
        ("bread without nuts and no milk", [("nuts",), ("milk",)], "bread"),
        ("brood zonder noten of melk", [("noten", "melk")], "brood"),
    ],
)
def test_what_stands_beside_what_is_not_wanted_stays(text: str, expected: list[tuple[str, ...]], rest: str) -> None:
    found = excluded(text, OFFERED)
    assert [one.words for one in found] == expected
    for one in reversed(found):
        text = text[: one.begin] + text[one.end :]
    assert text == rest


def test_a_query_looks_a_word_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    in_catalogue = TitledTexts._in_catalogue

    def counted(self: TitledTexts, term: str, texts: np.ndarray) -> np.ndarray:
        found.append(term)
        return in_catalogue(self, term, texts)

    monkeypatch.setattr(TitledTexts, "_in_catalogue", counted)
    assert len(excluded("bread without milk or soy without milk", OFFERED)) == 2
    assert sorted(found) == ["milk", "soy"]


def test_what_reviews_praise_is_no_ingredient() -> None:
    titles = ["vacuum", "vacuum noise", "noise of fans", "noise", "vacuum"]
    index = LexicalIndex.build({"title": titles, "reviews": ["noise", "", "a noise", "loud", "noise again"]})
    assert TitledTexts(index, pl.Series(titles)).holding("noise").tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("thing", "titles"),
    [("salt", ["Crackers no salt added"]), ("sulfates", ["Sulfate Free Shampoo"]), ("Zucker", ["Zuckerfreie Limonade"]), ("milk", [])],
)
def test_titles_that_say_without(thing: str, titles: list[str]) -> None:
    assert [TITLES[row] for row in TEXTS.saying_without(thing)] == titles


def test_an_exclusion_is_a_filter_and_none_of_its_words_are_looked_for() -> None:
    items = pl.DataFrame({"item_id": [str(i) for i in range(len(TITLES))], "title": TITLES})
    names = CatalogueWords.read(items, LexicalIndex.build(item_fields(items)))
    query = read_query("chocolate -nuts under 3 dollars", names, (), (), TEXTS)
    assert [one.key for one in query.filters] == ["max_price:3", "without:nuts"]
    assert (query.cleaned, query.tokens) == ("chocolate", ("chocol",))
    ignored = read_query("chocolate -nuts or without milk", names, ("without:nuts", "without:milk"), (), TEXTS)
    assert (ignored.filters, ignored.cleaned) == ((), "chocolate or without milk"), "a minus says that a word is not looked for"


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(("milk", "-", "-soy", "not", "without", ",", "or", '-"', "no", "salt", "İ"))).map(" ".join)
)
def test_any_text_can_be_read(text: str) -> None:
    for one in excluded(text, TEXTS):
        assert 0 <= one.begin < one.end <= len(text)
