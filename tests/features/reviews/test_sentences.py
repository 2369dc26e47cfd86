"""Sentences of reviews: verbatim, with their place, in several languages."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.reviews.sentences import LONGEST, SCHEMA, split_sentences


def sentences(text: str, language: str = "en") -> list[str]:
    return split_sentences(pl.Series([text]), language)["sentence"].to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Love it! It is 3.5 in. long. Dr. Smith likes it.", ["Love it!", "It is 3.5 in. long.", "Dr. Smith likes it."]),
        ("great sound,bad strap.Would buy again!!", ["great sound,bad strap.", "Would buy again!!"]),
        ("Costs $9.99 at example.com or U.S. shops", ["Costs $9.99 at example.com or U.S. shops"]),
        ("不错，很好用。物流很快！就是有点贵……下次再来", ["不错，很好用。", "物流很快！", "就是有点贵……", "下次再来"]),
        ("pros: cheap\r\ncons: loud\n\nstill ok", ["pros: cheap", "cons: loud", "still ok"]),
        ("Il est bien. Mais M. Dupont l'a cassé!", ["Il est bien.", "Mais M. Dupont l'a cassé!"]),
        ("  no full stop  ", ["no full stop"]),
        ("👍👍👍", ["👍👍👍"]),
    ],
)
def test_where_sentences_end(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_abbreviations_are_those_of_the_language() -> None:
    text = "Die Lieferung kam am 3. Mai an. Sehr gut, z.B. die Farbe."
    assert sentences(text, "de") == ["Die Lieferung kam am 3. Mai an.", "Sehr gut, z.B. die Farbe."]


def test_rows_and_places_are_those_of_the_reviews() -> None:
    texts = pl.Series(["Good. Bad.", None, "", "   ", "Ok"])
    found = split_sentences(texts)
    assert found.rows() == [(0, "Good.", 0), (0, "Bad.", 6), (4, "Ok", 0)]
    assert dict(found.schema) == SCHEMA
    assert dict(split_sentences(pl.Series([], dtype=pl.String)).schema) == SCHEMA


@pytest.mark.parametrize("text", ["word " * 4000, "x" * 20_000, "a, b; " * 3000, "很" * 20_000])
def test_an_endless_sentence_is_cut_and_nothing_is_lost(text: str) -> None:
    found = sentences(text)
    assert max(map(len, found)) <= LONGEST
    assert "".join(found).replace(" ", "") == text.replace(" ", "")


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_any_text_keeps_each_character_that_is_no_space(text: str) -> None:
    found = split_sentences(pl.Series([text], dtype=pl.String))
    assert "".join("".join(found["sentence"].to_list()).split()) == "".join(text.split())
    for row in found.iter_rows(named=True):
        assert text[row["begin"] :].startswith(row["sentence"])
    assert found["begin"].is_sorted()
