"""The Qini coefficient."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics.intervals import Bootstrap
from eval.metrics.uplift import Trial, qini, qini_curve, qini_values


def trial(seed: int = 0, n: int = 4000) -> tuple[Trial, np.ndarray]:
    """Return a campaign in which uplift is known, and the uplift."""
    rng = np.random.default_rng(seed)
    uplift = rng.uniform(0, 0.6, n)
    treated = rng.random(n) < 0.5
    return Trial(treated, (rng.random(n) < 0.2 + treated * uplift).astype(float)), uplift


def test_by_hand() -> None:
    # Two were written to and two were not; the first customer has all of the effect.
    scores, four = np.array([4.0, 3.0, 2.0, 1.0]), Trial(np.array([True, False, True, False]), np.array([1.0, 0.0, 0.0, 0.0]))
    share, gain = qini_curve(scores, four)
    assert share.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert gain.tolist() == [0, 0.5, 0.5, 0.5, 0.5]
    assert qini(scores, four) == pytest.approx(0.5 * 0.25 / 2 + 0.5 * 0.75 - 0.5 / 2)


def test_a_better_order_is_worth_more_and_its_reverse_the_opposite() -> None:
    campaign, uplift = trial()
    best, worst, chance = (qini(scores, campaign) for scores in (uplift, -uplift, np.random.default_rng(9).random(len(uplift))))
    assert best > 0.03 > abs(chance)
    assert worst < -0.03


def test_weights_count_like_rows_that_stand_twice() -> None:
    campaign, uplift = trial(n=200)
    twice = np.repeat(np.arange(200), 2)
    doubled = Trial(campaign.treated[twice], campaign.outcomes[twice])
    assert qini(uplift[twice], doubled) == pytest.approx(qini(uplift, campaign, np.full(200, 2.0)), abs=2e-3)


def test_intervals_tell_scores_apart() -> None:
    campaign, uplift = trial()
    folds = np.arange(len(campaign)) % 4
    scores = {"true": uplift, "chance": np.random.default_rng(9).random(len(uplift))}
    values = qini_values(scores, campaign, Bootstrap(100), folds)
    assert values["true"].low > 0
    assert values["chance"].low < 0 < values["chance"].high
    assert values["true - chance"].low > 0
    assert values["true - chance"].value == pytest.approx(-values["chance - true"].value)


def test_nobody_held_out_among_the_first_is_no_error() -> None:
    campaign = Trial(np.array([True, True, False]), np.array([1.0, 1.0, 0.0]))
    assert np.isfinite(qini(np.array([3.0, 2.0, 1.0]), campaign))
