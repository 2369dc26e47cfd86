"""A message: pieces of a template's text and of facts, in order."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.wording.facts import Fact, escape_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Piece:
    """A stretch of a message's text, and the fact that it writes; None for the template's own words."""

    text: str
    fact: Fact | None = None


@dataclass(frozen=True)
class Message:
    """What is said to a customer.

    Attributes
    ----------
    key : str
        The template's key.
    language : str
        The language that it is written in.
    pieces : tuple of Piece
        The text in order.
    wording : str or None
        The same said in other words by a language model, checked against the facts; None where the template's text is what is said.
    """

    key: str
    language: str
    pieces: tuple[Piece, ...]
    wording: str | None = None

    @property
    def text(self) -> str:
        """The text as it is shown, without markup of any kind."""
        return self.template_text if self.wording is None else self.wording

    @property
    def template_text(self) -> str:
        """The text of template and facts."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts that the text states, in order."""
        return tuple(piece.fact for piece in self.pieces if piece.fact is not None)

    @property
    def markdown(self) -> str:
        """The text for a place that reads Markdown: nothing in it acts as markup."""
        return escape_markdown(self.text)

    @property
    def html(self) -> str:
        """The text for a place that reads HTML."""
        return html.escape(self.text).replace("\n", "<br>")


def joined(messages: Sequence[Message], separator: str = "\n") -> Message:
    """Return several messages as one, which has the key and the language of the first.

    Raises
    ------
    ValueError
        If there is no message.
    """
    if not messages:
        raise ValueError("no message to join")
    pieces = [piece for message in messages for piece in (Piece(separator), *message.pieces)][1:]
    return Message(messages[0].key, messages[0].language, tuple(pieces))
