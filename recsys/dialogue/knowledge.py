"""What understanding asks of a shop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsys.dialogue.phrases import Message
    from recsys.dialogue.tools import Slot


@dataclass(frozen=True)
class Guess:
    """Something that a message may mean, and its calibrated probability."""

    name: str
    probability: float


class Knowledge(Protocol):
    """What the shop knows, as far as understanding asks for it."""

    def flow(self, message: Message) -> Guess | None:
        """Return the flow that a message most likely asks for."""
        ...

    def acts(self, message: Message) -> Mapping[str, float]:
        """Return the probability of each thing that a message may want: a section of the packaged examples, or a flow."""
        ...

    def is_flow(self, act: str) -> bool:
        """Whether what a message may want is a flow."""
        ...

    def slots(self, flow: str) -> Sequence[Slot]:
        """Return the slots of a flow."""
        ...

    def help(self, message: Message) -> Sequence[tuple[int, str, float]]:
        """Return help pages for a message, best first: row, question, and the probability that the first one answers."""
        ...

    def sold(self, words: str) -> float:
        """Return the share of the words that texts of products have; 0 without a word."""
        ...

    def product(self, words: str, user: str | None) -> str | None:
        """Return the product that words name, if the shop sells one."""
        ...

    def price(self, item: str) -> float | None:
        """Return the price of a product."""
        ...


class AskedOnce:
    """What a shop knows, asked each thing once: for the time of one turn, whose rules read a message several times."""

    def __init__(self, shop: Knowledge) -> None:
        self.flow, self.acts, self.help, self.sold = cache(shop.flow), cache(shop.acts), cache(shop.help), cache(shop.sold)
        self.is_flow, self.slots, self.product, self.price = shop.is_flow, shop.slots, shop.product, shop.price
