"""Settings of the assistant."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, HttpUrl


class AssistantConfig(BaseModel):
    """The section [assistant]. Nothing is sent anywhere unless `llm_url` is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: tuple[str, ...] = Field(
        default=("en",), min_length=1, description="languages of the shop; the first where a customer's has no template"
    )
    templates: Path | None = Field(default=None, description="file of the shop's own templates")
    llm_url: HttpUrl | None = Field(default=None, description="address of an OpenAI-compatible server that rephrases answers")
    llm_model: str = Field(default="default", min_length=1, description="name of its model")
    llm_key_variable: str = Field(default="ASSISTANT_LLM_KEY", min_length=1, description="environment variable that holds its key")
    llm_seconds: float = Field(default=2.0, gt=0, description="how long an answer waits for it, retries included")
    llm_retries: int = Field(default=1, ge=0, le=5, description="further tries after an error, within that time")
