"""The parts of a batch's loss that processes have: they add up to the loss of the whole batch, and so do their gradients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from features.data.interactions import DAY
from recsys.training.distributed.towers import PooledTexts
from retrieval.two_tower.config import TowerConfig, TrainConfig
from retrieval.two_tower.distributed.process_group import ProcessGroup
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.sequence_batches import SequenceSampler
from retrieval.two_tower.trainer import TrainingRun, _part_of_loss, no_validation
from retrieval.two_tower.window_batches import WindowSampler

TRAIN = TrainConfig(users=5, positives=4, negatives=16, tuned_epochs=0)


@pytest.fixture(params=["set", "sequence"])
def run(request: pytest.FixtureRequest, shop: Any) -> TrainingRun:
    torch.manual_seed(0)
    tower = TwoTower(8, TowerConfig(dim=16, hidden=16, layers=1, heads=2, history=20, user_encoder=request.param, dropout=0.0))
    with torch.no_grad():  # zero at the start, which would leave the layers below without a gradient
        tower.user_encoder.output_projection.weight.normal_()
    sampler = WindowSampler(shop.log, TRAIN, 20 * DAY) if request.param == "set" else SequenceSampler(shop.log, TRAIN, 20)
    texts: Any = PooledTexts(np.random.default_rng(0).standard_normal((shop.log.n_items, 8), dtype=np.float32))
    return TrainingRun(sampler, tower, texts, no_validation, Path(), 0)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_losses_and_gradients_add_up(run: TrainingRun, size: int) -> None:
    batch = run.sampler.draw(np.random.default_rng(1))
    weights = list(run.tower.parameters())
    losses, gradients = [], []
    for world_size in (1, size):
        run.tower.zero_grad()
        parts = [_part_of_loss(replace(run, group=ProcessGroup(rank, world_size)), batch, False) for rank in range(world_size)]
        sum(parts).backward()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        losses.append(sum(part.item() for part in parts))
        gradients.append([torch.zeros_like(weight) if weight.grad is None else weight.grad.clone() for weight in weights])
    assert losses[0] > 0.5
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for whole, summed in zip(*gradients, strict=True):
        assert torch.allclose(summed, whole, rtol=1e-4, atol=1e-6)
    assert sum(bool(gradient.any()) for gradient in gradients[0]) > len(weights) / 2


def test_every_user_is_in_one_part(run: TrainingRun) -> None:
    batch: Any = run.sampler.draw(np.random.default_rng(1))
    parts: list[Any] = [ProcessGroup(rank, 3).part(batch) for rank in range(3)]
    assert sum(len(part.bought) for part in parts) == len(batch.bought)
    assert sum(part.predicted.sum() for part in parts) == batch.predicted.sum()
    assert all(np.array_equal(part.candidates, batch.candidates) for part in parts), "the negatives are those of the whole batch"
