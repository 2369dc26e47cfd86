"""Runs in MLflow and TensorBoard: off by default, without a network, and never the end of a training."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from features.errors import ConfigError
from recsys.settings.settings import load_settings
from recsys.settings.tracking import TrackingConfig
from recsys.tracking.run import TrackedRun, flat, tracked
from recsys.training import find_or_train
from recsys.training.options import TrainOptions

ROOT = Path(__file__).parents[3]
SETTINGS = {"train": {"lr": 0.003, "tuning": "upper"}, "gbdt": {"rounds": 75}, "seed": 0}


class Recorder:
    """A tracker that remembers; with `broken`, its calls of that name fail."""

    def __init__(self, broken: str = "") -> None:
        self.broken, self.calls = broken, []

    def log(self, values, step) -> None:
        if self.broken == "log":
            raise ConnectionError("the server\nis down")
        self.calls.append((step, dict(values)))

    def finish(self, tags, status) -> None:
        if self.broken == "finish":
            raise OSError("disk full")
        self.calls.append((dict(tags), status))


def test_nothing_is_logged_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrackedRun, "begin", lambda *_: pytest.fail("a tracker was started"))
    with tracked(TrackingConfig(), "train", SETTINGS) as run:
        run.epoch("towers", 0, {"loss": 1.0})
        run.results({"ranking": {"saved": 0.5}})


def test_what_a_run_logs() -> None:
    recorder = Recorder()
    run = TrackedRun({"one": recorder}, {"model_id": "m1"})
    run.epoch("towers", 0, {"loss": 2.5, "validation_ndcg": float("nan")})
    run.epoch("text", 1, {"loss": 1.5})
    run.results({"ranking": {"saved": 0.25, "reads_towers": True, "losses": [0.5, 0.4]}, "note": "a text", "none": None})
    run.finish("FINISHED")
    assert recorder.calls == [
        (1, {"towers/loss": 2.5}),
        (2, {"text/loss": 1.5}),
        (0, {"ranking.saved": 0.25, "ranking.reads_towers": 1.0}),
        (0, {"ranking.losses": 0.5}),
        (1, {"ranking.losses": 0.4}),
        ({"model_id": "m1"}, "FINISHED"),
    ]


@pytest.mark.parametrize("broken", ["log", "finish"])
def test_a_tracker_that_fails_costs_one_line_and_the_others_go_on(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = Recorder(), Recorder(broken)
    run = TrackedRun({"mlflow": bad, "tensorboard": good})
    with caplog.at_level(logging.WARNING):
        for epoch in range(3):
            run.epoch("towers", epoch, {"loss": 1.0})
        run.finish("FINISHED")
    (line,) = [record.getMessage() for record in caplog.records]
    reason = "ConnectionError: the server is down" if broken == "log" else "OSError: disk full"
    assert line == f"note: tracking.mlflow: nothing more of this run is logged there: {reason}"
    assert len(good.calls) == 4


@pytest.mark.parametrize(("error", "status"), [(None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_how_a_run_ends(monkeypatch: pytest.MonkeyPatch, error, status: str) -> None:
    recorder = Recorder()
    monkeypatch.setattr("recsys.tracking.tensorboard_run.TensorboardRun.start", lambda *_: recorder)
    try:
        with tracked(TrackingConfig(tensorboard=Path("runs")), "train", SETTINGS) as run:
            assert run.trackers
            if error:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    assert recorder.calls == [({}, status)]


def test_tensorboard_files_hold_curves_settings_and_the_model(tmp_path: Path) -> None:
    with tracked(TrackingConfig(tensorboard=tmp_path / "runs"), "train", SETTINGS) as run:
        for epoch, loss in enumerate((3.0, 2.0)):
            run.epoch("towers", epoch, {"loss": loss})
        run.tags["model_id"] = "m1"
    with tracked(TrackingConfig(tensorboard=tmp_path / "runs"), "tune towers trial 1", {}):
        pass
    first, second = sorted((tmp_path / "runs").iterdir())
    assert (first.name.startswith("train-"), second.name.startswith("tune-towers-trial-1-")) == (True, True)
    events = EventAccumulator(str(first))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("towers/loss")] == [(1, 3.0), (2, 2.0)]
    texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]}
    assert "| train.lr | 0.003 |" in texts["settings/text_summary"]
    assert "| model_id | m1 |" in texts["run/text_summary"]


MLFLOW = """
import socket, sys, threading, warnings
from pathlib import Path

warnings.simplefilter("error")
asked = []
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, lambda self, *where: asked.append(where) or (_ for _ in ()).throw(OSError("no network")))
socket.getaddrinfo = lambda *where, **more: asked.append(where) or (_ for _ in ()).throw(OSError("no network"))

from recsys.settings.tracking import TrackingConfig
from recsys.tracking.run import tracked

folder = Path(sys.argv[1])
config = TrackingConfig(mlflow=str(folder / "runs"), experiment="shop")
with tracked(config, "train", {"train": {"lr": 0.003}, **{f"key{i}": i for i in range(150)}}) as run:
    assert run.trackers
    for epoch in range(2):
        run.epoch("towers", epoch, {"loss": 3.0 - epoch, "validation_ndcg@10": 0.5})
    run.tags["model_id"] = "m1"
    assert run.trackers, "logging failed"
with tracked(config, "evaluate", {}):
    pass
