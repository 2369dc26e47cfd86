import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from eval.metrics.probabilities import log_losses, reliability, roc_auc

NAN = math.nan
scored = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])), min_size=1, max_size=30)


def test_auc_on_paper():
    # Bought .8 and .4, not bought .6, .4, .1: .8 beats three, .4 beats one and ties with one.
    labels = np.array([True, True, False, False, False])
    assert roc_auc(labels, np.array([0.8, 0.4, 0.6, 0.4, 0.1])) == pytest.approx((3 + 1.5) / 6)


@given(scored)
def test_auc_equals_counting_pairs(pairs):
    labels, scores = (np.array(column) for column in zip(*pairs, strict=True))
    bought, other = scores[labels], scores[~labels]
    wins = [1.0 if b > o else 0.5 if b == o else 0.0 for b in bought for o in other]
    assert roc_auc(labels, scores) == pytest.approx(np.mean(wins) if wins else NAN, nan_ok=True)


def test_auc_and_log_loss_agree_with_sklearn():
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    labels = rng.random(500) < scores
    assert roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert log_losses(labels, scores).mean() == pytest.approx(log_loss(labels, scores))


def test_a_constant_scorer_has_an_auc_of_one_half():
    assert roc_auc(np.array([True, False, False, True]), np.full(4, 0.7)) == 0.5


def test_shuffled_labels_have_an_auc_of_one_half():
    rng = np.random.default_rng(1)
    scores = rng.random(20_000)
    labels = rng.random(20_000) < scores
    assert roc_auc(labels, scores) > 0.8
    assert roc_auc(rng.permutation(labels), scores) == pytest.approx(0.5, abs=0.02)


def test_scores_of_nan_are_the_wrong_answer():
    labels = np.array([True, False])
    assert roc_auc(labels, np.array([NAN, NAN])) == 0.0
    assert roc_auc(np.array([True, True, False]), np.array([NAN, 0.9, 0.1])) == 0.5
    assert log_losses(labels, np.array([NAN, NAN])) == pytest.approx([-math.log(1e-6)] * 2)
    assert reliability(labels, np.array([NAN, NAN])).error == 1.0


def test_log_loss_on_paper_and_clipped():
    labels = np.array([True, False, True, False])
    expected = [-math.log(0.25), -math.log(0.75), -math.log(1e-6), -math.log(1e-6)]
    assert log_losses(labels, np.array([0.25, 0.25, 0.0, 1.0])) == pytest.approx(expected)


def test_calibration_error_on_paper():
    # Two bins of two: predicted .15, observed .5; predicted .85, observed 1.
    points = reliability(np.array([False, True, True, True]), np.array([0.1, 0.2, 0.8, 0.9]), bins=2)
    assert points.predicted == pytest.approx([0.15, 0.85])
    assert points.observed == pytest.approx([0.5, 1.0])
    assert points.counts.tolist() == [2, 2]
    assert points.error == pytest.approx((0.35 + 0.15) / 2)


@given(scored, st.integers(1, 8), st.randoms())
def test_reliability_does_not_depend_on_the_order_of_ties(pairs, bins, random):
    labels, scores = (np.array(column) for column in zip(*pairs, strict=True))
    order = list(range(len(pairs)))
    random.shuffle(order)
    here, there = reliability(labels, scores, bins), reliability(labels[order], scores[order], bins)
    assert here.counts.tolist() == there.counts.tolist()
    assert here.observed == pytest.approx(there.observed)
    assert here.counts.sum() == len(pairs)
    assert (np.diff(here.predicted) > 0).all()
    # All pairs of one probability are in one bin.
    assert all(len(set(here.bin[scores == p])) == 1 for p in set(scores))


def test_bins_hold_equally_many_pairs():
    points = reliability(np.zeros(1000, dtype=bool), np.random.default_rng(0).random(1000))
    assert points.counts.tolist() == [50] * 20


def test_true_probabilities_are_calibrated_and_no_pairs_have_no_error():
    rng = np.random.default_rng(5)
    p = rng.random(50_000) ** 3
    assert reliability(rng.random(50_000) < p, p).error < 0.01
    assert reliability(rng.random(50_000) < p, p / 2).error > 0.1
    assert math.isnan(reliability(np.empty(0, dtype=bool), np.empty(0)).error)
