"""A run in MLflow, by its client alone: no global state, no artifacts, no telemetry."""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from recsys.settings.tracking import is_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

# Read when MLflow is first imported; it has telemetry since version 3.
SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_UNKNOWN = re.compile(r"[^\w\-./: ]")  # MLflow refuses such characters in names
AT_ONCE = 100  # parameters of a request, at most
LONGEST = 500  # characters of a parameter


@dataclass(frozen=True)
class MlflowRun:
    """Implements `recsys.tracking.run.Tracker`."""

    client: Any
    run_id: str

    @classmethod
    def start(cls, where: str, experiment: str, name: str, settings: Mapping[str, Any]) -> Self:
        """Start a run.

        Parameters
        ----------
        where : URI, or a folder, whose runs go to a database mlflow.db in it: MLflow no longer maintains its store of plain files.
        """
        with warnings.catch_warnings():  # of MLflow's own libraries
            warnings.simplefilter("ignore")
            client = _client(where)
            found = client.get_experiment_by_name(experiment)
            experiment_id = found.experiment_id if found else client.create_experiment(experiment, _artifacts(where))
            run_id = client.create_run(experiment_id, run_name=name).info.run_id
            from mlflow.entities import Param

            params = [Param(_UNKNOWN.sub("_", key), str(value)[:LONGEST]) for key, value in settings.items()]
            for begin in range(0, len(params), AT_ONCE):
                client.log_batch(run_id, params=params[begin : begin + AT_ONCE])
        return cls(client, run_id)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log the values of a step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.client.log_batch(
                self.run_id, metrics=[Metric(_UNKNOWN.sub("_", name), value, now, step) for name, value in values.items()]
            )

    def finish(self, tags: Mapping[str, str], status: str) -> None:
        """End the run."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, value in tags.items():
                self.client.set_tag(self.run_id, name, value)
            self.client.set_terminated(self.run_id, status)


def _client(where: str) -> Any:
    os.environ.update(SILENT)
    # Ten minutes of retries are the default, and the training waits meanwhile.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=_uri(where))


def _uri(where: str) -> str:
    if is_uri("mlflow", where):
        return where
    folder = Path(where).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def _artifacts(where: str) -> str | None:
    """Return where artifacts of an experiment in a folder would go; MLflow's own choice is the current folder."""
    return None if is_uri("mlflow", where) else (Path(where).absolute() / "artifacts").as_uri()
