"""Search among passages: words, spelling, languages, the probability of an answer, and files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from features.data.help_pages import HelpPages
from features.errors import BundleError
from retrieval.passages.config import PassageConfig
from retrieval.passages.index import EVIDENCE, PassageIndex
from tests.retrieval.passages.conftest import HashedWords


@pytest.fixture
def index(pages: HelpPages, encoder: HashedWords) -> PassageIndex:
    return PassageIndex.of(pages, encoder)


@pytest.mark.parametrize(
    ("question", "row", "read"),
    [
        ("shiping cost", 0, "shipping cost"),
        ("shippin costs", 0, None),
        ("SHIPPING COST???", 0, None),
        ("pasword reset", 1, "password reset"),
        ("reset my passwrod", 1, "reset my password"),
        ("wo ist mein packet", 5, "wo ist mein paket"),
        ("wo ist mein pakte", 5, None),
        ("versandkosten", 6, "versandkosten"),
        ("postage", 0, "postage"),
        ("bestelung stornieren", 7, None),
        ("i am locked out", 1, None),
    ],
)
def test_words_typed_wrongly_and_tags_find_their_entry(question: str, row: int, read: str | None, index: PassageIndex) -> None:
    found = index.search([question], 3)
    assert found.rows[0, 0] == row
    if read is not None:
        assert found.read == (read,)
    assert (np.diff(found.scores[0]) <= 0).all()


def test_each_question_by_itself_gives_the_same_as_all_together(index: PassageIndex) -> None:
    questions = ["shiping cost", "wo ist mein paket", "gift cards", ""]
    together, alone = index.search(questions, 4), [index.search([one], 4) for one in questions]
    np.testing.assert_array_equal(together.rows, np.concatenate([one.rows for one in alone]))
    np.testing.assert_allclose(together.answers, np.concatenate([one.answers for one in alone]), rtol=1e-5)


def test_languages_and_a_mask_narrow_what_is_found(index: PassageIndex) -> None:
    german = index.search(["shipping cost"], 8, languages=["de"])
    assert set(german.rows[0]) == {5, 6, 7, -1}
    nothing = index.search(["shipping cost"], 2, languages=["fr"])
    assert nothing.rows.tolist() == [[-1, -1]]
    assert nothing.answers.tolist() == [0.0]
    allowed = np.arange(8) != 0
    assert index.search(["shipping cost"], 1, allowed=allowed).rows[0, 0] != 0


def test_the_probability_tells_questions_that_have_an_answer(index: PassageIndex) -> None:
    asked = index.search(["what does shipping cost", "reset password", "wo ist das paket", "find my invoice"]).answers
    others = index.search(["sunny tomorrow", "tell a joke", "wer wird meister", "?"]).answers
    assert asked.min() > 0.5 > others.max()


def test_the_same_seed_gives_the_same_probabilities(pages: HelpPages, encoder: HashedWords) -> None:
    first, again, other = (PassageIndex.of(pages, encoder, seed=seed).search(["shipping"]).answers for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_an_unknown_language_is_read_from_the_words(pages: HelpPages, encoder: HashedWords) -> None:
    unknown = replace(pages, language=pl.Series([""] * len(pages), dtype=pl.String))
    found = PassageIndex.of(unknown, encoder)
    assert {one.language for one in found.words} == {"en", "de"}
    assert found.search(["bestellungen storniert"], 1, languages=["de"]).rows.tolist() == [[7]]


def test_a_text_without_a_question_is_found_by_its_words(encoder: HashedWords) -> None:
    texts = ["The bowl goes into the dishwasher.", "The lid is made of glass.", "It holds two litres."]
    sentences = HelpPages.of(pl.DataFrame({"question": ["x"] * 3, "answer": texts}))

    class Sentences:
        question, answer, tags, language = pl.Series([""] * 3), sentences.answer, pl.Series([""] * 3), pl.Series(["en"] * 3)

    found = PassageIndex.of(Sentences(), encoder).search(["is it dishwasher safe", "glass lid?"], 1)
    assert found.rows.tolist() == [[0], [1]]
    assert np.isnan(found.answers).all()  # nothing to calibrate on


def test_a_cross_encoder_decides_among_the_best(pages: HelpPages, encoder: HashedWords) -> None:
    read: list[tuple[str, Sequence[str]]] = []

    def pairs(question: str, texts: Sequence[str]) -> np.ndarray:
        read.append((question, texts))
        return np.array([100.0 if text.startswith("Do you sell") else 0.0 for text in texts], dtype=np.float32)

    index = replace(PassageIndex.of(pages, encoder, PassageConfig(pairs=len(pages))), pairs=pairs)
    assert index.search(["shiping cost"], 1).rows.tolist() == [[3]]
    assert read[-1][0] == "shipping cost"
    few = replace(index, config=PassageConfig(pairs=1))
    assert few.search(["shiping cost"], 3).rows.tolist() == [[0, -1, -1]]


def test_files_give_the_same_index_and_encode_nothing(index: PassageIndex, pages: HelpPages) -> None:
    files, idle = index.to_files(), HashedWords()
    again = PassageIndex.from_files(files, pages, idle)
    assert idle.encoded == 0
    ours, theirs = (one.search(["shiping cost", "weather"]) for one in (index, again))
    np.testing.assert_array_equal(ours.rows, theirs.rows)
    np.testing.assert_array_equal(ours.answers, theirs.answers)
    with pytest.raises(BundleError, match="of other passages"):
        PassageIndex.from_files(files, pages.take([0, 1, 2]), idle)
    with pytest.raises(BundleError, match="cannot be read"):
        PassageIndex.from_files({**files, "passages.safetensors": b"x"}, pages, idle)


def test_evidence_is_there_for_each_passage(index: PassageIndex) -> None:
    evidence = index.evidence(["shipping cost", ""])
    assert evidence.shape == (2, 8, len(EVIDENCE))
    assert np.isfinite(evidence).all()
    assert evidence[0, :, EVIDENCE.index("words")].argmax() == 0


def test_no_passages_answer_nothing(pages: HelpPages, encoder: HashedWords) -> None:
    found = PassageIndex.of(pages.take([]), encoder).search(["shipping"])
    assert found.rows.shape[0] == 1
    assert (found.rows == -1).all()
    assert found.answers.tolist() == [0.0]
    assert len(PassageIndex.of(pages, encoder).search([]).read) == 0
