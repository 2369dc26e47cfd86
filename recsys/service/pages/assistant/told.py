"""Shows a reply: its text with links to products, and the source of each statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.apps.assistant.answers import Answer, HandedOver
from recsys.wording.facts import FactKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.apps.assistant.answers import Reply
    from recsys.dialogue.state import DialogueState
    from recsys.wording.message import Message


@dataclass(frozen=True)
class Span:
    """A stretch of text; `item` is the product that it names, `link` an address that it is."""

    text: str
    item: str = ""
    link: str = ""


@dataclass(frozen=True)
class ToldSource:
    """Where values come from: a name such as "catalogue", the product they are of, and the values by name."""

    name: str
    item: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ToldTurn:
    """A turn as the chat shows it.

    Attributes
    ----------
    spans : of each statement; those of earlier turns are text alone.
    reason : why a person takes over; None otherwise.
    commands : what was understood, as JSON; "" of an earlier turn.
    """

    number: int
    customer: str
    spans: tuple[tuple[Span, ...], ...]
    sources: tuple[ToldSource, ...] = ()
    items: tuple[str, ...] = ()
    reason: str | None = None
    answered: bool = True
    commands: tuple[str, ...] = ()


def earlier_turns(state: DialogueState) -> list[ToldTurn]:
    """Return the turns that a state remembers, as text."""
    first = state.turn - len(state.transcript) + 1
    return [ToldTurn(number, turn.customer, ((Span(turn.assistant),),)) for number, turn in enumerate(state.transcript, first)]


def last_turn(reply: Reply) -> ToldTurn:
    """Return the turn of a reply."""
    content = reply.content
    messages = [one.message for one in content.statements] if isinstance(content, Answer) else [content.message]
    items = content.items if isinstance(content, Answer) else ()
    return ToldTurn(
        reply.state.turn,
        reply.state.transcript[-1].customer,
        tuple(_spans(message) for message in messages),
        tuple(source for message in messages for source in _sources(message)),
        items if any(message.wording is not None for message in messages) else (),
        content.reason if isinstance(content, HandedOver) else None,
        reply.answered,
        tuple(command.model_dump_json(exclude_defaults=False) for command in reply.commands),
    )


def _spans(message: Message) -> tuple[Span, ...]:
    if message.wording is not None:
        return (Span(message.wording),)
    spans: list[Span] = []
    for piece in message.pieces:
        fact = piece.fact
        if fact is not None and fact.kind == FactKind.NAME and fact.name == "name" and fact.about:
            spans.append(Span(piece.text, item=fact.about))
        elif fact is not None and fact.kind == FactKind.LINK and piece.text.startswith(("https://", "http://")):
            spans.append(Span(piece.text, link=piece.text))
        else:
            spans.append(Span(piece.text))
    return tuple(spans)


def _sources(message: Message) -> Sequence[ToldSource]:
    values: dict[tuple[str, str], dict[str, str]] = {}
    for piece in message.pieces:
        if piece.fact is not None and piece.fact.source:
            values.setdefault((piece.fact.source, piece.fact.about), {})[piece.fact.name] = piece.text
    return [ToldSource(name, item, tuple(found.items())) for (name, item), found in values.items()]
