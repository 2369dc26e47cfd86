"""What the assistant replies. An answer, a question and a hand-over are three fields, and exactly one of them is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.dialogue.commands import Command, HandOverReason
    from recsys.dialogue.state import DialogueState
    from recsys.wording.message import Message


@dataclass(frozen=True)
class Statement:
    """Something that is said, and where it comes from.

    Attributes
    ----------
    message : the text with its facts; each fact names its source.
    """

    message: Message

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        facts = [{"name": fact.name, "value": _plain(fact.value), "source": fact.source} for fact in self.message.facts if fact.source]
        return {"text": self.message.text, "facts": facts}


@dataclass(frozen=True)
class Answer:
    """Statements, and the products that they are of, in the order in which the customer may number them."""

    statements: tuple[Statement, ...]
    items: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {"statements": [one.to_dict() for one in self.statements], "items": list(self.items)}


@dataclass(frozen=True)
class Question:
    """What the assistant asks.

    Attributes
    ----------
    slot : that it asks for; None where it asks what was meant.
    options : among which the customer may choose.
    """

    message: Message
    slot: str | None = None
    options: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {"text": self.message.text, "slot": self.slot, "options": list(self.options)}


@dataclass(frozen=True)
class HandedOver:
    """A person takes over."""

    message: Message
    reason: HandOverReason

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {"text": self.message.text, "reason": self.reason}


@dataclass(frozen=True)
class Reply:
    """The reply to a message.

    Attributes
    ----------
    commands : what was understood.
    content : what is replied.
    state : after the turn.
    answered : whether the customer got what was asked for; False for "the shop does not say".
    """

    conversation: str
    bundle_id: str
    commands: tuple[Command, ...]
    content: Answer | Question | HandedOver
    state: DialogueState
    answered: bool = True

    @property
    def newly_handed_over(self) -> bool:
        """Whether a person takes over from this turn on."""
        return isinstance(self.content, HandedOver) and self.content.message.key != "still_handed_over"

    @property
    def text(self) -> str:
        """All that is said."""
        if isinstance(self.content, Answer):
            return "\n".join(one.message.text for one in self.content.statements)
        return self.content.message.text

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {
            "conversation": self.conversation,
            "turn": self.state.turn,
            "bundle_id": self.bundle_id,
            "language": self.state.language,
            "commands": [command.model_dump(exclude_defaults=False) for command in self.commands],
            "text": self.text,
            "answer": self.content.to_dict() if isinstance(self.content, Answer) else None,
            "question": self.content.to_dict() if isinstance(self.content, Question) else None,
            "hand_over": self.content.to_dict() if isinstance(self.content, HandedOver) else None,
            "answered": self.answered,
            "state": self.state.model_dump(exclude={"transcript", "tried"}),
        }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)
