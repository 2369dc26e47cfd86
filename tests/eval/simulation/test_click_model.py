"""The click model's log: its propensities are true frequencies, and off-policy estimates from it are right."""

import numpy as np
import pytest

from eval.metrics.user_items import UserItems
from eval.off_policy.estimators import Logged, off_policy
from eval.simulation.click_model import attraction, click_log, examined, expected_clicks
from eval.simulation.config import ClickConfig

A, B = np.array([[0, 1, 2]]), np.array([[3, 1, 0]])
BOUGHT = UserItems.of(np.array([0]), np.array([3]), 1, 5)


def test_clicks_on_paper():
    config = ClickConfig(decay=1, bought=0.6, other=0.1)
    assert examined(3, config) == pytest.approx([1, 1 / 2, 1 / 3])
    assert attraction(np.array([[3, 1, -1]]), BOUGHT, config).tolist() == [[0.6, 0.1, 0]]
    assert expected_clicks(B, BOUGHT, config) == pytest.approx([0.6 + 0.05 + 0.1 / 3])


def test_items_are_shown_as_often_as_the_propensities_say():
    n = 20_000
    bought = UserItems.of(np.empty(0, int), np.empty(0, int), n, 5)
    log = click_log(np.repeat(A, n, axis=0), np.repeat(B, n, axis=0), bought, ClickConfig(explore=0.6))
    for (position, item), rows in log.group_by("position", "item"):
        assert len(rows) / n == pytest.approx(rows["propensity"][0], abs=0.015), (position, item)
    assert log.group_by("impression").len()["len"].unique().to_list() == [3]
    assert log.group_by("impression", "item").len()["len"].max() == 1


def test_off_policy_estimates_cover_the_target_value():
    rng, n, config = np.random.default_rng(0), 6_000, ClickConfig(explore=1.0)
    a, b = (np.argsort(rng.random((n, 8)), axis=1)[:, :3] for _ in range(2))
    bought = UserItems.of(np.arange(n), b[:, 0], n, 8)  # b has every bought item first
    log = click_log(a, b, bought, config)
    columns = [log[name].to_numpy() for name in ("impression", "position", "reward", "propensity", "target_propensity")]
    impression, position, reward, propensity, target = columns
    found = off_policy(Logged(impression, position - 1, reward, propensity, target, np.arange(n), np.zeros(len(log), int)))
    true_value, naive = expected_clicks(b, bought, config).mean(), found.logged.value
    assert found.estimates["snips"].low <= true_value <= found.estimates["snips"].high
    assert found.estimates["ips"].gain_low > 0
    assert naive < true_value / 2
