"""Proposals of new terms: frequent, not in the list, near an aspect, the same each time, and read back as a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.reviews.aspects import Aspect, AspectList, own_names
from features.reviews.mentions import Term
from features.reviews.proposals import SCHEMA, as_toml, propose_terms

LIST = AspectList((Aspect("price", (Term("price", "english"),)), Aspect("sound", (Term("sound", "english"),))))
MONEY = {"price", "dollars", "deal", "fair deal"}
NOISE = {"sound", "treble"}


class ByMeaning:
    """Two directions for the two aspects, and a third for all else."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.eye(3, dtype=np.float32)[[0 if text in MONEY else 1 if text in NOISE else 2 for text in texts]]


TEXTS = pl.Series(
    ["It cost forty dollars."] * 30
    + ["A fair deal and a clear treble, really."] * 25
    + ["The sounds and prices are good, guitar too."] * 40
    + ["rare dollars"] * 3
    + [None, ""]
)


def of_own_reviews(texts: pl.Series) -> pl.DataFrame:
    """Each sentence is a review of its own."""
    return pl.DataFrame({"review": range(len(texts)), "sentence": texts})


SENTENCES = of_own_reviews(TEXTS)


def test_frequent_words_near_an_aspect_are_proposed() -> None:
    found = propose_terms(SENTENCES, LIST, ByMeaning(), fewest=20, least=0.9).terms
    assert found.select("term", "aspect", "reviews").rows() == [
        ("dollars", "price", 33),
        ("deal", "price", 25),
        ("fair deal", "price", 25),
        ("treble", "sound", 25),
    ]
    assert dict(found.schema) == SCHEMA
    assert all(term in TEXTS[row].lower() for term, row in found.select("term", "example").rows())


def test_terms_of_the_list_are_not_proposed_in_any_form() -> None:
    found = propose_terms(SENTENCES, LIST, ByMeaning(), fewest=1, least=-1.0, most=100).terms
    assert not {"price", "prices", "sound", "sounds"} & set(found["term"])
    assert "guitar" in set(found["term"])


def test_one_review_that_repeats_itself_makes_no_term() -> None:
    again = pl.DataFrame({"review": [500] * 900, "sentence": ["Forty treble bucks."] * 900})
    found = propose_terms(pl.concat([SENTENCES, again]), LIST, ByMeaning(), fewest=20, least=-1.0, most=100).terms
    assert "bucks" not in found["term"].to_list()
    assert dict(found.select("term", "reviews").iter_rows())["treble"] == 26


@pytest.mark.parametrize(("fewest", "least", "frequent"), [(1000, 0.0, 0), (20, 2.0, 12)])
def test_nothing_is_proposed_below_the_limits(fewest: int, least: float, frequent: int) -> None:
    found = propose_terms(SENTENCES, LIST, ByMeaning(), fewest, least)
    assert found.terms.is_empty()
    assert found.frequent == frequent


def test_the_order_of_the_reviews_changes_no_term() -> None:
    back = propose_terms(SENTENCES.reverse(), LIST, ByMeaning(), 20, 0.9).terms
    assert back.drop("example").equals(propose_terms(SENTENCES, LIST, ByMeaning(), 20, 0.9).terms.drop("example"))


@pytest.mark.parametrize("mask", ["[mail]", "[phone]", "[card]", "[name]"])
def test_what_stands_for_personal_data_is_no_word(mask: str) -> None:
    sentences = of_own_reviews(pl.Series([f"My dollars, write {mask} today."] * 30))
    found = propose_terms(sentences, LIST, ByMeaning(), 20, least=-1.0, most=100).terms
    assert mask.strip("[]") not in " ".join(found["term"]).split()
    assert "write today" not in found["term"].to_list()
    assert "dollars" in found["term"].to_list()


@pytest.mark.parametrize(
    "before",
    ["", 'extends = true\n[[aspect]]\nname = "noise"\nterms = ["rattle"]\n', '[[aspect]]\nname = " say \\"so\\" "\nterms = ["rattle"]\n'],
    ids=["no file", "a file that adds", "a file that replaces"],
)
def test_the_lines_go_into_the_list_as_they_are(before: str, tmp_path: Path) -> None:
    file = tmp_path / "aspects.toml"
    file.write_text(before)
    terms = pl.DataFrame({"aspect": ["price", "price", "noise", 'say "so"'], "term": ["dollars", "fair deal", "hum", "whistle"]})
    own = own_names(file) if before else None
    lines = as_toml(terms, own)
    assert ("extends" in lines) == (own is None)
    file.write_text(before + lines)
    found = {aspect.name: [term.text for term in aspect.terms] for aspect in AspectList.of_file(file).aspects}
    assert found["price"][-2:] == ["dollars", "fair deal"]
    for name, term in (("noise", "hum"), ('say "so"', "whistle")):
        if name in (own or ()):
            assert found[name] == ["rattle"], "an aspect of the file is left to a person"
            assert f'add to its terms\n# terms = ["{term}"]' in lines
        else:
            assert found[name] == [term]
