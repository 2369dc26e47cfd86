"""Configuration of the training of search's query side, in a module without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class QueryTowerConfig(BaseModel):
    """How the queries' side of search is trained.

    Attributes
    ----------
    steps : steps of training, at most; 0 leaves it as the encoder is.
    batch : pairs a step.
    lr : peak learning rate.
    temperature : of the softmax over texts.
    negatives : texts a query that BM25 finds and that are no known positive.
    patience : checks without a gain that end the training; there are six checks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    steps: int = Field(default=400, ge=0)
    batch: int = Field(default=64, ge=2)
    lr: float = Field(default=1e-4, gt=0)
    temperature: float = Field(default=0.05, gt=0)
    negatives: int = Field(default=2, ge=0, le=20)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    patience: int = Field(default=2, ge=1)
