"""The chance of a response: learned from what is known, calibrated, and above chance where there is something to find."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from eval.metrics.probabilities import roc_auc
from features.behavior.campaigns import SEND_FEATURES
from features.names import DEAL_SHARE
from ranking.outcomes.response import PastSends, ResponseConfig, ResponseModel, why_not

NOW = datetime(2025, 6, 1)
CONFIG = ResponseConfig(rounds=60, folds=3)


def past_of(n: int, seed: int, weight: float = 2.0) -> PastSends:
    """Sends of ten campaigns whose responses follow one feature."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(SEND_FEATURES))).astype(np.float32)
    chance = 1 / (1 + np.exp(2 - weight * x[:, SEND_FEATURES.index(DEAL_SHARE)]))
    campaign = rng.integers(10, size=n)
    frame = pl.DataFrame(
        {
            "campaign_id": [f"c{one}" for one in campaign],
            "user_id": [f"u{one}" for one in rng.integers(n // 2, size=n)],
            "sent_at": [NOW - timedelta(days=int(10 * one)) for one in campaign],
            "holdout": False,
            "responded": rng.random(n) < chance,
        }
    )
    return PastSends(frame, x)


def test_the_chance_orders_and_is_calibrated_on_customers_it_has_not_seen() -> None:
    model, later = ResponseModel.fit(past_of(3000, 0), CONFIG, seed=1), past_of(3000, 7)
    chance = model.chance(later.x)
    assert roc_auc(later.responded, chance) > 0.75
    assert chance.mean() == pytest.approx(later.responded.mean(), abs=0.03)
    low, high = chance < np.median(chance), chance >= np.quantile(chance, 0.9)
    for part in (low, high):
        assert chance[part].mean() == pytest.approx(later.responded[part].mean(), abs=0.08)


def test_without_anything_to_find_everybody_has_about_the_common_chance() -> None:
    past = past_of(2000, 3, weight=0.0)
    chance = ResponseModel.fit(past, CONFIG, seed=0).chance(past.x)
    assert chance.std() < 0.03
    assert chance.mean() == pytest.approx(past.responded.mean(), abs=0.02)


def test_the_same_seed_gives_the_same_model_and_spread_is_small_where_campaigns_are_alike() -> None:
    past = past_of(3000, 0)
    first, second = (ResponseModel.fit(past, CONFIG, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.chance(past.x), second.chance(past.x))
    assert first.spread < 0.15


def test_outcomes_that_are_not_known_yet_are_not_learned_from() -> None:
    past = past_of(1000, 0)
    known = past.known_at(NOW, 28)
    assert (known.frame["sent_at"] <= NOW - timedelta(days=28)).all()
    assert len(known) == (past.frame["sent_at"] <= NOW - timedelta(days=28)).sum()


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (lambda past: np.arange(len(past)) < 50, "50 sends have a known outcome, expected 100"),
        (lambda past: ~past.responded, "0 of"),
        (lambda past: past.responded, "20 who did not"),
        (lambda past: np.ones(len(past), dtype=bool), ""),
    ],
)
def test_too_little_is_said(mask: Any, expected: str) -> None:
    past = past_of(1000, 0)
    found = why_not(past.where(mask(past)), CONFIG)
    assert (expected in found) if expected else found == ""
