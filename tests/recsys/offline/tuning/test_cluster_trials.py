"""`recsys tune` on a cluster: workers read the workspace for themselves, and run trials of all stages against one journal."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import HttpUrl

from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from recsys.compute.local import Processes
from recsys.compute.ray import RayCluster
from recsys.offline.tuning.cluster_trials import TrialWorkers, _of_workers, device_of_all
from recsys.offline.tuning.search_space import with_values
from recsys.offline.tuning.tune import TuneOptions, tune
from recsys.settings.cluster import ClusterConfig
from recsys.settings.refresh import RefreshConfig
from recsys.settings.settings import Settings
from recsys.settings.tracking import TrackingConfig
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsys.compute.job import Job, Shard
    from recsys.settings.names import Device


@dataclass(frozen=True)
class Watched(Processes):
    """This process as the only worker; the jobs are kept."""

    jobs: list[Job] = field(default_factory=list)
    shards: list[int] = field(default_factory=list)

    def run(self, job: Job, shards: Sequence[Shard]) -> Iterator[Shard]:
        self.jobs.append(job)
        self.shards.append(len(shards))
        return super().run(job, shards)


@pytest.fixture(scope="module")
def quick(tiny_settings: Settings) -> Settings:
    fast = {"train.epochs": 1, "train.tuned_epochs": 0, "train.tuning": "frozen", "gbdt.boosters": 1}
    secret = {"source": {"database": "postgresql://me:secret@host/shop"}, "refresh": RefreshConfig(webhook=HttpUrl("https://host/secret"))}
    return with_values(tiny_settings, fast).model_copy(update=secret)


@pytest.fixture(scope="module")
def workspace(shop, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("tune")
    shop.items.write_csv(folder / "items.csv")
    shop.events.write_csv(folder / "log.csv")
    opened = Workspace(folder / "workspace")
    ingest(Source(items=folder / "items.csv", interactions=folder / "log.csv"), opened.data)
    return opened


def test_all_stages_run_on_workers(workspace: Workspace, quick: Settings) -> None:
    cluster = Watched()
    report = tune(workspace, quick, TuneOptions(minutes=None, trials=2, users=40, test=False, cluster=cluster))
    assert [job.label.removeprefix("trials of the ") for job in cluster.jobs] == ["towers", "ranking", "cross-encoder"]
    assert cluster.shards == [1, 1, 1]  # the current settings have run in the command
    for stage in report.stages:
        assert stage.trials + stage.pruned + stage.failed == 2
        assert stage.failed == 0
        assert stage.best >= stage.current
    assert {job.arguments["train"]["device"] for job in cluster.jobs} == {"cpu"}
    assert "secret" not in str([job.arguments for job in cluster.jobs])
    assert not any(job.folder.exists() for job in cluster.jobs)
    again = Watched()
    assert tune(workspace, quick, TuneOptions(minutes=None, trials=2, users=40, test=False, cluster=again)).stages == report.stages
    assert again.jobs == [], "nothing is repeated"


@pytest.mark.parametrize(
    ("where", "expected"),
    [("runs", str(Path("runs").absolute())), ("sqlite:///runs.db", "sqlite:///runs.db"), ("databricks", "databricks")],
)
def test_workers_of_another_folder_log_in_that_of_the_command(where: str, expected: str) -> None:
    sent = _of_workers(Settings(tracking=TrackingConfig(mlflow=where, tensorboard=Path("events")), refresh=RefreshConfig()))
    assert sent == {"tracking": {"mlflow": expected, "tensorboard": str(Path("events").absolute())}}


@pytest.mark.parametrize(
    ("requested", "seen", "gpus", "expected", "note"),
    [
        ("auto", True, 0, "cpu", "because cluster.gpus is 0"),
        ("cuda", True, 0, "cpu", "because cluster.gpus is 0"),
        ("auto", True, 1, "cuda", None),
        ("cpu", True, 1, "cpu", "because --device cpu was given"),
        ("auto", False, 1, "cpu", "because this machine has no GPU"),
        ("auto", False, 0, "cpu", None),
    ],
)
def test_all_trials_run_on_one_device(
    requested: Device, seen: bool, gpus: int, expected: str, note: str | None, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen)
    assert device_of_all(RayCluster("local", ClusterConfig(gpus=gpus), Path()), requested) == expected
    assert [record.getMessage().rpartition(", ")[2] for record in caplog.records] == [note] * (note is not None)


def test_a_worker_that_finds_other_data_ends_the_search(workspace: Workspace, quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrialWorkers.run
    monkeypatch.setattr(TrialWorkers, "run", lambda workers, *rest: run(replace(workers, key="another"), *rest))
    with pytest.raises(DataError, match="a worker finds other data or settings in .*: end other commands, unset RECSYS_"):
        tune(workspace, quick, TuneOptions(minutes=None, trials=3, users=40, test=False, cluster=Watched()))


def test_without_a_number_of_trials_each_worker_runs_until_the_time_is_over(workspace: Workspace, quick: Settings) -> None:
    cluster = Watched()
    tune(workspace, quick, TuneOptions(minutes=0.05, users=40, test=False, cluster=cluster))
    assert set(cluster.shards) <= {1}
    assert all(job.arguments["most"] is None for job in cluster.jobs)
