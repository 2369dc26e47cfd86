"""Languages by code, tag or name."""

from __future__ import annotations

import pytest

from features.text.languages.names import CODES, ENGLISH_NAMES, language_code
from retrieval.lexical.analyzer import LANGUAGES, NO_STEMMING


@pytest.mark.parametrize("text", ["de", "DE", " de ", "de-AT", "de_CH", "German", "deutsch", "Deutsch"])
def test_a_language_has_many_spellings(text: str) -> None:
    assert language_code(text) == "de"


@pytest.mark.parametrize("text", ["", "klingon", "xx", "d", "english please"])
def test_what_is_no_language_is_none(text: str) -> None:
    assert language_code(text) == ""


def test_every_stemmer_has_a_code() -> None:
    assert set(LANGUAGES) - {NO_STEMMING, "porter", "dutch_porter", "esperanto"} <= set(ENGLISH_NAMES.values())
    assert set(CODES.values()) == set(ENGLISH_NAMES)
