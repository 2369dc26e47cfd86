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
    passes : examples that pass through the trained layers in all, within the limits of epochs.
    fewest_epochs, most_epochs : limits of the passes of each example.
    temperature : of the contrastive loss.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    layers: int = Field(default=3, ge=1)
    max_tokens: int = Field(default=64, ge=4, le=512)
    refused: float = Field(default=0.05, gt=0, lt=1)
    passes: int = Field(default=10_000, ge=1)
    fewest_epochs: int = Field(default=3, ge=1)
    most_epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=64, ge=4)
    lr: float = Field(default=1e-4, gt=0)
    head_lr: float = Field(default=1e-3, gt=0)
    temperature: float = Field(default=0.07, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, gt=0, lt=1)

    def epochs(self, examples: int) -> int:
        """Return how often each of so many examples passes through the layers."""
        return min(max(round(self.passes / max(examples, 1)), self.fewest_epochs), self.most_epochs)
