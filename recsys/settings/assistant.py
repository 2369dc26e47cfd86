"""Configuration of the assistant."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  pydantic reads the annotations
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HookSlot(_Section):
    """A slot of an HTTP hook, see `recsys.dialogue.tools.Slot`."""

    name: str = Field(min_length=1, pattern=r"^[a-z_]+$")
    kind: Literal["order_number", "date", "price", "size", "product", "text"]
    required: bool = True


class HookConfig(_Section):
    """A tool that an HTTP hook of the shop serves.

    Attributes
    ----------
    name : of the flow.
    url : that the slots are posted to.
    secret : sent as a bearer token; better set by the environment than in a file.
    examples : how customers ask for it, a few in each language.
    slots : what it must be told, in the order in which they are asked for.
    needs_user : whether it only serves customers who are signed in.
    result : JSON schema of the reply.
    texts : ISO 639-1 code -> what to say, with the names of the reply's values in braces.
    seconds : after which the hook has failed.
    """

    name: str = Field(min_length=1, pattern=r"^[a-z_]+$")
    url: HttpUrl
    secret: SecretStr | None = None
    examples: tuple[str, ...] = Field(min_length=1)
    slots: tuple[HookSlot, ...] = ()
    needs_user: bool = True
    result: dict[str, Any]
    texts: dict[str, str] = Field(min_length=1)
    seconds: float = Field(default=3.0, gt=0)


class AssistantConfig(_Section):
    """The section [assistant].

    Attributes
    ----------
    languages : that the assistant writes, as ISO 639-1 codes; the first where the customer's is not known, or has no texts.
    templates : file of the shop's own texts, see docs/assistant.md.
    answer_from : probability from which a help page answers.
    flow_from : probability from which a message starts a flow.
    evidence_from : probability from which a text of a product answers a question about it.
    failures : turns in a row without an answer, after which a person takes over.
    tools : HTTP hooks.
    tool_seconds : after which a tool has failed.
    products : that a list shows.
    keep_days : how long conversations are kept.
    """

    languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    templates: Path | None = None
    answer_from: float = Field(default=0.5, ge=0, le=1)
    flow_from: float = Field(default=0.5, ge=0, le=1)
    evidence_from: float = Field(default=0.5, ge=0, le=1)
    failures: int = Field(default=3, ge=1)
    tools: tuple[HookConfig, ...] = ()
    tool_seconds: float = Field(default=4.0, gt=0)
    products: int = Field(default=5, ge=1, le=20)
    keep_days: float = Field(default=30.0, gt=0)
