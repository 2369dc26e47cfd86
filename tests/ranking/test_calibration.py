"""From log odds to probabilities: monotone, never certain, nearer the truth than what it was given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.calibration import Calibration

FINITE = st.floats(-50, 50, width=32)
SAMPLES = st.lists(st.tuples(FINITE, st.booleans()), min_size=1, max_size=60)


def fit(sample: list[tuple[float, bool]]) -> Calibration:
    scores, labels = zip(*sample, strict=True)
    return Calibration.fit(np.array(scores, np.float32), np.array(labels))


def gap(said: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Mean distance between what was said and what came true, in bins of equal size."""
    order = np.argsort(said, kind="stable")
    parts = zip(np.array_split(said[order], bins), np.array_split(truth[order], bins), strict=True)
    return float(np.mean([abs(a.mean() - b.mean()) for a, b in parts]))


@given(SAMPLES, st.lists(FINITE, min_size=2, max_size=30))
def test_rises_with_the_score_and_is_never_certain(sample, asked):
    found = fit(sample)(np.sort(np.array(asked, np.float32)))
    assert (np.diff(found) >= 0).all()
    assert ((found > 0) & (found < 1)).all()


@given(SAMPLES, st.lists(FINITE, min_size=1, max_size=30))
def test_comes_back_from_its_files(sample, asked):
    calibration = fit(sample)
    again = Calibration.from_files(calibration.to_files())
    assert np.array_equal(again(np.array(asked)), calibration(np.array(asked)))


def test_padding_and_nan_have_no_chance():
    calibration = fit([(-1.0, False), (0.0, True), (1.0, True)])
    assert calibration(np.array([[-np.inf, np.nan, 0.5]])).tolist() == [[0.0, 0.0, pytest.approx(0.8)]]


def test_the_best_score_is_not_the_worst():
    calibration = fit([(-1.0, False), (1.0, True)])
    assert calibration(np.array([np.inf])) == calibration(np.array([1.0])) > calibration(np.array([-1.0]))


def test_of_nothing_it_says_that_nothing_is_known():
    calibration = Calibration.fit(np.zeros(0, np.float32), np.zeros(0, bool))
    assert calibration(np.array([-3.0, 0.0, 3.0])).tolist() == [0.5, 0.5, 0.5]
    assert calibration(np.zeros((0, 4))).shape == (0, 4)


def test_scores_that_are_too_sure_are_brought_back():
    rng = np.random.default_rng(0)
    odds = rng.normal(-1, 1, 8_000)
    labels = rng.random(8_000) < 1 / (1 + np.exp(-odds))
    sure = 3 * odds + 1  # the same order, other probabilities
    half = slice(0, 4_000), slice(4_000, None)
    before = gap(1 / (1 + np.exp(-sure[half[1]])), labels[half[1]])
    after = gap(Calibration.fit(sure[half[0]], labels[half[0]])(sure[half[1]]), labels[half[1]])
    assert before > 0.1
    assert after < 0.03
