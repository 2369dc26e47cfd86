"""Runs of letters that questions and passages share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.passages.grams import GramIndex, grams_of

INDEX = GramIndex.build(["Versandkosten", "Passwort vergessen", "Öffnungszeiten"], ["Der Versand kostet 4 Euro.", "Link per Mail", ""])


def test_runs_begin_and_end_with_words() -> None:
    assert grams_of("Hä?") == [" ha", "ha ", " ha "]
    assert grams_of("a bc") == [" a ", " bc", "bc ", " bc "]
    assert grams_of("?!") == []


@pytest.mark.parametrize(("question", "row"), [("Kosten Versand", 0), ("paswort", 1), ("oeffnungszeit offnungszeitn", 2), ("Mail-Link", 1)])
def test_compounds_and_misspelt_words_are_found(question: str, row: int) -> None:
    cosine, held = INDEX.evidence(question)
    assert held.argmax() == row
    assert cosine.argmax() == row or question == "Mail-Link"  # which stands in the answer alone


@given(st.text(max_size=60))
def test_evidence_lies_between_none_and_all(question: str) -> None:
    for values in INDEX.evidence(question):
        assert values.shape == (3,)
        assert (values >= 0).all()
        assert (values <= 1 + 1e-5).all()


def test_the_passage_itself_has_all() -> None:
    cosine, held = INDEX.evidence("Versandkosten")
    np.testing.assert_allclose([cosine[0], held[0]], 1, rtol=1e-5)
