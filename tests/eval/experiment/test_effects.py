"""Assignment, differences and their intervals, CUPED, power, and the A/A test."""

import hashlib
import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.same_arms import alarms
from eval.experiment.aa_test import _welch, flat, hashed_splits
from eval.experiment.effects import (
    SRM_ALARM,
    binomial_interval,
    cuped,
    detectable,
    paired,
    power_of,
    ratio_mismatch,
    unpaired,
    users_needed,
    variance_left,
)
from eval.experiment.splits import in_b

USERS = [f"user-{number}" for number in range(20_000)]


def test_the_variant_depends_on_salt_and_id_alone():
    digest = hashlib.sha256(b"spring\0user-7").digest()
    assert in_b(["user-7"], "spring")[0] == (int.from_bytes(digest[:8], "big") < 2**63)
    assert np.array_equal(in_b(USERS, "spring")[5:9], in_b(USERS[5:9], "spring"))
    assert in_b(USERS, "spring", 0.2)[~in_b(USERS, "spring", 0.3)].sum() == 0  # users of b stay in b when its share grows


def test_salts_split_independently_with_the_given_share():
    one, other = in_b(USERS, "one", 0.3), in_b(USERS, "other", 0.3)
    assert one.mean() == pytest.approx(0.3, abs=0.01)
    assert (one & other).mean() == pytest.approx(0.09, abs=0.01)


def test_differences_agree_with_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.exponential(1, 80), rng.exponential(1.3, 120)
    ours, theirs = unpaired(a, b), stats.ttest_ind(b, a, equal_var=False)
    assert (ours.p_value, ours.low, ours.high) == pytest.approx((theirs.pvalue, *theirs.confidence_interval()))
    ours, theirs = paired(a, b[:80]), stats.ttest_rel(b[:80], a)
    assert (ours.p_value, ours.low, ours.high) == pytest.approx((theirs.pvalue, *theirs.confidence_interval()))


@pytest.mark.parametrize("same_users", [True, False])
def test_the_interval_of_the_ratio_covers_the_true_value(same_users):
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        trait = rng.exponential(1, 300)
        other = trait if same_users else rng.exponential(1, 300)
        a, b = trait + rng.random(300), 1.2 * other + 1.2 * rng.random(300)
        effect = paired(a, b) if same_users else unpaired(a, b)
        held += effect.relative_low <= 0.2 <= effect.relative_high
    assert 0.92 <= held / 400 <= 0.98


def test_too_few_users_have_no_interval():
    effect = unpaired(np.ones(10), np.zeros(500))
    assert (effect.a, effect.b, effect.difference) == (1, 0, -1)
    assert math.isnan(effect.low)


def test_equal_variants_do_not_differ():
    effect = paired(np.arange(30.0), np.arange(30.0))
    assert (effect.difference, effect.low, effect.high, effect.p_value, effect.relative) == (0, 0, 0, 1, 0)


def test_cuped_removes_the_variance_that_the_covariates_explain():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(5_000, 2))
    values = known @ [2.0, -1.0] + rng.normal(size=5_000)
    adjusted = cuped(values, known)
    assert adjusted.mean() == pytest.approx(values.mean())
    assert variance_left(values, adjusted) == pytest.approx(1 / 6, rel=0.1)  # the covariates explain 4 + 1 of a variance of 6
    assert variance_left(values, cuped(values, rng.normal(size=(5_000, 1)))) == pytest.approx(1, abs=0.01)


def test_cuped_leaves_the_difference_unbiased_and_narrows_its_interval():
    rng, plain, less, widths = np.random.default_rng(0), [], [], []
    for _ in range(300):
        known, split = rng.normal(size=(400, 1)), rng.random(400) < 0.5
        values = known[:, 0] * 2 + rng.normal(size=400) + 0.5 * split
        adjusted = cuped(values, known)
        one, other = unpaired(values[~split], values[split]), unpaired(adjusted[~split], adjusted[split])
        plain.append(one.difference)
        less.append(other.difference)
        widths.append((other.high - other.low) / (one.high - one.low))
    assert np.mean(less) == pytest.approx(0.5, abs=0.02)
    assert np.std(less) < 0.6 * np.std(plain)
    assert np.mean(widths) == pytest.approx(1 / math.sqrt(5), rel=0.1)


def test_a_lopsided_split_is_an_alarm():
    assert ratio_mismatch(5_000, 5_060) > SRM_ALARM
    assert ratio_mismatch(5_000, 5_400) < SRM_ALARM
    assert ratio_mismatch(7_000, 3_000, 0.3) == pytest.approx(1)


def test_the_needed_users_give_the_stated_power():
    rng, found = np.random.default_rng(0), 0
    n = math.ceil(users_needed((1.0, 4.0), 0.4))
    for _ in range(500):
        found += unpaired(rng.normal(0, 1, n), rng.normal(0.4, 2, n)).p_value < 0.05
    low, high = binomial_interval(500, 0.8)
    assert low <= found <= high
    assert power_of((1.0, 4.0), 0.4, (n, n)) == pytest.approx(0.8, abs=0.005)
    assert detectable((1.0, 4.0), (n, n)) == pytest.approx(0.4, abs=0.005)
    assert users_needed((1.0, 1.0), 0.0) == math.inf


def test_many_splits_at_once_equal_one_by_one():
    values, splits = np.random.default_rng(0).exponential(size=200), hashed_splits(USERS[:200], 5, "x")
    one_by_one = [unpaired(values[~split], values[split]).p_value for split in splits]
    assert _welch(values, splits) == pytest.approx(one_by_one)


def test_the_a_a_test_gives_the_stated_false_alarms():
    runs = 200
    found = alarms(runs, users=600)
    assert flat(found["unpaired"], runs)
    assert flat(found["cuped"], runs)
    assert flat(found["always_valid"], runs, at_most=True)
    assert not flat(found["peeking"], runs)  # otherwise the A/A test could not detect a broken test
