"""Configuration of the intent classifier, in a module without torch, so that reading a configuration is fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class IntentConfig(BaseModel):
    """Input size and training parameters of the intent classifier.

    Attributes
    ----------
    max_tokens : first tokens of a text that are read.
    refused : share of texts with an intent that may be taken for texts with none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_tokens: int = Field(default=64, ge=4, le=512)
    refused: float = Field(default=0.05, gt=0, lt=1)
