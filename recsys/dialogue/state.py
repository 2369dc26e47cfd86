"""What has been understood in a conversation so far."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from recsys.dialogue.commands import HandOverReason

MOST_TURNS = 20  # that a transcript keeps; the counts go on


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Focus(_Part):
    """The search that the conversation is about.

    Attributes
    ----------
    words : what is looked for; empty for recommendations.
    without : words that no product may have.
    shown : ids of all products that were shown for it, in order.
    page : how many of these were shown last.
    """

    words: str = ""
    max_price: float | None = None
    min_price: float | None = None
    in_stock: bool = False
    without: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    page: int = 0

    @property
    def last(self) -> tuple[str, ...]:
        """The products that were shown last."""
        return self.shown[len(self.shown) - self.page :]


class Flow(_Part):
    """A flow that runs.

    Attributes
    ----------
    name : of the tool.
    slots : what is known, by name.
    asking : the slot that was asked for.
    asked : how often in a row.
    """

    name: str
    slots: dict[str, str] = {}
    asking: str | None = None
    asked: int = 0


class Turn(_Part):
    """What the customer wrote, with personal data masked, and what was answered. Nothing was written where a person handed back."""

    customer: str
    assistant: str


class DialogueState(_Part):
    """The state of a conversation.

    Attributes
    ----------
    language : that the customer writes in; None before it is known.
    turn : how many turns there were.
    product : id of the product that the conversation is about.
    offered : rows of the help pages that were offered in the last turn.
    pending : what was asked of a product in the last turn: it may be asked of the one that is named next.
    last_flow : tool that answered in the last turn: what it needs may be asked of it again.
    failures : turns in a row that were not understood or not answered.
    handed_over : why a person has taken over; None while the assistant answers.
    tried : commands that ran, the last ones, for the person who takes over.
    """

    language: str | None = None
    turn: int = 0
    focus: Focus | None = None
    product: str | None = None
    flow: Flow | None = None
    offered: tuple[int, ...] = ()
    pending: str | None = None
    last_flow: str | None = None
    failures: int = 0
    handed_over: HandOverReason | None = None
    transcript: tuple[Turn, ...] = ()
    tried: tuple[str, ...] = ()

    def handed_back(self, notice: str) -> DialogueState:
        """Return the state in which the assistant answers again; a turn in which only it speaks tells the customer so."""
        answering = self.model_copy(update={"handed_over": None, "failures": 0, "offered": (), "pending": None})
        return answering.told(Turn(customer="", assistant=notice), ("hand_back",))

    def told(self, turn: Turn, commands: tuple[str, ...]) -> DialogueState:
        """Return the state after a turn, with the last turns and commands kept."""
        return self.model_copy(
            update={
                "turn": self.turn + 1,
                "transcript": (*self.transcript, turn)[-MOST_TURNS:],
                "tried": (*self.tried, *commands)[-MOST_TURNS:],
            }
        )
