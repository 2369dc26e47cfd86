"""Towers that several processes train together: the loss is that of the whole batch, and a death costs one epoch at most."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from features.data.interactions import DAY
from recsys.compute.local import Processes
from recsys.compute.ray import RayCluster
from recsys.settings.cluster import ClusterConfig
from recsys.training import towers
from recsys.training.distributed.towers import train_on
from recsys.training.job import TrainingJob
from recsys.training.towers import TextModels, fit_text_models
from recsys.training.windows import Windows
from retrieval.two_tower.config import TrainConfig

if TYPE_CHECKING:
    from recsys.compute.job import Cluster

CPU = torch.device("cpu")
TOLERANCE = 1e-5  # of the loss of a step, relative
WEIGHTS = 1e-4  # tolerance of a weight
EXACT = {"dropout": 0.0}  # dropout draws other numbers in each process
STEPS = {"steps_per_epoch": 1, "epochs": 4, "patience": 9, "tuned_epochs": 0, "id_dropout": 0.0}


@pytest.fixture
def job(shop: Any, tiny_settings: Any, monkeypatch: pytest.MonkeyPatch) -> TrainingJob:
    monkeypatch.setattr(towers, "spread_states", lambda *_: None)
    until = shop.log.start + 150 * DAY
    log = shop.log.between(None, until)
    return TrainingJob(shop.catalog, log, Windows.plan(log, until), tiny_settings, 0)


def fitted(job: TrainingJob, cluster: Cluster | None, folder: Path, tower: dict[str, Any], **train: Any) -> tuple[list[float], TextModels]:
    """Train; return the loss of each epoch, which has one step for sets, and the models."""
    settings = job.settings
    update = {"tower": settings.tower.model_copy(update=tower), "train": settings.train.model_copy(update=STEPS | train)}
    losses: list[float] = []
    job = replace(job, settings=settings.model_copy(update=update), cluster=cluster, cache=folder / "cache")
    job = replace(job, on_epoch=lambda *told: losses.append(told[2]["loss"]))
    return losses, fit_text_models(job, CPU, folder, folder.parent)


@pytest.mark.parametrize(
    ("device", "seen", "gpus", "agrees"),
    [("cuda", True, 0, False), ("cuda", True, 1, True), ("cpu", True, 1, False), ("cpu", True, 0, True), ("cpu", False, 1, True)],
)
def test_a_cluster_of_another_device_is_left_aside(
    device: str, seen: bool, gpus: int, agrees: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen)
    run: Any = SimpleNamespace(tower=SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=SimpleNamespace(type=device))])))
    monkeypatch.setattr(RayCluster, "trainers", 2)
    with pytest.raises(AssertionError, match="in the cache") if agrees else nullcontext():
        train_on(RayCluster("local", ClusterConfig(gpus=gpus), Path()), None, run, TrainConfig())
    assert ("note: the towers train in this process, on" in caplog.text) != agrees


@pytest.mark.parametrize(
    ("tower", "train"),
    [
        ({"user_encoder": "set"}, {"hard_negatives": 2, "accumulate": 2}),
        ({"user_encoder": "sequence"}, {"users": 7, "epochs": 2}),
    ],
)
def test_two_processes_have_the_loss_of_one(job: TrainingJob, tmp_path: Path, tower: dict[str, Any], train: dict[str, Any]) -> None:
    alone, one = fitted(job, None, tmp_path / "one", EXACT | tower, **train)
    together, two = fitted(job, Processes(2), tmp_path / "two", EXACT | tower, **train)
    assert len(together) == len(alone) >= 2
    assert np.allclose(together, alone, rtol=TOLERANCE, atol=0)
    assert np.allclose(two.vectors, one.vectors, atol=1e-5)
    weights, others = one.tower.state_dict(), two.tower.state_dict()
    # A softmax does not change with its bias: the gradient is rounding alone, which AdamW scales up.
    weights.pop("user_encoder.pooling.bias", None)
    differ = {name for name, weight in weights.items() if not torch.allclose(others[name], weight, rtol=0, atol=WEIGHTS)}
    assert differ == set()
    assert alone[-1] != pytest.approx(alone[0], rel=10 * TOLERANCE), "it learns"


def test_one_process_has_the_bits_of_the_command(job: TrainingJob, tmp_path: Path) -> None:
    tower, train = {"user_encoder": "sequence", "dropout": 0.1}, {"ensemble": 2, "epochs": 2, "id_dropout": 0.2}
    alone, one = fitted(job, None, tmp_path / "one", tower, **train)
    there, other = fitted(job, Processes(), tmp_path / "other", tower, **train)
    assert there == alone
    assert np.array_equal(one.vectors, other.vectors)
    assert one.report == other.report
    assert not list((tmp_path / "other" / "cache" / "compute").iterdir()), "the inputs are gone"
