"""Distillation: sampled labels are mixed with the base booster's probability, at the odds of the sampled pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from features.data.histories import Histories
from features.names import BASE_LOG_ODDS
from ranking.cross_encoder.config import CrossEncoderConfig
from ranking.cross_encoder.distillation import TaughtPairs, taught
from ranking.cross_encoder.trainer import TrainingPairs
from retrieval.candidates import Candidates

CONFIG = CrossEncoderConfig(positives=2, negatives=3)
ROWS = np.array([[4, 7, 1, 9, 3, 8], [2, 5, 6, 0, -1, -1], [11, 10, 12, 13, 14, -1]])
LABELS = np.array([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]], dtype=bool)


@pytest.fixture(scope="module")
def pairs() -> TrainingPairs:
    odds = np.where(ROWS >= 0, -ROWS / 4.0, np.nan).astype(np.float32)
    users = Histories.of_baskets([[1], [2], [3]], 1000)
    return TrainingPairs(Candidates(users, ROWS, np.zeros(ROWS.shape, dtype=np.float32), {BASE_LOG_ODDS: odds}), LABELS)


def test_without_a_weight_nothing_changes(pairs: TrainingPairs) -> None:
    assert taught(pairs, CONFIG) is pairs


def test_the_same_pairs_are_drawn_and_the_same_users_are_useful(pairs: TrainingPairs) -> None:
    other = taught(pairs, CONFIG.model_copy(update={"distillation": 0.5}))
    assert isinstance(other, TaughtPairs)
    lefts = np.array([2, 0, 1])
    plain, soft = (one.batch(lefts, CONFIG, np.random.default_rng(3)) for one in (pairs, other))
    assert np.array_equal(plain.rows, soft.rows)
    assert np.array_equal(other.useful, pairs.useful)
    assert other.lengths is None


@pytest.mark.parametrize("weight", [0.25, 0.5, 1.0])
def test_labels_are_mixed_with_the_probability_at_the_sampled_odds(pairs: TrainingPairs, weight: float) -> None:
    lefts = np.arange(3)
    plain = pairs.batch(lefts, CONFIG, np.random.default_rng(0))
    soft = TaughtPairs(pairs, weight).batch(lefts, CONFIG, np.random.default_rng(0))
    real = plain.rows >= 0
    share, chance = plain.labels[real].mean(), LABELS[ROWS >= 0].mean()
    teacher = expit(-plain.rows / 4.0 + logit(share) - logit(chance))
    assert soft.labels.dtype == np.float32
    assert np.allclose(soft.labels[real], ((1 - weight) * plain.labels + weight * teacher)[real], atol=1e-6)
    assert (soft.labels[~real] == 0).all()


def test_the_loss_is_least_where_the_logit_is_the_teachers(pairs: TrainingPairs) -> None:
    batch = TaughtPairs(pairs, 1.0).batch(np.arange(3), CONFIG, np.random.default_rng(0))
    best = torch.from_numpy(logit(np.clip(batch.labels, 1e-6, 1 - 1e-6)))
    losses = [batch.loss(best + shift).item() for shift in (-0.5, 0.0, 0.5)]
    assert losses[1] < min(losses[0], losses[2])


def test_pairs_of_one_label_alone_keep_the_teachers_odds() -> None:
    users = Histories.of_baskets([[1]], 1000)
    rows, odds = np.array([[3, 5]]), np.array([[0.5, -0.5]], dtype=np.float32)
    pairs = TrainingPairs(Candidates(users, rows, np.zeros((1, 2), dtype=np.float32), {BASE_LOG_ODDS: odds}), np.ones((1, 2), dtype=bool))
    batch = TaughtPairs(pairs, 1.0).batch(np.array([0]), CONFIG, np.random.default_rng(0))
    wanted = dict(zip([3, 5], expit([0.5, -0.5]), strict=True))
    assert np.allclose(batch.labels[0, :2], [wanted[row] for row in batch.rows[0, :2]])
