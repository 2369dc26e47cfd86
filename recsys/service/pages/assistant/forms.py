"""Reads the forms of the chat and of the page of questions, and refuses those that another website sends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import HTTPException, Request
from pydantic import Field, field_validator

from features.text.languages.names import ENGLISH_NAMES
from recsys.apps.assistant.request import MOST_CHARACTERS
from recsys.service.assistant.schemas import Conversation  # noqa: TC001  pydantic reads the annotations
from recsys.service.pages.form import FieldsForm
from recsys.service.schemas import Id  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recsys.dialogue.conversations import TurnRecord

MOST_OF_ANSWER = 4_000  # characters
_LINK = re.compile(r"(https?://|/(?!/))\S+")
_TURN = re.compile(r"([A-Za-z0-9_-]{1,64}):(\d{1,7})")


def own_site(request: Request) -> None:
    """A FastAPI dependency that refuses forms which another website sends in a visitor's name.

    The cookie of a session is not sent with these, but loopback needs none while there are no keys.

    Raises
    ------
    HTTPException
        403 where the browser says so; all browsers do, over https and on loopback.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "the form was sent by another website: open the page and send it from there")


class ChatForm(FieldsForm):
    """The form of the chat: a message, or a thumb for an answer.

    Attributes
    ----------
    asked_for : the customer whom the page was shown for. With another one a new conversation begins.
    new : forget the conversation.
    """

    text: str = Field(default="", max_length=MOST_CHARACTERS)
    conversation: Conversation | None = None
    user: Id | None = None
    asked_for: Id | None = None
    thumb: Literal["up", "down"] | None = None
    turn: int | None = Field(default=None, ge=1, le=1_000_000)
    new: bool = False

    @property
    def continued(self) -> str | None:
        """The conversation that the form continues; None where one begins."""
        return None if self.new or self.user != self.asked_for else self.conversation


class QuestionForm(FieldsForm):
    """The forms of the page of questions: add an answer, take one away, take questions off a list, or give a conversation back."""

    LISTS = ("turn",)
    act: Literal["add", "remove", "done", "back"] = "add"
    conversation: Conversation | None = None
    question: str = Field(default="", max_length=MOST_CHARACTERS)
    answer: str = Field(default="", max_length=MOST_OF_ANSWER)
    language: str | None = None
    link: str | None = Field(default=None, max_length=2_000)
    turn: tuple[Annotated[str, Field(pattern=f"^{_TURN.pattern}$")], ...] = Field(default=(), max_length=3_000)
    number: int | None = Field(default=None, ge=1, le=2**53)

    @field_validator("language")
    @classmethod
    def _known(cls, language: str | None) -> str | None:
        if language is not None and language not in ENGLISH_NAMES:
            raise ValueError("expected a code such as en")
        return language

    @field_validator("link")
    @classmethod
    def _address(cls, link: str | None) -> str | None:
        if link is not None and not _LINK.fullmatch(link):
            raise ValueError("expected an address that begins with https:// or /")
        return link

    @property
    def turns(self) -> list[tuple[str, int]]:
        """Conversation and number of each turn."""
        return [(found[1], int(found[2])) for found in map(_TURN.fullmatch, self.turn) if found]

    @property
    def lacks(self) -> str:
        """What the form lacks, in one line; "" for nothing."""
        if self.act == "back":
            return "" if self.conversation else "the conversation to give back is missing: send the form from the page"
        if self.act != "add":
            return ""
        lacking = [name for name in ("question", "answer") if not getattr(self, name)]
        if not lacking:
            return ""
        return f"the {' and the '.join(lacking)} {'are' if len(lacking) > 1 else 'is'} empty: write what customers ask, and what to say"


def turn_key(turn: TurnRecord) -> str:
    """Return the field of a turn in a form."""
    return f"{turn.conversation}:{turn.turn}"


def turn_keys(turns: Iterable[TurnRecord]) -> list[str]:
    """Return the fields of turns."""
    return [turn_key(turn) for turn in turns]
