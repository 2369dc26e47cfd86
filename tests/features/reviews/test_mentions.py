"""Mentions of aspects: forms, languages, places, overlaps."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.reviews.aspects import Aspect, AspectList
from features.reviews.folding import folded, folded_word
from features.reviews.mentions import SCHEMA, Term, find_mentions

LIST = AspectList.packaged()


def found(text: str, aspects: AspectList = LIST) -> set[tuple[str, str]]:
    """The aspects of a sentence, each with the words as they stand there."""
    return {(row["aspect"], text[row["begin"] : row["end"]]) for row in aspects.mentions(pl.Series([text])).iter_rows(named=True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fast SHIPPING, great customer-service!", {("delivery", "SHIPPING"), ("service", "customer-service")}),
        ("The shipment was late and they never replied.", {("delivery", "shipment"), ("service", "replied")}),
        ("The PRICES are fair", {("price", "PRICES")}),
        ("it fits, true to size", {("size and fit", "fits"), ("size and fit", "true to size")}),
        ("不错，物流很快，价格便宜", {("delivery", "物流"), ("price", "价格"), ("price", "便宜")}),
        (
            "Die Lieferungen waren nicht pünktlich und die GRÖSSE passt",
            {("delivery", "Lieferungen"), ("size and fit", "GRÖSSE"), ("size and fit", "passt")},
        ),
        ("Größe und Länge sind gut", {("size and fit", "Größe"), ("size and fit", "Länge")}),
        ("La qualité est bonne, livré à l'heure", {("quality", "qualité"), ("delivery", "livré")}),
        ("LA QUALITE EST BONNE", {("quality", "QUALITE")}),
        ("El envío es muy rápido pero la tela es mala", {("delivery", "envío"), ("material", "tela")}),
        ("happy apparel, priceless", set()),
        ("", set()),
        ("👍", set()),
    ],
)
def test_mentions_in_five_languages(text: str, expected: set[tuple[str, str]]) -> None:
    assert found(text) == expected


def test_a_language_counts_only_in_its_sentences() -> None:
    english = ["the must have for this and that"] * 60  # "muster" is German for a pattern, and its stem is "must"
    assert LIST.mentions(pl.Series(english)).is_empty()
    assert ("appearance", "Muster") in found("das Muster ist nicht schön")


def test_the_longest_term_of_overlapping_ones_stays() -> None:
    aspects = AspectList((Aspect("service", (Term("customer service", "english"),)), Aspect("help", (Term("customer", "english"),))))
    assert found("customer service and customers", aspects) == {("service", "customer service"), ("help", "customers")}


def test_an_exact_term_has_no_other_form() -> None:
    exact, stemmed = (Aspect("a", (Term("works", "english", exact),)) for exact in (True, False))
    text = "it works and worked"
    assert found(text, AspectList((exact,))) == {("a", "works")}
    assert found(text, AspectList((stemmed,))) == {("a", "works"), ("a", "worked")}


def test_rows_are_those_of_the_sentences() -> None:
    table = LIST.mentions(pl.Series([None, "good price", "", "bad quality, price ok"]))
    assert table.select("sentence", "aspect", "begin", "end").rows() == [(1, "price", 5, 10), (3, "quality", 4, 11), (3, "price", 13, 18)]
    assert dict(table.schema) == SCHEMA
    assert dict(find_mentions(pl.Series([], dtype=pl.String), []).schema) == SCHEMA


@given(st.text(max_size=60))
def test_folding_keeps_every_place(text: str) -> None:
    (out,) = folded(pl.Series([text], dtype=pl.String))
    assert len(out) == len(text)
    assert folded_word(text) == out
    (again,) = folded(pl.Series([out], dtype=pl.String))
    assert len(again) == len(out)


@given(st.lists(st.sampled_from(["价格", "price", "Größe", " ", " é ", "😀", "zz", "Lieferung"]), max_size=12))
def test_places_are_characters_of_the_sentence(parts: list[str]) -> None:
    text = "".join(parts)
    for row in LIST.mentions(pl.Series([text], dtype=pl.String)).iter_rows(named=True):
        assert text[row["begin"] : row["end"]] in {"价格", "price", "Größe", "Lieferung"}
