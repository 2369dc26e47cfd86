"""Batches of a continued training: new events, and a share of replayed old ones."""

from __future__ import annotations

import numpy as np
import pytest

from features.data.interactions import Interactions
from retrieval.two_tower.config import TrainConfig
from retrieval.two_tower.continual.replay import ReplaySequenceSampler, ReplayWindowSampler
from retrieval.two_tower.sequence_batches import SequenceSampler
from retrieval.two_tower.window_batches import WindowSampler

CONFIG = TrainConfig(users=8, moments=8, positives=2, negatives=4)
USERS, SINCE, HORIZON, DRAWS = 40, 600, 50, 2_000


@pytest.fixture(scope="module")
def log() -> Interactions:
    """Users 0 to 39 buy at 0, 100, .. 900; those with an odd number leave before `SINCE`."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(USERS), 10).astype(np.int32)
    time = np.tile(np.arange(10) * 100, USERS).astype(np.int64)
    stays = (user % 2 == 0) | (time < SINCE)
    user, time = user[stays], time[stays]
    ids, ones = np.array([f"u{i:02}" for i in range(USERS)], dtype=object), np.ones(len(user), np.float32)
    return Interactions(ids, user, rng.integers(0, 12, len(user)).astype(np.int32), time, np.zeros(len(user), np.int8), ones, ones, 12)


def share_new(log: Interactions, replay: float) -> float:
    sampler, rng = ReplayWindowSampler(log, CONFIG, HORIZON, SINCE, replay), np.random.default_rng(0)
    return float(np.mean([log.time[sampler.event(rng)] >= SINCE - HORIZON for _ in range(DRAWS)]))


def test_moments_lie_among_the_new_events_but_for_the_replayed_share(log: Interactions) -> None:
    of_all = float((log.time >= SINCE - HORIZON).mean())
    assert share_new(log, 0.0) == 1
    assert share_new(log, 0.5) == pytest.approx(0.5 + 0.5 * of_all, abs=0.04)
    assert share_new(log, 1.0) == pytest.approx(of_all, abs=0.04)


def test_a_moment_just_before_the_new_events_predicts_them(log: Interactions) -> None:
    early = ReplayWindowSampler(log, CONFIG, 150, SINCE, 0.0)
    assert log.time[early.new].min() == 500


def test_a_batch_is_as_any_other(log: Interactions) -> None:
    sampler, rng = ReplayWindowSampler(log, CONFIG, HORIZON, SINCE, 0.5), np.random.default_rng(1)
    batch = sampler.draw(rng)
    assert batch.positives.shape[1] == CONFIG.positives
    assert batch.bought.shape == (len(batch.positives), len(batch.candidates))
    assert np.isin(batch.positives[batch.positives >= 0], batch.candidates).all()


@pytest.mark.parametrize("replay", [0.0, 0.25, 0.5, 1.0])
def test_users_have_new_events_but_for_the_replayed_share(log: Interactions, replay: float) -> None:
    sampler, rng = ReplaySequenceSampler(log, CONFIG, 5, SINCE, replay), np.random.default_rng(0)
    assert sampler.new.tolist() == list(range(0, USERS, 2))
    drawn = [sampler.choose(rng, 8) for _ in range(400)]
    assert all(len(np.unique(users)) == 8 for users in drawn)
    old = float(np.mean([(users % 2 == 1).mean() for users in drawn]))
    assert old <= replay
    assert old == pytest.approx(replay * 20 / (40 - round(8 * (1 - replay))), abs=0.03)


def test_an_epoch_is_one_pass_over_the_users_with_new_events(log: Interactions) -> None:
    assert [ReplaySequenceSampler(log, CONFIG, 5, SINCE, replay).steps(False) for replay in (0.0, 0.5)] == [3, 5]
    assert SequenceSampler(log, CONFIG, 5).steps(False) == 5


def test_without_anything_new_all_is_replayed(log: Interactions) -> None:
    """A catalogue can change without an event."""
    windows, sequences = ReplayWindowSampler(log, CONFIG, HORIZON, 10_000, 0.0), ReplaySequenceSampler(log, CONFIG, 5, 10_000, 0.0)
    assert len({windows.event(np.random.default_rng(seed)) for seed in range(50)}) > 20
    assert len(sequences.choose(np.random.default_rng(0), 8)) == 8
    assert sequences.steps(False) == 5


def test_other_trainings_draw_as_before(log: Interactions) -> None:
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    assert WindowSampler(log, CONFIG, HORIZON).event(rng) == same.integers(len(log))
    assert SequenceSampler(log, CONFIG, 5).choose(rng, 8).tolist() == same.choice(np.arange(USERS), 8, replace=False).tolist()
