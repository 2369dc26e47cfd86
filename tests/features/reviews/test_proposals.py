"""Proposals of new terms: frequent, not in the list, near an aspect, the same each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from features.reviews.aspects import Aspect, AspectList
from features.reviews.mentions import Term
from features.reviews.proposals import SCHEMA, proposal_lines, propose_terms

LIST = AspectList((Aspect("price", (Term("price", "english"),)), Aspect("sound", (Term("sound", "english"),))))
MONEY = {"price", "dollars", "deal", "fair deal"}
NOISE = {"sound", "treble"}


class ByMeaning:
    """Two directions for the two aspects, and a third for all else."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.eye(3, dtype=np.float32)[[0 if text in MONEY else 1 if text in NOISE else 2 for text in texts]]


SENTENCES = pl.Series(
    ["It cost forty dollars."] * 30
    + ["A fair deal and a clear treble, really."] * 25
    + ["The sounds and prices are good, guitar too."] * 40
    + ["rare dollars"] * 3
    + [None, ""]
)


def test_frequent_words_near_an_aspect_are_proposed() -> None:
    found = propose_terms(SENTENCES, LIST, ByMeaning(), fewest=20, least=0.9)
    assert found.select("term", "aspect", "sentences").rows() == [
        ("dollars", "price", 33),
        ("deal", "price", 25),
        ("fair deal", "price", 25),
        ("treble", "sound", 25),
    ]
    assert dict(found.schema) == SCHEMA
    assert all(term in SENTENCES[row].lower() for term, row in found.select("term", "example").rows())


def test_terms_of_the_list_are_not_proposed_in_any_form() -> None:
    found = propose_terms(SENTENCES, LIST, ByMeaning(), fewest=1, least=-1.0, most=100)
    assert not {"price", "prices", "sound", "sounds"} & set(found["term"])
    assert "guitar" in set(found["term"])


@pytest.mark.parametrize(("fewest", "least"), [(1000, 0.0), (20, 2.0)])
def test_nothing_is_proposed_below_the_limits(fewest: int, least: float) -> None:
    assert propose_terms(SENTENCES, LIST, ByMeaning(), fewest, least).is_empty()


def test_the_order_of_the_reviews_changes_no_term() -> None:
    back = propose_terms(SENTENCES.reverse(), LIST, ByMeaning(), 20, 0.9)
    assert back.drop("example").equals(propose_terms(SENTENCES, LIST, ByMeaning(), 20, 0.9).drop("example"))


def test_a_person_reads_count_and_example() -> None:
    lines = proposal_lines(propose_terms(SENTENCES, LIST, ByMeaning(), 20, 0.9), SENTENCES)
    assert lines[0] == 'price: "dollars" (33 sentences), as in "It cost forty dollars."'
