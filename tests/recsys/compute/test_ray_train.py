"""Trainings by Ray Train: dead processes are replaced, towers go on from their checkpoints, and nothing listens beyond this machine."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from features.errors import DataError
from recsys.compute.job import Training
from recsys.compute.local import Processes
from recsys.compute.ray import RayCluster
from recsys.settings.cluster import ClusterConfig
from recsys.training.distributed import towers
from retrieval.two_tower.config import TowerConfig, TrainConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.trainer import TrainingRun, fit_towers, no_validation
from retrieval.two_tower.window_batches import WindowSampler
from tests.recsys.compute.jobs import refuse, train_and_die

if TYPE_CHECKING:
    from typing import Any

DAY = 86_400
# Ray Train itself uses what Ray Data has deprecated.
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "FutureWarning")]


def test_towers_go_on_after_a_death(cluster: RayCluster, shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(users=16, positives=4, negatives=16, epochs=3, steps_per_epoch=2, patience=9, tuned_epochs=0)
    found, losses = [], []
    before, groups = signal.getsignal(signal.SIGINT), set(Path(tempfile.gettempdir()).glob("recsys-group-*"))
    for name, work, where in (("whole", towers.train_in_group, Processes(2)), ("died", train_and_die, cluster)):
        monkeypatch.setattr(towers, "train_in_group", work)
        torch.manual_seed(0)
        tower = TwoTower(8, TowerConfig(dim=16, hidden=16, layers=1, heads=2, history=20, user_encoder="set"))
        texts: Any = towers.PooledTexts(np.random.default_rng(0).standard_normal((shop.log.n_items, 8), dtype=np.float32))
        run = TrainingRun(WindowSampler(shop.log, config, 20 * DAY), tower, texts, no_validation, tmp_path / name, seed=0)
        run.on_epoch = lambda phase, epoch, values: losses.append(values["loss"])
        towers.train_on(where, tmp_path / "cache", run, config)
        fit_towers(run, config)
        found.append(run.vectors())
    assert (tmp_path / "died" / "died").exists()
    assert (tmp_path / "died" / "epochs").read_text().split().count("0") == 1, "it goes on from the checkpoint of the first epoch"
    assert losses[:3] == losses[3:]
    assert np.array_equal(*found)
    addresses = [(tmp_path / "died" / f"listens-{rank}").read_text().split() for rank in range(2)]
    assert {address for some in addresses for address in some} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert set(Path(tempfile.gettempdir()).glob("recsys-group-*")) <= groups
    assert signal.getsignal(signal.SIGINT) is before, "Ctrl-C ends the command as before"


def test_an_error_of_the_training_ends_it(cluster: RayCluster, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^a number is negative: give positive ones$"):
        cluster.train(Training("training", refuse, {"log": str(tmp_path / "log")}, tmp_path))
    assert sorted((tmp_path / "log").read_text().split()) == ["0", "1"], "no process tries it again"
    assert not list(tmp_path.glob("fault-*"))


def test_none_are_trained_from_outside_a_cluster_or_against_the_settings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert RayCluster("local", ClusterConfig(towers=False), tmp_path).trainers == 0
    assert not caplog.records
    outside = RayCluster("ray://127.0.0.1:1", ClusterConfig(), tmp_path)
    assert [outside.trainers, outside.trainers] == [0, 0]
    assert [record.getMessage()[:46] for record in caplog.records] == ["note: the towers are trained in this process, "], "said once"
