"""Defines the bodies of messages to the assistant and of what customers think of its answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from recsys.apps.assistant.request import CONVERSATION, MOST_CHARACTERS
from recsys.dialogue.commands import HandOverReason
from recsys.service.schemas import Answered, Body, Id

Conversation = Annotated[
    str,
    Field(
        pattern=f"^{CONVERSATION.pattern}$",
        max_length=64,
        description="names the conversation; whoever knows a visitor's can continue it, so take a random one",
    ),
]
_NAME = "q0H3bXo5mV1gQd8yZr2uJw"


class AssistantBody(Body):
    """A message to the assistant."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "How long does delivery take?"},
                {"text": "something cheaper", "conversation": _NAME, "user": "123"},
            ]
        }
    )

    text: str = Field(min_length=1, max_length=MOST_CHARACTERS, pattern=r"\S", description="the message, as typed")
    conversation: Conversation | None = Field(default=None, description="that the message continues; without it one begins")
    user: Id | None = Field(default=None, description="whom the shop has signed in; an id in the text is never taken for it")


class RatingBody(Body):
    """What a customer thinks of an answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"conversation": _NAME, "turn": 1, "thumb": "up", "user": "123"}]})

    conversation: Conversation
    turn: int = Field(ge=1, le=1_000_000, description="as the answer gave it")
    thumb: Literal["up", "down"]
    user: Id | None = Field(default=None, description="as in the message")


class HandBackBody(Body):
    """A conversation that the assistant is to answer again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"conversation": _NAME}]})

    conversation: Conversation = Field(description="as the queue or the webhook names it")


class StatedFact(BaseModel):
    """A value that a statement holds, and where it comes from."""

    name: str = Field(examples=["price"])
    value: str | float | bool = Field(examples=[2.5])
    source: str = Field(examples=["catalogue"])


class Stated(BaseModel):
    """Something that is said."""

    text: str = Field(examples=["1. herbal infusion small, 2.00"])
    facts: list[StatedFact]


class Answers(BaseModel):
    """What is answered; `items` are the products in the order in which the customer may number them."""

    statements: list[Stated]
    items: list[str] = Field(examples=[["sku-02"]])


class Asks(BaseModel):
    """What the assistant asks."""

    text: str = Field(examples=["What is your order number?"])
    slot: str | None = Field(description="what it asks for; null where it asks what was meant")
    options: list[str]


class HandsOver(BaseModel):
    """A person takes over."""

    text: str
    reason: HandOverReason


class Replied(Answered):
    """The reply. Exactly one of `answer`, `question` and `hand_over` is there."""

    conversation: str = Field(examples=[_NAME])
    turn: int = Field(examples=[1])
    language: str | None = Field(examples=["en"])
    commands: list[dict[str, Any]] = Field(description="what was understood")
    text: str = Field(description="all that is said")
    answer: Answers | None
    question: Asks | None
    hand_over: HandsOver | None
    answered: bool = Field(description="whether the customer got what was asked for")
    state: dict[str, Any] = Field(description="what is understood so far")


class HandedBack(Answered):
    """The assistant answers again."""

    conversation: str
    turn: int = Field(description="in which the customer is told so")
    text: str = Field(examples=["My colleague has given this conversation back to me. What else can I do for you?"])


class Rated(Answered):
    """The thumb is stored."""

    conversation: str
    turn: int
    thumb: Literal["up", "down"]
