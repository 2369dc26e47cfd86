"""What a query does not want, and where the same words are what packets say."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lexical.catalogue_words import CatalogueWords
from retrieval.lexical.fields import item_fields
from retrieval.lexical.filters.exclusions import TitledTexts, excluded
from retrieval.lexical.index import LexicalIndex
from retrieval.lexical.query import read_query

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
        *("chocolate without", "chocolate without qwertz", "soap no 7", "nothing without it"),
    ],
)
def test_what_is_words(text: str) -> None:
    assert words(text) == []


def test_what_reviews_praise_is_no_ingredient() -> None:
    index = LexicalIndex.build({"title": ["vacuum", "vacuum noise"], "reviews": ["noise", ""]})
    assert TitledTexts(index, pl.Series(["vacuum", "vacuum noise"])).holding("noise").tolist() == [1]


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
