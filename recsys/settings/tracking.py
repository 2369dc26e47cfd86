"""Where trainings, searches of settings and evaluations are logged as experiments."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class TrackingConfig(BaseModel):
    """Trackers of experiments; none is used unless it is named here.

    Attributes
    ----------
    mlflow : a folder, or the URI of an MLflow server or database; nothing is sent over a network unless the URI is one of a network.
    tensorboard : the folder of TensorBoard's event files, one folder a run in it.
    experiment : the name of the experiment in MLflow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    mlflow: str | None = Field(default=None, min_length=1)
    tensorboard: Path | None = None
    experiment: str = Field(default="recsys", min_length=1)
