import numpy as np
import pytest

from eval.monitoring.config import WatchConfig
from eval.monitoring.reference import Reference

CONFIG = WatchConfig(half_life=1e6)


def learned(days, config=CONFIG):
    """The reference after days of (negatives, totals) arrays."""
    reference = Reference.empty((len(days[0][0]),))
    for number, (negatives, totals) in enumerate(days):
        usual = reference.usual(number % 7, config)
        reference.learn(np.asarray(negatives, float), np.asarray(totals, float), number % 7, usual, np.ones(len(negatives), bool), config)
    return reference


def test_the_share_is_that_of_the_past_and_a_short_past_is_drawn_to_all_series():
    usual = learned([([100, 300, 0], [1000, 1000, 1])] * 7).usual(0, CONFIG)
    np.testing.assert_allclose(usual.share[:2], [0.1, 0.3], rtol=0.01)
    assert 0.05 < usual.share[2] < 0.2  # 0 of 7 alone would be 0
    assert usual.precision[0] > 50 * usual.precision[2]


def test_an_unknown_series_has_a_share_between_0_and_1():
    usual = Reference.empty((2,)).usual(3, CONFIG)
    np.testing.assert_allclose(usual.share, 0.5)


def test_days_of_the_week_have_their_own_share():
    share = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2]
    reference = learned([([1000 * share[day % 7]] * 2, [1000, 1000]) for day in range(280)])
    for day, expected in enumerate(share):
        np.testing.assert_allclose(reference.usual(day, CONFIG).share, expected, rtol=0.05)


def test_the_past_fades():
    days = [([10], [100])] * 100 + [([30], [100])] * 100
    assert learned(days, WatchConfig(half_life=10)).usual(0, CONFIG).share == pytest.approx(0.3, rel=0.02)
    assert learned(days).usual(0, CONFIG).share == pytest.approx(0.2, rel=0.02)


def test_series_with_an_open_alert_do_not_learn():
    reference = learned([([10, 10], [100, 100])] * 10)
    usual = reference.usual(3, CONFIG)
    reference.learn(np.array([90.0, 90]), np.array([100.0, 100]), 3, usual, np.array([True, False]), CONFIG)
    assert reference.negatives.sum(-1)[0] > 150
    assert reference.negatives.sum(-1)[1] == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize("correlation", [0.0, 0.01, 0.05])
def test_the_correlation_of_a_days_reviews_is_measured(correlation):
    rng = np.random.default_rng(0)
    size = 1 / correlation - 1 if correlation else 1e12
    rates = rng.beta(0.1 * size, 0.9 * size, (400, 20)) if correlation else np.full((400, 20), 0.1)
    totals = np.full(20, 100.0)
    found = learned([(day, totals) for day in rng.binomial(100, rates)]).usual(0, CONFIG).correlation
    assert found.mean() == pytest.approx(correlation, abs=0.002 + 0.15 * correlation)
