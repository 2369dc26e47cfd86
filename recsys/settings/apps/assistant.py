"""Settings of the assistant."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr

from features.text.intents.config import IntentConfig


class HookSlot(BaseModel):
    """A slot of an HTTP hook, see `recsys.dialogue.tools.Slot`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, pattern=r"^[a-z_]+$")
    kind: Literal["order_number", "date", "price", "size", "product", "text"]
    required: bool = True


class HookConfig(BaseModel):
    """A tool that an HTTP hook of the shop serves, see `recsys.dialogue.tools.Tool`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, pattern=r"^[a-z_]+$", description="of the flow")
    url: HttpUrl = Field(description="address that the slots are posted to")
    secret: SecretStr | None = Field(default=None, description="sent as a bearer token")
    examples: tuple[str, ...] = Field(min_length=1, description="how customers ask for it, a few in each language")
    slots: tuple[HookSlot, ...] = Field(default=(), description="what it must be told, in the order in which it is asked for")
    needs_user: bool = Field(default=True, description="whether it only serves customers who are signed in")
    result: dict[str, Any] = Field(description="JSON schema of the reply")
    texts: dict[str, str] = Field(min_length=1, description="ISO 639-1 code -> what to say, with names of the reply's values in braces")
    seconds: float = Field(default=3.0, gt=0, description="seconds after which the hook has failed")


class AssistantConfig(BaseModel):
    """The section [assistant]. Nothing is sent anywhere unless `llm_url` or a tool is set."""

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
    answer_from: float = Field(default=0.5, ge=0, le=1, description="probability from which a help page answers")
    flow_from: float = Field(default=0.5, ge=0, le=1, description="probability from which a message starts a flow")
    evidence_from: float = Field(default=0.65, ge=0, le=1, description="probability from which a product's text answers a question")
    hand_over_webhook: HttpUrl | None = Field(
        default=None, description="address to which conversations that a person must take over are posted as JSON"
    )
    intents: IntentConfig = IntentConfig()
    failures: int = Field(default=3, ge=1, description="turns in a row without an answer, after which a person takes over")
    tools: tuple[HookConfig, ...] = Field(default=(), description="HTTP hooks that flows call")
    tool_seconds: float = Field(default=4.0, gt=0, description="seconds after which any tool has failed")
    products: int = Field(default=5, ge=1, le=20, description="products in a list")
    keep_days: float = Field(default=30.0, gt=0, description="days for which a conversation is kept after its last turn")
