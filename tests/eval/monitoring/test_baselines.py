import numpy as np
import pytest

from eval.monitoring.baselines import Alarms, FixedThreshold, LikelihoodCusum, RegressionLimit, StandardisedCusum

RULES = [FixedThreshold, StandardisedCusum, lambda: LikelihoodCusum(2.0), RegressionLimit]


def statistics(rule, negatives, totals):
    return np.array([float(rule.step(np.array([float(n)]), np.array([float(t)]))[0]) for n, t in zip(negatives, totals, strict=True)])


def counts(factor, days=200, seed=0):
    rng = np.random.default_rng(seed)
    totals = rng.poisson(np.linspace(100, 300, days))
    share = np.full(days, 0.1)
    share[190:197] *= factor
    return rng.binomial(totals, share), totals


@pytest.mark.parametrize("make", RULES)
def test_a_surge_makes_each_statistic_larger_than_any_day_before_and_growth_of_volume_does_not(make):
    surge = statistics(make(), *counts(3.0))
    stable = statistics(make(), *counts(1.0))
    assert surge[190:197].max() > 1.8 * stable[30:].max()


def test_the_fixed_threshold_is_the_ratio_of_the_last_week_to_the_days_before():
    found = statistics(FixedThreshold(), [10] * 50 + [20] * 7, [100] * 57)
    assert found[49] == pytest.approx(1, abs=0.01)
    assert found[56] == pytest.approx(2, abs=0.01)


def test_the_fixed_threshold_wants_enough_negative_reviews():
    assert statistics(FixedThreshold(5), [0] * 50 + [4], [1] * 50 + [5])[-1] == 0


def test_a_cusum_adds_what_exceeds_the_allowance_and_stays_above_0():
    found = statistics(StandardisedCusum(0.5), [10] * 500 + [19, 19, 0], [100] * 503)
    assert found[499] == 0
    assert found[500] == pytest.approx(2.5, abs=0.05)
    assert found[501] == pytest.approx(5.0, abs=0.1)
    assert found[502] == pytest.approx(1.2, abs=0.1)


def test_an_alarm_is_raised_once_until_the_statistic_has_been_below_half_of_the_threshold():
    values = iter([[0.0], [5.0], [6.0], [3.0], [5.0], [2.0], [5.0]])

    class Given:
        def step(self, negatives, totals):
            return np.array(next(values))

    alarms = Alarms(Given(), 5.0)
    assert [bool(alarms.step(np.zeros(1), np.zeros(1))[0]) for _ in range(7)] == [False, True, False, False, False, False, True]
