"""The former key of places for arrivals is read as a share of places, in a configuration and in a stored model."""

from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError

from retrieval.collaborative.config import RetrievalConfig


@pytest.mark.parametrize(("places", "share"), [(0, 0.0), (1, 0.1), ("2", 0.2), (12, 1.0)])
def test_places_of_ten_become_a_share_and_the_new_name_is_said(places: int | str, share: float, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert RetrievalConfig.model_validate({"arrivals": places}).exploration == share
    assert f"note: retrieval.arrivals is retrieval.exploration now: {int(places)} of ten places" in caplog.text


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"retrieval\.arrivals and retrieval\.exploration are the same"):
        RetrievalConfig.model_validate({"arrivals": 1, "exploration": 0.1})


@pytest.mark.parametrize("places", ["one", None, [1]])
def test_what_is_no_number_is_refused_with_the_new_name(places: object) -> None:
    with pytest.raises(ValidationError, match=r"retrieval\.arrivals is retrieval\.exploration now"):
        RetrievalConfig.model_validate({"arrivals": places})


@pytest.mark.parametrize(("stored", "share"), [({"arrivals": 0}, 0.0), ({"arrivals": 1}, 0.1), ({}, RetrievalConfig().exploration)])
def test_a_stored_model_keeps_its_places(stored: dict[str, int], share: float, caplog: pytest.LogCaptureFixture) -> None:
    assert RetrievalConfig.from_stored(stored | {"own": 7}).exploration == share
    assert RetrievalConfig.from_stored(stored | {"own": 7}).repeat_purchases == 7
    assert not caplog.text
