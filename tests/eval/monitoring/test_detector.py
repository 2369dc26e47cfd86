import numpy as np
import pytest

from eval.monitoring.config import WatchConfig
from eval.monitoring.detector import Detector
from eval.simulation.review_stream import StreamConfig, simulate


def alarms(stream, config):
    """Alerts raised or made worse, bool (days, shops, series)."""
    detector = Detector.empty(stream.totals.shape[1:], config)
    days = zip(stream.negatives.astype(float), stream.totals.astype(float), strict=True)
    events = [detector.step(*day, number % 7, config) for number, day in enumerate(days)]
    return np.stack([event.raised | event.worsened for event in events])


def test_a_days_stakes_are_one_unit_over_all_watched_series():
    config = WatchConfig(at_least=20)
    detector = Detector.empty((2, 4), config)
    totals = np.array([[100.0, 50, 30, 5], [300, 0, 0, 0]])
    detector.step(np.round(totals / 10), totals, 0, config)
    assert detector.wealth.sum() == 0  # nothing is known before the first day
    for day in (1, 2, 3):
        detector.step(np.zeros((2, 4)), np.zeros((2, 4)), day, config)
    np.testing.assert_allclose(detector.wealth.sum(axis=(1, 2)), [3, 3])
    assert detector.wealth[0, 3].sum() == 0  # five reviews are too few to be watched


@pytest.mark.parametrize("series", [1, 20])
def test_false_alarms_are_at_most_as_many_as_promised_over_all_series_together(series):
    config, streams = WatchConfig(false_alarm_days=10), StreamConfig(series=series, history=60, days=200, levels=(1.0, 5.0))
    found = alarms(simulate(streams, 200 // series, np.random.default_rng(0)), config)[60:]
    assert 0 < found.sum() <= 200 // series * 200 / 10


def test_series_of_a_shop_share_its_stakes_and_shops_do_not():
    config, streams = WatchConfig(), StreamConfig(series=10, history=100, days=100, surging=1.0, levels=(20.0,), factors=(3.0,))
    stream = simulate(streams, 3, np.random.default_rng(1))
    together = alarms(stream, config)
    alone = Detector.empty((10,), config)
    for day in range(200):
        events = alone.step(stream.negatives[day, 0].astype(float), stream.totals[day, 0].astype(float), day % 7, config)
        np.testing.assert_array_equal(together[day, 0], events.raised | events.worsened)


def test_triplings_are_found_within_three_days():
    config, streams = WatchConfig(), StreamConfig(series=40, history=100, days=60, surging=1.0, levels=(20.0,), factors=(3.0,))
    stream = simulate(streams, 2, np.random.default_rng(2))
    found = alarms(stream, config)
    shop, series = np.nonzero(stream.start >= 0)
    assert found[stream.start[shop, series] + np.arange(3)[:, None], shop, series].any(axis=0).mean() >= 0.9


def test_days_that_vary_more_than_a_binomial_raise_few_false_alarms():
    config, streams = WatchConfig(), StreamConfig(series=100, history=100, days=100, levels=(50.0,), overdispersion=0.02)
    assert alarms(simulate(streams, 2, np.random.default_rng(3)), config)[100:].sum() <= 2
