"""Terms of texts and queries: what customers type and what shops write meet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ConfigError
from retrieval.lexical.analyzer import Analyzer, fold


def found(query: str, text: str, language: str = "english") -> bool:
    """Whether a text holds all terms of a query."""
    analyzer = Analyzer(language)
    return set(analyzer.tokens(query)) <= {analyzer.stem(word) for word in analyzer.index_words(text)}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("cafe", "Café crème"),
        ("CAFÉ", "cafe\u0301"),
        ("ｍｉｌｋ", "Milk"),
        ("strasse", "Straße"),
        ("chocolate", "choco\u00adlate"),
        ("cookie", "Cookies"),
        ("tomatoes", "tomato"),
        ("core 2", "Intel® Core™2 Duo"),
        ("kelloggs", "Kellogg’s"),
        ("kellogg", "KELLOGG'S"),
        ("loreal", "L'Oréal"),
        ("oreal", "L'Oréal"),
    ],
)
def test_case_accents_signs_and_endings_do_not_matter(query: str, text: str) -> None:
    assert found(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        *[(query, "Xerox 006R90321 toner") for query in ("006R90321", "006r90321", "90321")],
        *[(query, "HP dv7-1211ea") for query in ("dv7-1211ea", "dv7", "1211EA", "DV7 1211ea", "dv71211ea")],
        *[(query, "SD-Card reader") for query in ("sd card", "SD-Card", "sdcard")],
        *[(query, "Wi-Fi stick") for query in ("wifi", "wi-fi", "wi fi")],
        *[(query, "USB-C cable") for query in ("usb c", "usb-c", "usbc")],
        *[(query, "StarTech.com hub") for query in ("startech", "startech.com", "startechcom")],
    ],
)
def test_model_numbers_and_compounds_are_found_whole_and_in_parts(query: str, text: str) -> None:
    assert found(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("牛奶", "有机牛奶"),
        ("茶", "绿茶 tea"),
        ("コーヒー", "アイスコーヒー"),
        ("녹차", "녹차라떼"),
        ("ชาเขียว", "ชาเขียวเย็น"),
        ("iphone手机", "苹果iPhone手机"),
    ],
)
def test_scripts_without_spaces_are_cut_into_pairs(query: str, text: str) -> None:
    assert found(query, text)
    assert not found("咖啡", text)


@pytest.mark.parametrize(
    ("language", "query", "text"),
    [
        ("german", "muesli", "Müsli"),
        ("german", "tomate", "Tomaten"),
        ("french", "huile", "l'huile d'olive"),
        ("french", "cafe", "cafés"),
        ("spanish", "galletas", "galleta"),
        ("none", "cookies", "cookies"),
    ],
)
def test_a_language_has_its_own_endings(language: str, query: str, text: str) -> None:
    assert found(query, text, language)


def test_a_language_without_a_stemmer_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match=r"klingon.*choose one of.*english"):
        Analyzer("klingon")


def test_stop_words_count_only_alone() -> None:
    assert Analyzer().tokens("the milk of my cat") == ["milk", "cat"]
    assert Analyzer().tokens("the of") == ["the", "of"]
    assert Analyzer("german").tokens("etwas für den Hund") == ["hund"]
    assert "the" in Analyzer().index_words("The The")


@pytest.mark.parametrize("text", ["", "   ", "😀😀", "\x00\x01\x07", "!!! ---", "()*:\"'"])
def test_a_text_without_words_has_no_terms(text: str) -> None:
    assert Analyzer().tokens(text) == []
    assert Analyzer().index_words(text) == []


@pytest.mark.parametrize("text", ["title:(", "milk*", "milk AND", '"milk', "<b>milk</b>", "'; DROP TABLE items; --", "milk~2^4"])
def test_syntax_is_read_as_words(text: str) -> None:
    assert all(token.isalnum() for token in Analyzer().tokens(text))
    assert Analyzer().tokens(text)


@given(st.text(max_size=300), st.sampled_from(["english", "german", "french", "none"]))
def test_any_text_can_be_read(text: str, language: str) -> None:
    analyzer = Analyzer(language)
    assert all(isinstance(token, str) and token for token in analyzer.tokens(text))
    assert analyzer.tokens(text) == analyzer.tokens(text)
    assert fold(fold(text)) == fold(text) or not text.isascii()


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_a_text_is_found_by_its_own_words(text: str) -> None:
    analyzer = Analyzer()
    held = {analyzer.stem(word) for word in analyzer.index_words(text)}
    assert set(analyzer.tokens(text)) <= held


def test_threads_stem_alike() -> None:
    words = [
        f"{stem}{ending}" for stem in ("cook", "run", "bak", "paint", "relat") for ending in ("ing", "ed", "ers", "ation", "ings")
    ] * 40
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(Analyzer().stem, words))
    assert together == [Analyzer().stem(word) for word in words]
