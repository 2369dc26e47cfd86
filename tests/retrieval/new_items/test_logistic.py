"""Logistic regression with signs: it finds weights and intercept, keeps to the signs, and weights count as copies."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.new_items.logistic import SignedLogistic, probabilities

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20_000, 3))
Y = RNG.random(len(X)) < probabilities(1.5 * X[:, 0] - 0.8 * X[:, 1] - 2)
ONE = np.ones(len(X))


def test_weights_and_intercept_are_found() -> None:
    model = SignedLogistic.fit(X, Y, ONE, [1, -1, 0])
    assert model.weights == pytest.approx([1.5, -0.8, 0], abs=0.08)
    assert model.intercept == pytest.approx(-2, abs=0.08)
    assert probabilities(model(X)).mean() == pytest.approx(Y.mean(), abs=1e-3)


@pytest.mark.parametrize(("signs", "place"), [([-1, -1, 0], 0), ([1, 1, 0], 1)])
def test_a_weight_never_has_the_other_sign(signs: list[int], place: int) -> None:
    assert SignedLogistic.fit(X, Y, ONE, signs).weights[place] == 0


def test_a_column_that_does_not_vary_weighs_nothing() -> None:
    x = np.column_stack([X[:, 0], np.full(len(X), 7.0)])
    assert SignedLogistic.fit(x, Y, ONE, [0, 0]).weights[1] == 0


def test_an_example_of_weight_two_counts_as_two() -> None:
    twice = SignedLogistic.fit(np.concatenate([X, X[:500]]), np.concatenate([Y, Y[:500]]), np.ones(len(X) + 500), [1, -1, 0])
    weighted = SignedLogistic.fit(X, Y, np.where(np.arange(len(X)) < 500, 2.0, 1.0), [1, -1, 0])
    assert weighted.weights == pytest.approx(twice.weights, abs=1e-3)


def test_small_probabilities_keep_their_digits() -> None:
    odds = np.array([-20.0, -16.0, -15.999], dtype=np.float32)
    assert probabilities(odds) == pytest.approx(np.exp(odds.astype(float)), rel=1e-5)
