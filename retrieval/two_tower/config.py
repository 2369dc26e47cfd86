"""Sizes of the towers: read by the user tower's readers and by the towers themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TowerConfig(BaseModel):
    """Sizes of the towers. dim: of the shared space. history: how much of a user's past is read, newest first.

    user_encoder: reads histories as a "set" of distinct items or as a "sequence" of events; "auto" lets the shop's log decide
    (`recsys.settings.auto`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    dim: int = Field(default=128, ge=8)
    hidden: int = Field(default=128, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    history: int = Field(default=64, ge=1)
    user_encoder: Literal["auto", "set", "sequence"] = "auto"


class TrainConfig(BaseModel):
    """How the towers are fitted. users, positives (a user), negatives (a batch), hard_negatives (a user, mined anew every epoch).

    tuning: of the encoder; "auto" takes upper on a CPU, on a GPU lora with the quick preset and full with the full one.
    moments: of the past at which a batch's users stand, where towers read sets.
    id_dropout: how often the vectors that are learned of single items are hidden, so that those without one are served as well.
    last_epochs: of towers that read sequences, on everything, after all else is fitted.
    epochs: of the towers alone; tuned_epochs: with the encoder. texts_a_step: how many texts a step tunes on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    users: int = Field(default=128, ge=1)
    moments: int = Field(default=32, ge=1)
    positives: int = Field(default=8, ge=1)
    negatives: int = Field(default=2048, ge=1)
    hard_negatives: int = Field(default=0, ge=0)
    lr: float = Field(default=3e-3, gt=0)
    encoder_lr: float = Field(default=2e-5, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    id_dropout: float = Field(default=0.2, ge=0, lt=1)
    warmup: float = Field(default=0.05, ge=0, le=1)
    epochs: int = Field(default=6, ge=1)
    tuned_epochs: int = Field(default=1, ge=0)
    last_epochs: int = Field(default=0, ge=0)
    steps_per_epoch: int = Field(default=40, ge=1)
    patience: int = Field(default=3, ge=1)
    tuning: Literal["auto", "frozen", "upper", "lora", "full"] = "auto"
    texts_a_step: int = Field(default=256, ge=1)
    accumulate: int = Field(default=1, ge=1)
