"""The choice between uplift and response."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.outcomes.uplift import RESPONSE, Treatment, UpliftConfig
from recsys.apps.campaigns.learner_choice import choose_learner, fit_chosen

CONFIG = UpliftConfig(rounds=20, min_leaf=50)


def campaign(effect: np.ndarray, base: np.ndarray, features: np.ndarray) -> Treatment:
    rng = np.random.default_rng(1)
    treated = rng.random(len(base)) < 0.5
    return Treatment(features, treated, (rng.random(len(base)) < base + treated * effect).astype(float))


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6000, 3)).astype(np.float32)


def test_uplift_where_response_misleads(features: np.ndarray) -> None:
    works = features[:, 0] > 0
    choice = choose_learner(campaign(np.where(works, 0.3, -0.05), np.where(works, 0.1, 0.5), features), CONFIG, 0)
    assert choice.learner == choice.best_uplift != RESPONSE
    assert choice.differs
    assert choice.ahead.low > 0
    assert "ranked by uplift" in str(choice)


def test_response_where_the_effect_grows_with_it(features: np.ndarray) -> None:
    # What is added is a small part of a rate that differs much: response tells the order with far less noise.
    base = np.where(features[:, 0] > 0, 0.4, 0.05)
    model = fit_chosen(campaign(0.25 * base, base, features), CONFIG, 0)
    assert model.choice.learner == RESPONSE
    assert model.uplift(features).mean() == pytest.approx((0.25 * base).mean(), rel=0.5)


def test_it_is_said_where_nothing_is_told_from_chance(features: np.ndarray) -> None:
    choice = choose_learner(campaign(np.full(6000, 0.02), np.full(6000, 0.2), features), CONFIG, 0)
    assert not choice.differs
    assert "no order of customers is told from chance" in str(choice)
