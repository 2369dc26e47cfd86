"""Off-policy evaluation: weights on paper, intervals against a known value, and errors."""

import numpy as np
import polars as pl
import pytest

from benchmarks.off_policy import CASES, World, coverage
from eval.experiment.splits import in_b
from eval.off_policy.estimators import FEWEST, Logged, Target, effective_size, off_policy, weights
from eval.off_policy.log import read_log
from eval.reports.off_policy import as_dict, lines, table
from features.errors import DataError

HEAD = "impression_id,position,item_id,propensity,target_propensity,reward"


def logged(rows, target=None):
    """Of (impression, position, reward, propensity, probability)."""
    impression, position, reward, propensity, probability = (np.array(column) for column in zip(*rows, strict=True))
    numbers = {"reward": reward.astype(float), "propensity": propensity.astype(float), "probability": probability.astype(float)}
    return Logged(impression, position, **numbers, unit=np.arange(impression.max() + 1), cell=np.arange(len(rows)), target=target)


def test_weights_on_paper():
    log = logged([(0, 0, 1, 0.5, 1.0), (0, 1, 0, 0.5, 0.25), (1, 0, 0, 0.25, 0.5), (1, 1, 1, 0.5, 0.0), (1, 2, 1, 0.5, 1.0)])
    assert weights(log, "independent").tolist() == [2, 0.5, 2, 0, 2]
    assert weights(log, "cascade").tolist() == [2, 1, 2, 0, 0]
    assert weights(log, "joint").tolist() == [1, 1, 0, 0, 0]
    assert effective_size(log, np.array([1.0, 1, 1, 1, 2])) == 1  # the third place has one row


def test_the_logging_policy_as_target_has_its_own_value():
    rng = np.random.default_rng(0)
    rows = [(i, 0, reward, 0.4, 0.4) for i, reward in enumerate(rng.random(500) < 0.3)]
    found = off_policy(logged(rows))
    assert found.effective == pytest.approx(500)
    assert found.supported
    for estimate in found.estimates.values():
        assert estimate.value == pytest.approx(found.logged.value)
        assert (estimate.gain, estimate.gain_low, estimate.gain_high) == pytest.approx((0, 0, 0))


@pytest.mark.parametrize("case", ["context", "few", "cascade"])
def test_intervals_cover_the_value_at_their_level(case):
    runs, low, high = 150, 0.89, 0.995  # the binomial's 99.5% interval around .95
    found = coverage(CASES[case], runs)
    sound = {name for name in found if (case, name) != ("cascade", "dm")}
    assert {"ips", "snips", "dr"} <= sound
    for name in sound:
        assert low <= found[name][0] <= high, name


def test_a_blind_model_misleads_the_direct_method_and_not_the_doubly_robust():
    found = coverage(CASES["blind"], 60)
    assert found["dm"][0] < 0.5
    assert found["dr"][0] > 0.85


def test_doubly_robust_weighs_the_places_above():
    """Two places of three items, without repeats: what a target shows second depends on what was shown first."""
    rng, m = np.random.default_rng(0), 40_000
    logging, target = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6])

    def second(policy: np.ndarray) -> np.ndarray:
        chance = np.tile(policy, (3, 1)) * (1 - np.eye(3))
        return chance / chance.sum(axis=1, keepdims=True)

    worth = np.array([0.9, 0.1, 0.5]) * np.array([0.3, 0.3, 1.0])[:, None]  # of the second, by the first
    true_value = target @ np.array([0, 0.2, 0.4]) + target @ (second(target) * worth).sum(axis=1)
    a = rng.choice(3, m, p=logging)
    b = (rng.random(m)[:, None] > np.cumsum(second(logging)[a], axis=1)).sum(axis=1)

    def both(first: np.ndarray, then: np.ndarray) -> np.ndarray:
        return np.stack([first, then], axis=1).ravel()

    shown = Target(
        np.repeat(np.arange(m), 6),
        np.tile([0, 0, 0, 1, 1, 1], m),
        np.tile([0, 2, 4, 1, 3, 5], m),
        np.concatenate([np.tile(target, (m, 1)), second(target)[a]], axis=1).ravel(),
    )
    log = Logged(
        impression=np.repeat(np.arange(m), 2),
        position=np.tile([0, 1], m),
        reward=both(0.2 * a, worth[a, b]),
        propensity=both(logging[a], second(logging)[a, b]),
        probability=both(target[a], second(target)[a, b]),
        unit=np.arange(m),
        cell=both(2 * a, 2 * b + 1),
        target=shown,
    )
    for slates in ("cascade", "joint"):
        found = off_policy(log, slates).estimates["dr"]
        assert found.low < true_value < found.high, slates


def test_wrong_assumptions_about_places_bias_the_estimate():
    assert coverage(CASES["cascade_ignored"], 40)["ips"][0] < 0.5


