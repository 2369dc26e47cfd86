import numpy as np
import pytest
from scipy.stats import bootstrap

from eval.metrics.intervals import Bootstrap
from eval.metrics.probabilities import ScoredPairs, log_losses, reliability, roc_auc

NAN = float("nan")


def test_the_interval_of_a_mean_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=300)
    found = Bootstrap(resamples=4000).means({"x": values})["x"]
    theirs = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_users_without_a_value_are_left_out():
    values = Bootstrap(50).means({"half": np.array([1.0, NAN, 1.0, NAN]), "none": np.full(4, NAN)})
    half, none = values["half"], values["none"]
    assert (half.value, half.low, half.high, half.users) == (1.0, 1.0, 1.0, 2)
    assert np.isnan([none.value, none.low, none.high]).all()
    assert none.users == 0


def test_the_same_seed_draws_the_same_and_another_does_not():
    values = {"x": np.random.default_rng(0).random(50)}
    assert Bootstrap(100, seed=3).means(values) == Bootstrap(100, seed=3).means(values)
    assert Bootstrap(100, seed=3).means(values) != Bootstrap(100, seed=4).means(values)


def test_each_resample_draws_as_many_users_as_there_are():
    sums = Bootstrap(70).sums(np.ones((9, 1)))
    assert sums.shape == (70, 1)
    assert (sums == 9).all()


def test_the_interval_covers_the_true_mean_at_its_level():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(200, 100))
    values = [Bootstrap(200).means({"x": sample})["x"] for sample in samples]
    assert 0.88 < np.mean([f.low <= 0 <= f.high for f in values]) < 0.99


def test_a_ratio_of_paired_systems_is_narrower_than_their_own_intervals():
    rng = np.random.default_rng(0)
    easy = rng.random(500)
    found = Bootstrap().paired_ratio(1.1 * easy + 0.001 * rng.normal(size=500), easy)
    assert found.value == pytest.approx(1.1, abs=0.001)
    assert 1.09 < found.low < found.value < found.high < 1.11
    mean = Bootstrap().means({"x": easy})["x"]
    assert (mean.high - mean.low) / mean.value > 10 * (found.high - found.low)


def test_a_ratio_leaves_out_users_that_lack_one_side():
    found = Bootstrap(20).paired_ratio(np.array([2.0, NAN, 4.0]), np.array([1.0, 1.0, NAN]))
    assert (found.value, found.users) == (2.0, 1)
    assert np.isnan(Bootstrap(20).paired_ratio(np.ones(3), np.zeros(3)).value)


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(60), 15)
    scores = np.clip(rng.random(900) * rng.random(60)[user], 0, 1).round(2)
    return ScoredPairs(user, rng.random(900) < scores, scores, 60)


@pytest.mark.parametrize(
    ("method", "slow"),
    [
        (lambda boot, p: boot.auc(p), roc_auc),
        (lambda boot, p: boot.log_loss(p), lambda labels, scores: log_losses(labels, scores).mean()),
    ],
)
def test_intervals_of_pooled_pairs_equal_the_slow_way(pairs, method, slow):
    boot = Bootstrap(resamples=60, seed=1)
    found = method(boot, pairs)
    drawn = boot.sums(np.eye(60)).astype(int)  # how often each user was drawn
    index = [np.repeat(np.arange(900), times[pairs.user]) for times in drawn]
    values = [slow(pairs.labels[i], pairs.scores[i]) for i in index]
    assert found.value == pytest.approx(slow(pairs.labels, pairs.scores))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=1e-9)
    assert found.users == 60


def test_the_interval_of_the_calibration_error_lies_about_it(pairs):
    wrong = ScoredPairs(pairs.user, pairs.labels, pairs.scores / 2, 60)
    found = Bootstrap(200).calibration_error(wrong, reliability(wrong.labels, wrong.scores))
    assert 0 < found.low < found.value < found.high < 1


def test_pooled_metrics_without_pairs_are_undefined():
    nothing = ScoredPairs(np.empty(0, np.int64), np.empty(0, bool), np.empty(0), 3)
    values = [Bootstrap(5).auc(nothing), Bootstrap(5).log_loss(nothing)]
    values.append(Bootstrap(5).calibration_error(nothing, reliability(nothing.labels, nothing.scores)))
    assert all(np.isnan(f.value) and f.users == 0 for f in values)


def test_what_belongs_together_is_drawn_together():
    rng = np.random.default_rng(0)
    of_customer = rng.random(40)
    # Ten queries a customer that all earn the same are worth one.
    values, clusters = np.repeat(of_customer, 10), np.repeat(np.arange(40), 10)
    alone, together, apart = (
        Bootstrap().means({"x": column}, groups)["x"] for column, groups in ((of_customer, None), (values, clusters), (values, None))
    )
    assert (together.value, together.low, together.high) == pytest.approx((alone.value, alone.low, alone.high))
    assert apart.high - apart.low < 0.5 * (together.high - together.low)
    assert together.users == 400


def test_a_paired_difference_is_above_zero_where_one_system_is_better_everywhere():
    rng = np.random.default_rng(0)
    hard = rng.random(300)
    found = Bootstrap().paired_difference(hard + 0.02 + 0.01 * rng.normal(size=300), np.append(hard[:-1], NAN))
    assert 0.015 < found.low < found.value < found.high < 0.025
    assert found.users == 299
    assert Bootstrap().paired_difference(hard, hard) == Bootstrap().with_interval(0.0, np.zeros(9), 300)
