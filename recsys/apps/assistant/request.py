"""A message to the assistant."""

from __future__ import annotations

import re
from dataclasses import dataclass

from features.errors import DataError

MOST_CHARACTERS = 2_000  # of a message: more is no question
CONVERSATION = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class AssistantRequest:
    """What a customer writes.

    Attributes
    ----------
    text : the message.
    conversation : names the conversation; the caller draws it.
    user : whom the shop has signed in; None for a visitor. A name or an id in the text is never taken for it.

    Raises
    ------
    DataError
        The message is empty or too long, or the conversation's name has other characters.
    """

    text: str
    conversation: str
    user: str | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise DataError("the message is empty: ask something")
        if len(self.text) > MOST_CHARACTERS:
            raise DataError(f"the message has {len(self.text):,} characters, expected at most {MOST_CHARACTERS:,}: shorten it")
        if not CONVERSATION.fullmatch(self.conversation):
            raise DataError("the name of the conversation is not 1 to 64 letters, digits, - and _: take a random one")
