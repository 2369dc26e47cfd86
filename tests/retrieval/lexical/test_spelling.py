"""Misspelt words: slips are mended, and words that are right, strange, or of another language are left alone."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lexical.index import LexicalConfig, LexicalIndex
from retrieval.lexical.spelling import SpellChecker, whole_words
from retrieval.lexical.word_counts import WordCounts

COUNTS = {
    "Spaghetti dry": 20,
    "Shampoo for dry hair": 30,
    "Chocolate chip cookies": 40,
    "Yogurt strawberry": 60,
    "Whole milk": 90,
    "White bread": 30,
    "Red wine": 50,
    "White wine": 40,
    "Toothpaste mint": 25,
    "Toilet paper": 30,
    "Broccoli": 12,
    "Hot dog buns": 15,
    "Jalapeño peppers": 9,
    "Coffee beans": 45,
    "Diapers": 20,
    "Potato chips": 40,
    "Paper cups": 20,
    "Cocoa 006R90321": 8,
}
TITLES = [title for title, n in COUNTS.items() for _ in range(n)]


def checker_of(titles: list[str], queries: list[str | None] | None = None, language: str = "english") -> SpellChecker:
    index = LexicalIndex.build({"title": titles}, LexicalConfig(language=language, weights={"title": 1.0}))
    return SpellChecker(WordCounts.count([pl.Series(titles)], None if queries is None else pl.Series(queries)), index)


CHECKER = checker_of(TITLES)


def mended(query: str, checker: SpellChecker = CHECKER) -> str:
    for typed, read in checker.correct(query.split()):
        query = query.replace(typed, read, 1)
    return query


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("spagetti", "spaghetti"),
        ("spaghettti", "spaghetti"),
        ("shampo", "shampoo"),
        ("shampooo", "shampoo"),
        ("sahmpoo", "shampoo"),
        ("choclate", "chocolate"),
        ("chocolatte", "chocolate"),
        ("chokolate", "chocolate"),
        ("yoghurt", "yogurt"),
        ("yogrut", "yogurt"),
        ("mlik", "milk"),
        ("mjlk", "milk"),
        ("brocoli", "broccoli"),
        ("cofee", "coffee"),
        ("coffwe", "coffee"),
        ("diapars", "diapers"),
        ("toothpasye", "toothpaste"),
        ("jalapeno pepers", "jalapeno peppers"),
        ("wite wine", "white wine"),
        ("shampo for dry hair", "shampoo for dry hair"),
        ("CHOCLATE chip", "chocolate chip"),
        ("tooth paste", "toothpaste"),
        ("toiletpaper", "toilet paper"),
        ("hotdog", "hot dog"),
        ("papercups", "paper cups"),
    ],
)
def test_slips_are_mended(typed: str, read: str) -> None:
    assert mended(typed) == read


@pytest.mark.parametrize(
    "query",
    [
        *("milk", "yogurts", "toothpast", "dry hair", "hot dog", "paper cups"),  # the catalogue has them, or their stems
        *("006R90321", "006r9032l", "dv7", "m1lk", "x"),  # model numbers and fragments
        *("quinoa", "sriracha", "kombucha", "iphone", "xbox"),  # unlike any word
        *("lait", "leche", "milch", "fromage", "etwas warmes", "leche para el cafe", "papel higienico"),  # other languages
        *("牛奶", "молоко", "ชาเขียว", "😀", ""),
    ],
)
def test_other_words_are_left_alone(query: str) -> None:
    assert CHECKER.correct(query.split()) == []


def test_the_word_that_stands_with_the_others_is_read() -> None:
    checker = checker_of(["dairy butter"] * 30 + ["tennis batter gear"] * 30)
    assert mended("dairy botter", checker) == "dairy butter"
    assert mended("tennis botter", checker) == "tennis batter"


def test_a_rare_word_beside_a_frequent_one_is_mended() -> None:
    checker = checker_of(["strawberry jam"] * 300 + ["strawbery jam"])
    assert mended("strawbery", checker) == "strawberry"
    assert mended("strawbery", checker_of(["strawberry jam"] * 20 + ["strawbery jam"])) == "strawbery"


def test_accents_are_shown_as_the_catalogue_has_them() -> None:
    assert [one.read for one in CHECKER.correct(["jalapenno"])] == ["jalapeño"]


def test_words_of_the_search_log_are_known_and_its_misspellings_are_not() -> None:
    queries: list[str | None] = ["oatly"] * 20 + ["choclate"] * 20 + ["shampoo"] * 50 + [None, ""]
    checker = checker_of(TITLES, queries)
    assert checker.knows("oatly")
    assert mended("oatlly", checker) == "oatly"
    assert mended("choclate", checker) == "chocolate"
    assert checker.vocabulary.counts[checker.vocabulary.words.index("shampoo")] == 80


@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_words_can_be_read(words: list[str]) -> None:
    for typed, read in CHECKER.correct(words):
        assert read
        assert read != typed


def test_without_a_catalogue_nothing_is_mended() -> None:
    assert checker_of([]).correct(["milk", "mlik"]) == []
    assert WordCounts.count([pl.Series([None], dtype=pl.Null)]).words == []


def test_real_words_are_mended_only_in_context() -> None:
    real = frozenset({"mile", "cooks", "wind", "whit"})
    checker = SpellChecker(CHECKER.vocabulary, CHECKER.index, real)
    for word in ("mile", "wind", "whit"):
        assert mended(word, checker) == word
    assert mended("whit wine", checker) == "white wine"
    assert mended("spagetti", checker) == "spaghetti"


@pytest.mark.parametrize(
    ("vocabulary", "words"),
    [
        (["[PAD]", "milk", "##age", "Café", "of", "1990"], {"milk", "cafe"}),
        (["<s>", "▁leche", "▁Milch", "age", "▁", "▁a"], {"leche", "milch"}),
    ],
)
def test_whole_words_of_a_tokenizer(vocabulary: list[str], words: set[str]) -> None:
    assert whole_words(vocabulary) == words


def test_a_long_query_is_mended_in_part() -> None:
    assert len(CHECKER.correct(["choclate", *["milk"] * 5, *["shampo"] * 60])) == 8