from mlflow.telemetry.utils import is_telemetry_disabled
from mlflow.tracking import MlflowClient

client = MlflowClient(f"sqlite:///{folder / 'runs' / 'mlflow.db'}")
(experiment,) = client.search_experiments(filter_string="name = 'shop'")
runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
assert set(runs) == {"train", "evaluate"}
train = runs["train"]
assert train.info.status == "FINISHED"
assert train.data.params["train.lr"] == "0.003" and len(train.data.params) == 151
assert train.data.tags["model_id"] == "m1"
history = client.get_metric_history(train.info.run_id, "towers/loss")
assert [(metric.step, metric.value) for metric in history] == [(1, 3.0), (2, 2.0)]
assert "towers/validation_ndcg_10" in train.data.metrics
assert is_telemetry_disabled()
assert asked == [], asked
assert [path.name for path in folder.iterdir()] == ["runs"], "nothing beside the folder"
print("done", threading.active_count())
"""


def test_mlflow_in_a_folder_needs_no_network_and_has_no_telemetry(tmp_path: Path) -> None:
    """In a process of its own: variables are read when MLflow is imported."""
    (tmp_path / "here").mkdir()
    done = subprocess.run([sys.executable, "-c", MLFLOW, str(tmp_path / "here")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["done", "1"]
    assert not (ROOT / "mlruns").exists()
    assert not (ROOT / "mlflow.db").exists()


def test_a_missing_library_is_one_line_that_names_the_extra(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with caplog.at_level(logging.WARNING), tracked(TrackingConfig(mlflow="runs"), "train", {}) as run:
        assert not run.trackers
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("note: tracking.mlflow: nothing more of this run is logged there: this needs mlflow, which is not installed: ")
    assert 'pip install "two-tower-recsys[track]"' in line


def test_paths_are_relative_to_the_file_and_uris_stay(tmp_path: Path) -> None:
    config = tmp_path / "recsys.toml"
    config.write_text('[tracking]\nmlflow = "runs"\ntensorboard = "runs/events"\n', encoding="utf-8")
    found = load_settings(config).tracking
    assert (found.mlflow, found.tensorboard) == (str(tmp_path / "runs"), tmp_path / "runs" / "events")
    for uri in ("http://mlflow.example:5000", "sqlite:////data/mlflow.db", "databricks", "databricks://profile"):
        config.write_text(f'[tracking]\nmlflow = "{uri}"\n', encoding="utf-8")
        assert load_settings(config).tracking.mlflow == uri
    config.write_text('[tracking]\ntensorboard = "databricks"\n', encoding="utf-8")
    assert load_settings(config).tracking.tensorboard == tmp_path / "databricks"


@pytest.mark.parametrize("uri", ["s3://bucket/runs", "gs://bucket", "file:///data/runs"])
def test_tensorboard_takes_a_folder_and_no_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    config = tmp_path / "recsys.toml"
    config.write_text(f'[tracking]\ntensorboard = "{uri}"\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(config)
    said = f"tracking.tensorboard is {uri!r}, expected a folder on a disk"
    assert str(caught.value).startswith(f"{config}: {said}")
    assert "\n" not in str(caught.value)
    config.write_text("", encoding="utf-8")
    monkeypatch.setenv("RECSYS_TRACKING__TENSORBOARD", uri)
    with pytest.raises(ConfigError, match=said):
        load_settings(config)


def test_a_training_is_logged_with_its_model_and_another_is_not(spare, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr("recsys.tracking.tensorboard_run.TensorboardRun.start", lambda *_: recorder)
    settings = spare.settings.model_copy(update={"tracking": TrackingConfig(tensorboard=spare.folder / "runs")})
    assert "is already there" in find_or_train.train(spare.workspace, settings, TrainOptions())  # a tracker changes no model
    assert recorder.calls == []
    until = find_or_train.moment(spare.workspace.load()[1].end - 86_400 * 20)
    message = find_or_train.train(spare.workspace, settings, TrainOptions(until=find_or_train.datetime.fromisoformat(until)))
    curve = [(step, values["towers/validation_ndcg"]) for step, values in recorder.calls[:2]]
    assert [step for step, _ in curve] == [1, 2]
    tags, status = recorder.calls[-1]
    assert status == "FINISHED"
    assert tags["model_id"] in message
    logged = {name for call in recorder.calls[:-1] for name in call[1]}
    assert {"towers/loss", "text/loss", "ranking.candidates_hold", "towers.validation_ndcg@10"} <= logged


def test_an_evaluation_is_logged(spare, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr("recsys.tracking.tensorboard_run.TensorboardRun.start", lambda *_: recorder)
    report = SimpleNamespace(metrics={"ndcg@10": SimpleNamespace(value=0.25)}, cut="2024-06-28", bundle_id=None)
    monkeypatch.setattr("recsys.offline.evaluate.evaluate", lambda *_: report)
    shop = type(spare.shop)(
        spare.workspace, spare.settings.model_copy(update={"tracking": TrackingConfig(tensorboard=spare.folder / "runs")})
    )
    assert shop.evaluate() is report
    assert recorder.calls == [(0, {"ndcg@10": 0.25}), ({"cut": "2024-06-28", "bundle_id": "None"}, "FINISHED")]


def test_nested_settings_become_dotted_keys() -> None:
    assert flat({"a": {"b": {"c": 1}, "d": [1]}, "e": None}) == {"a.b.c": 1, "a.d": [1], "e": None}
