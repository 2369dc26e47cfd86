"""Where trainings, searches of settings and evaluations are logged as experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator


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

    @field_validator("tensorboard", mode="before")
    @classmethod
    def _on_a_disk(cls, value: Any) -> Any:
        if isinstance(value, str) and is_uri("tensorboard", value):
            raise ValueError(f'is {value!r}, expected a folder on a disk, such as "runs": mount the storage, and give its folder')
        return value


def is_uri(key: str, where: str) -> bool:
    """Return whether the value of a key is a URI rather than a path; "databricks" is one to MLflow."""
    return "://" in where or (key, where) == ("mlflow", "databricks")
