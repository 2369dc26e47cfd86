"""Synonym replacement in item texts: other words for the same thing, everything else as it stands."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.lexical.synonyms.replacement import SynonymReplacement
from retrieval.lexical.synonyms.thesaurus import Thesaurus

ENGLISH = ["Whole Milk, 1 gallon. Dairy", "Men's running shoes. Shoes, Clothing", "White bread. Bakery", "Kitchen paper. Household"]
GERMAN = ["Vollmilch 1 Liter. Milch und Käse", "Laufschuhe für Herren. Kleidung", "Brot, weiß. Brot und Brötchen"]
OWN = [("zorbs", "bubble suits")]


def replacement(texts: list[str], share: float = 1.0) -> SynonymReplacement:
    return SynonymReplacement(Thesaurus.packaged().extended(OWN), texts, share)


@pytest.mark.parametrize(("texts", "language"), [(ENGLISH, "en"), (GERMAN, "de")])
def test_the_language_is_the_catalogues(texts: list[str], language: str) -> None:
    assert replacement(texts).language == language


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Zorbs, qqx", "bubble suits, qqx"),
        ("Qqx ZORBS (vvz)", "Qqx bubble suits (vvz)"),  # the capitals of the rest stay
        ("Bubble suits. QQX", "zorbs. QQX"),
        ("Qqx zorbs ½. Vvz", "qqx bubble suits 1/2. vvz"),  # folding changes the places of letters: the folded text
    ],
)
def test_a_phrase_is_replaced_and_the_rest_stays(text: str, wanted: str) -> None:
    found = replacement(ENGLISH)(text, np.random.default_rng(0))
    assert found is not None
    assert " ".join(found.split()) == wanted


@pytest.mark.parametrize("text", ["", "qqxz 77", "牛奶 250ml"])
def test_there_may_be_nothing_to_replace(text: str) -> None:
    assert replacement(ENGLISH)(text, np.random.default_rng(0)) is None


def test_the_share_is_that_of_phrases() -> None:
    half, none = replacement(ENGLISH, 0.5), replacement(ENGLISH, 0.0)
    rng = np.random.default_rng(0)
    changed = np.mean([half("zorbs", rng) is not None for _ in range(400)])
    assert changed == pytest.approx(0.5, abs=0.08)
    assert all(none(text, rng) is None for text in ENGLISH)


def test_a_packaged_synonym_is_in_the_texts_language() -> None:
    english, german = (Thesaurus.packaged().phrases.by_key[language] for language in ("en", "de"))
    found = {replacement(GERMAN)("Kuhmilch", np.random.default_rng(seed)) for seed in range(5)}
    assert found
    assert all(word is not None and (word.lower(),) in german and (word.lower(),) not in english for word in found)
