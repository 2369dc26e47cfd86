"""Lets a language model reword a message, and keeps the wording only if it says the same.

Any server with OpenAI's /v1/chat/completions does. Nothing is sent unless an address is configured, and personal data never is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from recsys.wording.checking.checker import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.wording.message import Message

Outcome = Literal["off", "accepted", "timeout", "http_error", "nonsense", "refused"]


@dataclass(frozen=True)
class Rephraser:
    """Rewords messages.

    Attributes
    ----------
    ask : callable or None
        Gives the server's words for a text and its language; None leaves all messages as they are.
    count : callable
        Is told the outcome of each message, for a metric.
    """

    ask: Callable[[str, str], str] | None = None
    count: Callable[[Outcome], None] = lambda _: None

    def reword(self, message: Message) -> Message:
        """Return the message with a checked wording, or as it is."""
        if self.ask is None:
            return message
        wording = self.ask(message.template_text, message.language)
        return message if check(wording, message) else replace(message, wording=wording)
