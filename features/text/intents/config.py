"""Configuration of the intent classifier, in a module without torch, so that reading a configuration is fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class IntentConfig(BaseModel):
    """Input size and training parameters of the intent classifier.

    Attributes
    ----------
    layers : top layers of the text encoder that are trained, at most all; the layers below are frozen, and their states are kept.
    max_tokens : first tokens of a text that are read.
    refused : share of texts with an intent that may be taken for texts with none.
    passes : examples that pass through the trained layers in all, where copies can reach that.
    epochs : passes of each example, and of each of its copies.
    copies : of each example, at most, with words left out; fewer where the examples alone make up the passes.
    left_out : share of the words that a copy lacks.
    temperature : of the contrastive loss.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    layers: int = Field(default=3, ge=1)
    max_tokens: int = Field(default=64, ge=4, le=512)
    refused: float = Field(default=0.05, gt=0, lt=1)
    passes: int = Field(default=10_000, ge=1)
    epochs: int = Field(default=3, ge=1)
    copies: int = Field(default=3, ge=0)
    left_out: float = Field(default=0.15, ge=0, lt=1)
    batch: int = Field(default=64, ge=4)
    lr: float = Field(default=1e-4, gt=0)
    head_lr: float = Field(default=1e-3, gt=0)
    temperature: float = Field(default=0.07, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, gt=0, lt=1)

    def copies_of(self, examples: int) -> int:
        """Return how many copies are made of each of so many examples."""
        return min(max(self.passes // (self.epochs * max(examples, 1)) - 1, 0), self.copies)