def test_impressions_of_one_user_are_one_unit():
    log = World.make().draw(600, np.random.default_rng(0), blind=False)
    alone = off_policy(log)
    several = off_policy(Logged(**{**vars_of(log), "unit": np.repeat(np.arange(20), 30)}))
    assert several.estimates["ips"].value == alone.estimates["ips"].value
    assert several.units == 20
    twice = np.concatenate([log.impression, log.impression + 600])
    doubled = {name: np.tile(value, 2) for name, value in vars_of(log).items() if name not in ("impression", "target", "unit")}
    again = off_policy(Logged(impression=twice, unit=np.tile(np.arange(600), 2), target=None, **doubled))
    width = again.estimates["ips"].high - again.estimates["ips"].low
    assert width == pytest.approx(alone.estimates["ips"].high - alone.estimates["ips"].low, rel=1e-6)


def vars_of(log):
    return {name: getattr(log, name) for name in Logged.__dataclass_fields__}


def test_too_few_effective_impressions_are_refused():
    world = World.make(sharp=3.0)
    log = world.draw(200, np.random.default_rng(0), blind=False)
    assert effective_size(log, weights(log, "independent")) < FEWEST
    with pytest.raises(DataError, match=r"effective sample size is \d+ of 200 impressions, expected at least 100"):
        off_policy(log)


def test_missing_support_is_reported():
    """Half of what the target shows was never logged."""
    rng = np.random.default_rng(0)
    rows = [(i, 0, 0.0, 0.5, 0.5 * one) for i, one in enumerate(rng.integers(2, size=1_000))]
    target = Target(np.repeat(np.arange(1_000), 2), np.zeros(2_000, int), np.tile([0, 5_000], 1_000), np.full(2_000, 0.5))
    found = off_policy(logged(rows, target))
    assert not found.supported
    assert found.unseen == pytest.approx(0.5)
    assert sum(line.startswith("Warning") for line in lines(found)) == 2


def write(folder, name, *rows):
    path = folder / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_log_is_read(tmp_path):
    path = write(tmp_path, "log.csv", HEAD + ",user_id", "b,2,y,.5,.25,0,u1", "b,1,x,.5,1,1,u1", "a,1,y,.25,.5,0,u0")
    log = read_log(path)
    assert log.impression.tolist() == [0, 1, 1]
    assert log.position.tolist() == [0, 0, 1]
    assert log.reward.tolist() == [0, 1, 0]
    assert (log.probability / log.propensity).tolist() == [2, 2, 0.5]
    assert log.unit.tolist() == [0, 1]
    assert log.target is None


def test_a_full_target_gives_the_target_propensities(tmp_path):
    log = write(tmp_path, "log.csv", "impression_id,position,item_id,propensity,reward", "a,1,x,.5,1", "b,1,y,.5,0")
    head = "impression_id,position,item_id,probability"
    target = write(tmp_path, "target.csv", head, "a,1,x,.25", "a,1,z,.75", "b,1,x,1", "never shown,1,x,1")
    found = read_log(log, target)
    assert found.probability.tolist() == [0.25, 0]
    assert found.target is not None
    assert found.target.probability.tolist() == [0.25, 0.75, 1]
    assert found.target.cell[0] == found.target.cell[2] == found.cell[0]
    short = write(tmp_path, "short.csv", head, "a,1,x,.25", "b,1,x,1")
    with pytest.raises(DataError, match=r"position 1 of impression 'a' sum to 0.25, expected 1"):
        read_log(log, short)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,1,x,0,.5,1"], "propensity is 0.0 in impression 'a', expected above 0"),
        (["a,1,x,.5,1.5,1"], "target_propensity is 1.5"),
        (["a,1,x,half,.5,1"], "row 1: propensity is 'half', expected a number"),
        (["a,1,x,.5,.5,"], "row 1: reward is None"),
        (["a,1,x,.5,.5,1", "a,1,y,.5,.5,1"], "each position once"),
        (["a,2,x,.5,.5,1"], "without a gap"),
        (["a,0,x,.5,.5,1"], "position is 0"),
        ([], "no rows"),
    ],
)
def test_broken_logs_are_refused_in_one_line(tmp_path, rows, message):
    with pytest.raises(DataError) as caught:
        read_log(write(tmp_path, "log.csv", HEAD, *rows))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_columns_and_files_are_named(tmp_path):
    with pytest.raises(DataError, match="lacks the columns propensity, target_propensity"):
        read_log(write(tmp_path, "log.csv", "reward", "1"))
    with pytest.raises(DataError, match="there is no"):
        read_log(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_log(write(tmp_path, "log.parquet", "reward", "1"))


def test_one_place_a_list_needs_no_more_than_three_columns(tmp_path):
    rng = np.random.default_rng(0)
    in_arm = in_b([str(i) for i in range(400)], "x")
    frame = pl.DataFrame({"propensity": np.full(400, 0.5), "target_propensity": in_arm.astype(float), "reward": rng.random(400)})
    path = tmp_path / "log.parquet"
    frame.write_parquet(path)
    found = off_policy(read_log(path))
    assert found.impressions == found.units == 400
    assert as_dict(found)["unseen"] is None
    assert table(found).renderables
