"""Configuration of the cross-encoder, in a module of its own so that reading it imports no torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CrossEncoderConfig(BaseModel):
    """Input size and training parameters of the cross-encoder.

    Attributes
    ----------
    rerank_depth : candidates a user that are reranked, the best of the base booster.
    history_items : newest distinct items of the history.
    item_tokens : first tokens of each item's text.
    users : users of one epoch.
    positives, negatives : candidates a user in one epoch, at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    rerank_depth: int = Field(default=12, ge=1)
    history_items: int = Field(default=10, ge=1)
    item_tokens: int = Field(default=16, ge=2)
    users: int = Field(default=600, ge=1)
    positives: int = Field(default=6, ge=1)
    negatives: int = Field(default=10, ge=1)
    batch_users: int = Field(default=8, ge=1)
    epochs: int = Field(default=1, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    head_lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
