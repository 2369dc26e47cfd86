"""Metrics of a classifier of texts, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from eval.metrics.classification import calibration_error, macro_f1, macro_f1_difference
from eval.metrics.intervals import Bootstrap

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 400)
GOOD, BAD = (np.where(RNG.random(400) < share, LABELS, RNG.integers(0, 3, 400)) for share in (0.8, 0.3))
BOOT = Bootstrap(resamples=200)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    found = macro_f1(BOOT, LABELS, [GOOD], 3)
    assert found.value == pytest.approx(f1_score(LABELS, GOOD, average="macro"))
    assert found.low < found.value < found.high
    runs = macro_f1(BOOT, LABELS, [GOOD, BAD], 3)
    assert runs.value == pytest.approx(np.mean([f1_score(LABELS, one, average="macro") for one in (GOOD, BAD)]))


def test_a_difference_is_paired() -> None:
    found = macro_f1_difference(BOOT, LABELS, [GOOD], [BAD], 3)
    assert found.low > 0
    assert found.value == pytest.approx(macro_f1(BOOT, LABELS, [GOOD], 3).value - macro_f1(BOOT, LABELS, [BAD], 3).value)
    same = macro_f1_difference(BOOT, LABELS, [GOOD, GOOD], [GOOD], 3)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_calibration_error_by_hand() -> None:
    # Two texts at .8, of which one is right, and two at .6, which are right: (2/4) |.5 - .8| + (2/4) |1 - .6|.
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.6, 0.4], [0.4, 0.6]])
    found = calibration_error(BOOT, np.array([0, 1, 0, 1]), [probabilities])
    assert found.value == pytest.approx(0.35)


def test_true_probabilities_have_a_small_error() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet([3, 1, 1], 20_000)
    labels = (probabilities.cumsum(axis=1) > rng.random(20_000)[:, None]).argmax(axis=1)
    assert calibration_error(BOOT, labels, [probabilities]).value < 0.015
    sharp = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    assert calibration_error(BOOT, labels, [sharp]).value > 0.1
