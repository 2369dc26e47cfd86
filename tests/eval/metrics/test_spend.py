"""Metrics of spend by hand, and their intervals against a bootstrap that is written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.intervals import Bootstrap
from eval.metrics.probabilities import ScoredPairs, roc_auc
from eval.metrics.spend import SpendPairs, coverage, gini, gini_difference, median_error, median_error_ratio, normalised_gini, total_ratio

BOOT = Bootstrap(resamples=200)


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], -1.0), ([0, 0, 0, 0], 0.0), ([np.nan, 2, 3, 4], 1.0), ([10, 200, 3000, 3001], 1.0)],
)
def test_the_order_alone_counts(predicted: list[float], expected: float) -> None:
    assert normalised_gini(np.array([0.0, 1.0, 5.0, 9.0]), np.array(predicted, dtype=float)) == pytest.approx(expected)


def test_gini_by_hand() -> None:
    actual, predicted = np.array([0.0, 1.0, 3.0, 6.0]), np.array([1.0, 3.0, 2.0, 4.0])
    ranks, perfect = np.array([1.0, 3, 2, 4]), np.array([1.0, 2, 3, 4])
    by_hand = ((actual - 2.5) * (ranks - 2.5)).sum() / ((actual - 2.5) * (perfect - 2.5)).sum()
    assert normalised_gini(actual, predicted) == pytest.approx(by_hand)


def test_undefined_where_all_spend_alike_or_nobody_is_there() -> None:
    assert np.isnan(normalised_gini(np.full(3, 2.0), np.arange(3.0)))
    assert np.isnan(normalised_gini(np.zeros(0), np.zeros(0)))


@given(st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 5)), min_size=2, max_size=30), st.randoms())
def test_rows_in_any_order_give_the_same(rows: list[tuple[float, int]], random: np.random.Generator) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[arg-type]
    first, second = (normalised_gini(*(np.array(column, dtype=float) for column in zip(*some, strict=True))) for some in (rows, shuffled))
    assert first == pytest.approx(second, nan_ok=True, abs=1e-9)
    assert np.isnan(first) or -1.0001 <= first <= 1.0001


def pairs(seed: int, noise: float) -> SpendPairs:
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(40), 2)
    actual = np.random.default_rng(0).gamma(0.5, 10, 80).round(1)
    return SpendPairs(user, actual, actual + rng.normal(0, noise, 80), 40)


def test_intervals_are_those_of_rows_drawn_user_by_user() -> None:
    some = pairs(1, 10)
    drawn = []
    for counts in BOOT.draws(40):
        for row in counts.astype(int):
            places = np.repeat(np.arange(80), row[some.user])
            drawn.append(
                (normalised_gini(some.actual[places], some.predicted[places]), np.sort(np.abs(some.actual - some.predicted)[places]))
            )
    low, high = np.quantile([value for value, _ in drawn], [0.025, 0.975])
    assert (gini(BOOT, some).low, gini(BOOT, some).high) == pytest.approx((low, high))
    medians = [errors[-(-len(errors) // 2) - 1] for _, errors in drawn]
    assert median_error(BOOT, some).low == pytest.approx(np.quantile(medians, 0.025))


def test_differences_are_paired() -> None:
    good, bad = pairs(1, 2), pairs(2, 30)
    assert gini_difference(BOOT, good, bad).low > 0
    assert median_error_ratio(BOOT, good, bad).high < 1
    same = gini_difference(BOOT, good, good)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_auc_difference_is_paired() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.4
    a, b = (ScoredPairs(np.arange(300), labels, labels + rng.normal(0, noise, 300), 300) for noise in (0.5, 2))
    found = BOOT.auc_difference(a, b)
    assert found.value == pytest.approx(roc_auc(labels, a.scores) - roc_auc(labels, b.scores))
    assert found.low > 0
    assert BOOT.auc_difference(a, a).high == 0


def test_total_and_coverage() -> None:
    some = SpendPairs(np.array([0, 1, 1]), np.array([0.0, 4.0, 6.0]), np.array([0.0, 5.0, 4.0]), 2)
    assert total_ratio(BOOT, some).value == 0.9
    assert coverage(BOOT, some, np.array([0.0, 9.0, 6.0])).value == pytest.approx(2 / 3)
