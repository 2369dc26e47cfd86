"""The probability that a text has any of the intents: its two measures, its fit on left-out intents, its threshold."""

from __future__ import annotations

import numpy as np
import pytest

from features.text.intents.known import PRIOR, fit_known, measures
from features.text.intents.regression import Regression

WIDTH = 48


def around(centres: np.ndarray, labels: np.ndarray, rng: np.random.Generator, spread: float = 0.08) -> np.ndarray:
    """Unit vectors near the centres of their labels."""
    vectors = centres[labels] + spread * rng.normal(size=(len(labels), WIDTH))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module", params=[4, 30, 120], ids=["few", "some", "many"])
def drawn(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Centres of twelve intents, of which nine are known; vectors and labels of texts, and then of the names."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, WIDTH)) + 1.0
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    labels = np.concatenate([np.repeat(np.arange(9), request.param), np.arange(9)])
    return centres, around(centres, labels, rng), labels, 9 * request.param


def test_texts_of_other_intents_are_told(drawn) -> None:
    centres, vectors, labels, texts = drawn
    known = fit_known(vectors, labels, texts, 0.05, np.random.default_rng(1))
    model = Regression.fit(vectors, labels)
    rng = np.random.default_rng(2)
    inside, outside = (around(centres, np.repeat(which, 50), rng) for which in (np.arange(9), np.arange(9, 12)))
    one, other = (known.probabilities(model.logits(found), found) for found in (inside, outside))
    assert one.mean() > 0.8
    assert other.mean() < 0.3
    assert (one < known.threshold).mean() < 0.2
    assert (other < known.threshold).mean() > 0.8
    assert (known.weights[:2] >= 0).all()


@pytest.mark.parametrize("refused", [0.01, 0.1, 0.4])
def test_more_is_refused_at_a_higher_share(drawn, refused: float) -> None:
    _, vectors, labels, texts = drawn
    known = fit_known(vectors, labels, texts, refused, np.random.default_rng(1))
    stricter = fit_known(vectors, labels, texts, refused + 0.2, np.random.default_rng(1))
    assert stricter.threshold > known.threshold
    assert (stricter.weights == known.weights).all()


def test_two_intents_leave_none_out() -> None:
    vectors = np.eye(4, WIDTH, dtype=np.float32)
    known = fit_known(vectors, np.array([0, 1, 0, 1]), 2, 0.05, np.random.default_rng(0))
    assert known.weights == pytest.approx(PRIOR)
    assert known.threshold == 0.5
    assert known.probabilities(np.zeros((2, 2)), np.eye(2, WIDTH, k=0)[[0, 1]].astype(np.float32)).min() > 0.9
    assert known.probabilities(np.zeros((1, 2)), np.eye(1, WIDTH, k=20, dtype=np.float32)).max() < 0.1


def test_measures_are_the_highest_logit_and_the_closest_example() -> None:
    rng = np.random.default_rng(0)
    vectors, found, logits = rng.normal(size=(7, 5)), rng.normal(size=(2_500, 5)), rng.normal(size=(2_500, 3))
    got = measures(logits, found, vectors)
    assert got[:, 0] == pytest.approx(logits.max(axis=1))
    assert got[:, 1] == pytest.approx(np.array([max(one @ other for other in vectors) for one in found]))
    assert measures(np.zeros((0, 3)), np.zeros((0, 5)), vectors).shape == (0, 2)
