"""The probability of an answer, and the questions that it is fitted on."""

from __future__ import annotations

import numpy as np

from retrieval.passages.calibration import AnswerCalibration
from retrieval.passages.perturbed import misspelt, own_questions, shortened
from retrieval.passages.vectors import pieces_of


def test_probabilities_are_calibrated_and_rise_with_the_evidence() -> None:
    random = np.random.default_rng(0)
    evidence = random.normal(size=(4_000, 2))
    truth = 1 / (1 + np.exp(-2 * evidence[:, 0]))
    answered = random.random(4_000) < truth
    fitted = AnswerCalibration.fit(evidence, answered)
    assert np.abs(fitted.probabilities(evidence) - truth).mean() < 0.05
    assert (fitted.weights >= 0).all()
    again = AnswerCalibration.of_arrays(fitted.to_arrays())
    assert again is not None
    np.testing.assert_array_equal(again.probabilities(evidence), fitted.probabilities(evidence))
    assert AnswerCalibration.of_arrays({}) is None


def test_evidence_that_speaks_against_an_answer_weighs_nothing() -> None:
    evidence = np.array([[0.0], [1.0]] * 20)
    assert AnswerCalibration.fit(evidence, evidence[:, 0] == 0).weights.tolist() == [0.0]


def test_own_questions_are_shortened_and_misspelt() -> None:
    texts, places = own_questions(["How much does shipping cost?", "", "Why?"], seed=0)
    assert places.tolist() == [0] * 4 + [2] * 4
    assert all(set(text.split()) <= {"How", "much", "does", "shipping", "cost?"} for text in texts[:2])
    assert texts[2] != "How much does shipping cost?"
    assert own_questions(["How much does shipping cost?"], 0)[0] == texts[:4]


def test_a_slip_changes_one_longer_word_a_little() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        before, after = "how to cancel", misspelt("how to cancel", random)
        assert after.split()[:2] == before.split()[:2]
        assert abs(len(after) - len(before)) <= 1
    assert misspelt("am I ok", random) == "am I ok"
    assert shortened("help", random) == "help"


def test_pieces_overlap_and_hold_all_words() -> None:
    text = " ".join(map(str, range(50)))
    pieces = pieces_of(text, 20, 5)
    assert [piece.split()[0] for piece in pieces] == ["0", "15", "30"]
    assert pieces[-1].split()[-1] == "49"
    assert pieces_of("one two", 20, 5) == ["one two"]
    assert pieces_of("", 20, 5) == [""]
