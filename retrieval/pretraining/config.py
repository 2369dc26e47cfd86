"""Configuration of the pre-training of the text encoder, in a module without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PretrainConfig(BaseModel):
    """How the text encoder's upper layers are trained on the shop before the towers.

    Attributes
    ----------
    steps : steps of training, at most; 0 leaves the encoder as it is.
    batch : pairs a step.
    lr : peak learning rate.
    temperature : of the softmax over a batch.
    patience : checks without a gain that end the training; there are six checks.
    pairs : pairs of a kind that are trained on, at most.
    together_days : days within which the purchases of one customer count as bought together; 0: in one order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    steps: int = Field(default=0, ge=0)
    batch: int = Field(default=64, ge=2)
    lr: float = Field(default=1e-4, gt=0)
    temperature: float = Field(default=0.05, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    patience: int = Field(default=2, ge=1)
    pairs: int = Field(default=6_000, ge=1)
    together_days: float = Field(default=7.0, ge=0)
