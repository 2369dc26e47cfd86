"""Calibration: probabilities that come true, classes told for macro-F1."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import f1_score

from features.text.sentiment.calibration import SentimentCalibration, macro_f1


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are the true log-probabilities, of a positive majority, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 3)) + np.array([-1.0, -0.5, 1.5])
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random(n)[:, None]).argmax(axis=1)
    return logits, labels


def test_a_distorted_part_is_undone() -> None:
    logits, labels = drawn(20_000)
    true = log_softmax(logits, axis=1)
    part = 3 * true + np.array([1.0, 0.0, -1.0])
    assert SentimentCalibration.fit([part], labels).probabilities([part]) == pytest.approx(softmax(logits, axis=1), abs=0.03)


def test_a_part_that_knows_nothing_gets_no_weight() -> None:
    logits, labels = drawn(5_000)
    noise = np.random.default_rng(1).normal(size=logits.shape)
    weights = SentimentCalibration.fit([logits, noise], labels).weights
    assert weights[0] == pytest.approx(1, abs=0.1)
    assert weights[1] < 0.1


def test_the_told_classes_have_a_higher_macro_f1_than_the_likeliest() -> None:
    logits, labels = drawn(5_000)
    found = SentimentCalibration.fit([logits], labels)
    other, truth = drawn(5_000, seed=1)
    probabilities = found.probabilities([other])
    assert macro_f1(truth, found.labels(probabilities)) > macro_f1(truth, probabilities.argmax(axis=1)) + 0.01


def test_a_class_that_does_not_occur_is_never_told() -> None:
    logits, labels = drawn(2_000)
    some = labels != 1
    found = SentimentCalibration.fit([logits[some]], labels[some])
    assert set(found.labels(found.probabilities([logits])).tolist()) == {0, 2}


def test_no_probabilities_are_no_class() -> None:
    found = SentimentCalibration(np.ones(1), np.zeros(3), np.zeros(3))
    assert found.labels(np.array([[np.nan] * 3, [0.1, 0.2, 0.7]])).tolist() == [-1, 2]


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, told = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    assert macro_f1(labels, told) == pytest.approx(f1_score(labels, told, average="macro"))
    assert macro_f1(np.zeros(3, dtype=int), np.zeros(3, dtype=int)) == pytest.approx(1 / 3)
