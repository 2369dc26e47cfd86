"""Settings of the two towers on ids alone, in a module that does not import torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class IdTowersConfig(BaseModel):
    """Settings of the two towers on ids alone.

    Attributes
    ----------
    epochs : epochs of 40 batches
    lr : learning rate of AdamW
    history : distinct items of a user's history that are encoded, newest first
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    epochs: int = Field(default=6, ge=1)
    lr: float = Field(default=3e-3, gt=0)
    history: int = Field(default=64, ge=1)
    seed: int = 0
