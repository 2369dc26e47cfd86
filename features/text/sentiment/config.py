"""Configuration of the sentiment classifier, in a module without torch, so that reading a configuration is fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SentimentConfig(BaseModel):
    """Input size and training parameters of the sentiment classifier.

    Attributes
    ----------
    layers : top layers of the text encoder that are trained, at most all; the layers below are frozen, and their states are kept.
    max_tokens : first tokens of a review that are read.
    rows : reviews that the encoder's layers are trained on at most. Of the largest classes, a sample is drawn; calibration restores shares.
    word_rows : reviews at most of which the words, and the held-out rows, are drawn.
    held_out : share of the reviews that calibrates and does not train.
    settled : probability from which the words alone decide, and the encoder does not read the review.
    few : with fewer labels in any class, the classifier is trained in the few-shot way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    layers: int = Field(default=3, ge=1)
    max_tokens: int = Field(default=128, ge=4, le=512)
    rows: int = Field(default=6_000, ge=1)
    word_rows: int = Field(default=50_000, ge=1)
    held_out: float = Field(default=0.1, gt=0, lt=1)
    settled: float = Field(default=0.9, gt=0.5, le=1)
    few: int = Field(default=100, ge=2)
    epochs: int = Field(default=2, ge=1)
    batch: int = Field(default=16, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    head_lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, gt=0, lt=1)
