"""The closed set of commands that understanding may choose from; what follows a command is deterministic.

The design is that of Rasa's CALM ("Task-Oriented Dialogue with In-Context Learning", Bocklisch et al. 2024, section 3).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Attribute = Literal["price", "stock", "brand", "category", "description", "reviews"]
HandOverReason = Literal["human", "angry", "safety", "money", "unsure", "failures"]
SmallTalkKind = Literal["greeting", "thanks", "goodbye", "agreement", "refusal"]


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StartFlow(_Command):
    """Starts a flow, which fills the slots of a tool and then calls it."""

    command: Literal["start_flow"] = "start_flow"
    flow: str


class SetSlot(_Command):
    """Fills a slot of the flow that runs, or corrects one."""

    command: Literal["set_slot"] = "set_slot"
    slot: str
    value: str
    corrects: bool = False


class CancelFlow(_Command):
    """Ends the flow that runs without calling its tool."""

    command: Literal["cancel_flow"] = "cancel_flow"


class FindProducts(_Command):
    """Searches, or narrows what was searched before.

    Attributes
    ----------
    words : what to look for; empty for recommendations.
    max_price, min_price, in_stock, without : conditions that hold from now on; None and empty change nothing.
    more : the next products of the same list.
    refines : the words of the last search stay, and these are added.
    """

    command: Literal["find_products"] = "find_products"
    words: str = ""
    max_price: float | None = None
    min_price: float | None = None
    in_stock: bool | None = None
    without: tuple[str, ...] = ()
    more: bool = False
    refines: bool = False


class CompareProducts(_Command):
    """Sets products side by side."""

    command: Literal["compare_products"] = "compare_products"
    items: tuple[str, ...]


class AskProduct(_Command):
    """Asks something about one product: one of its attributes, or what its texts and reviews must say."""

    command: Literal["ask_product"] = "ask_product"
    item: str
    question: str
    attribute: Attribute | None = None


class ShowProduct(_Command):
    """Takes one product as the subject, and shows it."""

    command: Literal["show_product"] = "show_product"
    item: str


class AnswerQuestion(_Command):
    """Answers from the help pages."""

    command: Literal["answer_question"] = "answer_question"
    question: str
    row: int = Field(description="of the help page that answers")
    probability: float


class Clarify(_Command):
    """Asks what was meant.

    Attributes
    ----------
    pages : rows of help pages that may have been meant.
    items : products that may have been meant.
    question : what was asked of one of the products.
    """

    command: Literal["clarify"] = "clarify"
    pages: tuple[int, ...] = ()
    items: tuple[str, ...] = ()
    question: str | None = None


class SmallTalk(_Command):
    """Greets, thanks, agrees or says goodbye."""

    command: Literal["small_talk"] = "small_talk"
    kind: SmallTalkKind


class HandOver(_Command):
    """Hands the conversation over to a person."""

    command: Literal["hand_over"] = "hand_over"
    reason: HandOverReason


Command = Annotated[
    StartFlow
    | SetSlot
    | CancelFlow
    | FindProducts
    | CompareProducts
    | AskProduct
    | ShowProduct
    | AnswerQuestion
    | Clarify
    | SmallTalk
    | HandOver,
    Field(discriminator="command"),
]
