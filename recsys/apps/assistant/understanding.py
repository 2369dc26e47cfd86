"""Understands a message: chooses commands from the closed set, by what the customer writes and the state of the conversation.

The rules are read from top to bottom, and the first that applies decides: a reason to hand over, the flow that runs, courtesies, words that
refer to what was shown, and at last what a new request is: a flow, a question that the help pages answer, or products.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.dialogue import commands as c
from recsys.dialogue.acts import HAND_OVERS, SURE, Acts, cheaper_or_dearer
from recsys.dialogue.parts import beside, for_whom, places, sides, thing, trimmed, unwanted
from recsys.dialogue.phrases import Message, places_of_words
from recsys.dialogue.slots import read_slot
from retrieval.lexical.analyzer import fold
from retrieval.lexical.filters.price_words import price_limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from recsys.dialogue.knowledge import Knowledge
    from recsys.dialogue.state import DialogueState
    from recsys.dialogue.tools import Slot

COURTESIES: tuple[c.SmallTalkKind, ...] = ("greeting", "thanks", "goodbye", "agreement", "refusal")
ATTRIBUTES: tuple[c.Attribute, ...] = ("reviews", "stock", "brand", "price", "description")
SHORT = 6  # words of a message that may narrow a search
_AMOUNT = re.compile(r"(?:^|[^\w.,])[$€£]?\s?(\d+(?:[.,]\d\d?)?)\s?(?:dollars?|bucks?|euros?|€|元|块)")
NEAR = 0.002  # probability of a help page that is offered
MOST_OPTIONS = 5


@dataclass(frozen=True)
class Understanding:
    """Chooses commands.

    Attributes
    ----------
    answer_from, flow_from : probabilities from which a help page answers, and a flow starts.
    today : the day on which the customer writes.
    """

    knowledge: Knowledge
    answer_from: float
    flow_from: float
    today: date

    def commands(self, message: Message, state: DialogueState, user: str | None = None) -> tuple[c.Command, ...]:
        """Return what a message asks for, at least one command."""
        if reason := self._stop(message, state):
            return (c.HandOver(reason=reason),)
        steps = (
            *(self._in_flow, self._offered, self._again, self._acted, self._courtesy),
            *(self._of_shown, self._priced, self._of_product, self._narrowed, self._new),
        )
        for step in steps:
            if found := step(message, state, user):
                return found
        return (c.Clarify(),)

    def _stop(self, message: Message, state: DialogueState) -> c.HandOverReason | None:
        return state.handed_over or next((reason for reason in HAND_OVERS if message.has(reason)), None)

    def _in_flow(self, message: Message, state: DialogueState, _user: str | None) -> tuple[c.Command, ...]:
        """Fill, correct or leave the flow that runs."""
        if state.flow is None:
            return ()
        if message.has("cancel") or (message.has("refusal") and state.flow.asking is not None):
            return (c.CancelFlow(),)
        slots = self.knowledge.slots(state.flow.name)
        found = tuple(self._slots(message, slots, state.flow.asking, state.flow.slots, corrects=message.has("corrects")))
        # A value of a slot that is known already corrects it, whatever words stand around it.
        found = found or tuple(self._slots(message, slots, None, state.flow.slots, corrects=True))
        if state.offered and message.folded.isdigit() and (page := self._offered(message, state, _user)):
            return page
        if found:
            return found
        if self._acts.best(message, state) == "cancel":
            return (c.CancelFlow(),)
        other = self._acted(message, state, _user) or self._new(message, state, _user)
        return other if other and not isinstance(other[0], c.Clarify) else ()

    @property
    def _acts(self) -> Acts:
        return Acts(self.knowledge, self.flow_from)

    def _acted(self, message: Message, state: DialogueState, _user: str | None) -> tuple[c.Command, ...]:
        """Do what the classifier reads, where it is sure of it."""
        act = self._acts.best(message, state)
        if act is not None and self.knowledge.is_flow(act):
            return (c.StartFlow(flow=act), *self._slots(message, self.knowledge.slots(act), None, {}, corrects=False))
        return self._acts.commands(message, state)

    def _slots(
        self, message: Message, slots: Sequence[Slot], asking: str | None, known: dict[str, str], *, corrects: bool
    ) -> Iterator[c.SetSlot]:
        for slot in slots:
            value = read_slot(slot.kind, message, self.today, asked=slot.name == asking or (corrects and slot.name in known))
            if slot.kind == "product" and slot.name == asking:
                value = self.knowledge.product(message.without("find", "corrects", "it"), None)
            if value is not None and value != known.get(slot.name) and (slot.name not in known or corrects or slot.name == asking):
                yield c.SetSlot(slot=slot.name, value=value, corrects=slot.name in known)

    def _courtesy(self, message: Message, state: DialogueState, _user: str | None) -> tuple[c.Command, ...]:
        kind: c.SmallTalkKind | None = next((kind for kind in COURTESIES if message.has(kind)), None)
        # "hi, i want milk" wants milk.
        if (
            kind is None
            or len(message.folded.split()) > SHORT
            or self.knowledge.sold(message.content(kind, "praise")) > 0
            or self._asks_more(message, kind)
        ):
            return ()
        return (c.SmallTalk(kind=kind),)

    @staticmethod
    def _asks_more(message: Message, kind: str) -> bool:
        rest = Message.of(message.without(kind))
        return any(rest.has(key) for key in ("find", "cheaper", "more", "recommend", "compare", "cancel")) or "?" in message.text

    def _again(self, message: Message, state: DialogueState, _user: str | None) -> tuple[c.Command, ...]:
        """Ask the tool of the last turn about something else: "and on 3 May 2017?"."""
        if state.last_flow is None or len(message.folded.split()) > 2 * SHORT:
            return ()
        slots = tuple(self._slots(message, self.knowledge.slots(state.last_flow), None, {}, corrects=False))
        return (c.StartFlow(flow=state.last_flow), *slots) if slots else ()

    def _offered(self, message: Message, state: DialogueState, _user: str | None) -> tuple[c.Command, ...]:
        """Choose one of the help pages that were offered."""
        agrees = message.has("agreement") and len(state.offered) == 1
        chosen = [0] if agrees else list(places(message, len(state.offered)))
        if len(chosen) != 1:
            return ()
        return (c.AnswerQuestion(question=message.text, row=state.offered[chosen[0]], probability=1.0),)

    def _of_shown(self, message: Message, state: DialogueState, _user: str | None) -> tuple[c.Command, ...]:
        """Refer to products that were shown last, by their numbers, or compare them."""
        shown = state.focus.last if state.focus else ()
        named = self._numbered(message, shown)
        if message.has("compare"):
            bare = [place for word in message.folded.split() if (place := places_of_words().get(word, len(shown))) < len(shown)]
            return self._compared(message, named if len(named) >= 2 else [shown[place] for place in dict.fromkeys(bare)], shown)
        if not named and shown and message.has("cheapest") and len(message.folded.split()) <= SHORT:
            named = [min(shown, key=lambda item: (self.knowledge.price(item) is None, self.knowledge.price(item) or 0.0))]
        if not named:
            return ()
        attribute = self._attribute(message)
        if attribute or message.find("question", message.language):
            return (c.AskProduct(item=named[0], question=message.text, attribute=attribute),)
        if state.pending is not None:
            return (c.AskProduct(item=named[0], question=state.pending, attribute=self._attribute(Message.of(state.pending))),)
        return (c.ShowProduct(item=named[0]),)

    def _numbered(self, message: Message, shown: Sequence[str]) -> list[str]:
        """Return the shown products that a message names by their numbers."""
        named = [shown[place] for place in places(message, len(shown))]
        words = message.content("it").split()
        if not named and words and len(words) <= 2 and all(word in places_of_words() for word in words):  # "third please"
            named = [shown[place] for word in words if (place := places_of_words()[word]) < len(shown)]
        return named

    def _compared(self, message: Message, named: Sequence[str], shown: Sequence[str]) -> tuple[c.Command, ...]:
        if len(named) >= 2:
            return (c.CompareProducts(items=tuple(named)),)
        rest = message.without("compare", "find", "both", "it")
        parts = [part for part in sides(rest) if self.knowledge.sold(part) > 0]
        items = [item for part in parts if (item := self.knowledge.product(part, None))]
        if len(dict.fromkeys(items)) >= 2:
            return (c.CompareProducts(items=tuple(dict.fromkeys(items))),)
        return (c.CompareProducts(items=tuple(shown[:2])),) if len(shown) >= 2 else ()

    def _of_product(self, message: Message, state: DialogueState, user: str | None) -> tuple[c.Command, ...]:
        """Ask something about the product that the conversation is about, or about one that is named."""
        attribute = self._attribute(message)
        if not (attribute is not None or message.asks) or (message.has("more") and not message.content("more", "find")):
            return ()
        rest = message.content(*(f"attribute_{attribute}",) if attribute else (), "it", "question", "find")
        shown = state.focus.last if state.focus else ()
        if shown and attribute == "stock" and (message.has("only") or state.product is None) and not self.knowledge.sold(rest):
            return (c.FindProducts(in_stock=True, refines=True),)
        about_it = message.has("it") or not message.has("oneself")
        if (state.product and about_it and (attribute is None or not self.knowledge.sold(rest))) or (
            shown and message.has("it") and (attribute or message.find("question", message.language))
        ):
            pages = self.knowledge.help(message) if attribute is None else ()
            if pages and pages[0][2] >= SURE:
                return ()
            if state.product is None:
                return (c.Clarify(items=tuple(shown), question=message.text),)
            return (c.AskProduct(item=state.product, question=message.text, attribute=attribute),)
        if attribute and attribute != "description" and self.knowledge.sold(rest) == 1 and (item := self.knowledge.product(rest, user)):
            return (c.AskProduct(item=item, question=message.text, attribute=attribute),)
        return ()

    def _attribute(self, message: Message) -> c.Attribute | None:
        return next((name for name in ATTRIBUTES if message.has(f"attribute_{name}")), None)

    def _narrowed(self, message: Message, state: DialogueState, _user: str | None) -> tuple[c.Command, ...]:
        """Change what is looked for: cheaper, more, without something, in stock, below a price, for someone else."""
        focus = state.focus
        if focus is None or not focus.shown:
            return ()
        if whom := message.find("for_whom"):
            return (c.FindProducts(words=for_whom(thing(focus.words), whom.after)),)
        if len(message.content().split()) > SHORT or (message.find("question", message.language) and not message.has("more")):
            return ()
        without = message.find("without")
        if without and (gone := unwanted(message)) and (not without.before or self.knowledge.sold(gone)):
            return (c.FindProducts(without=(gone,), refines=True),)
        if message.has("more") and not self.knowledge.sold(message.content("more", "find")):
            return (c.FindProducts(more=True, refines=True),)
        return (c.FindProducts(in_stock=True, refines=True),) if message.has("in_stock") else ()

    def _priced(self, message: Message, state: DialogueState, _user: str | None) -> tuple[c.Command, ...]:
        """Narrow what is looked for by its price."""
        focus = state.focus
        if focus is None or not focus.shown or len(message.content().split()) > SHORT:
            return ()
        limit = next(iter(price_limits(fold(message.text))), None)
        if limit is not None and not self.knowledge.sold(beside(message, limit).content("find", "cheaper", "it")):
            return (c.FindProducts(max_price=limit.high, min_price=limit.low, refines=True),)
        amount = _AMOUNT.search(fold(message.text))
        if limit is None and amount and not self.knowledge.sold(message.content("find", "cheaper", "it")):  # "my limit is 4 dollars"
            return (c.FindProducts(max_price=float(amount[1].replace(",", ".")), refines=True),)
        if not (message.has("cheaper") or message.has("dearer")):
            return ()
        items = [state.product] if state.product else focus.last
        return cheaper_or_dearer(self.knowledge, items, cheaper=message.has("cheaper"))

    def _new(self, message: Message, state: DialogueState, user: str | None) -> tuple[c.Command, ...]:
        """A request of its own: a flow, a question that a help page answers, or products."""
        pages = self.knowledge.help(message)
        flow = self.knowledge.flow(message)
        answers = pages[0][2] if pages else 0.0
        about_shop = self._acts.best(message, state) == "shop"
        wanted = trimmed(message.without("find", "greeting"))
        content = message.content("find", "greeting")
        finds = message.has("find") and self.knowledge.sold(content) == 1
        if flow and flow.probability >= max(self.flow_from, answers):
            slots = tuple(self._slots(message, self.knowledge.slots(flow.name), None, {}, corrects=False))
            return (c.StartFlow(flow=flow.name), *slots)
        if answers >= self.answer_from and (about_shop or not (finds and answers < SURE)):
            return (c.AnswerQuestion(question=message.text, row=pages[0][0], probability=answers),)
        if message.has("recommend"):
            about = message.content("recommend", "find", "question", "it")
            return (c.FindProducts(words=about if self.knowledge.sold(about) == 1 else ""),)
        if about_shop and (found := self._acts.products(message)):
            return found
        if not about_shop and (found := self._found(message, wanted, content, finds=finds)):
            return found
        near = pages[:MOST_OPTIONS] if answers >= NEAR else ()
        return (c.Clarify(pages=tuple(row for row, _, _ in near)),)

    def _found(self, message: Message, wanted: str, content: str, *, finds: bool) -> tuple[c.Command, ...]:
        """Look for products where what is left of the message names some."""
        without = message.find("without")
        if (
            without
            and self.knowledge.sold(sought := trimmed(Message.of(without.before).without("find"))) == 1
            and (gone := unwanted(message))
        ):
            return (c.FindProducts(words=sought, without=(gone,)),)
        asks = message.find("question", message.language) or message.has("oneself")
        if not message.has("find") and message.has("how"):
            return ()
        if not finds and self.knowledge.sold(content) < (1 if asks and not message.has("find") else 0.5):
            return ()
        if limit := next(iter(price_limits(fold(message.text))), None):
            words = trimmed(beside(message, limit).without("find"))
            return (c.FindProducts(words=words, max_price=limit.high, min_price=limit.low),)
        return (c.FindProducts(words=wanted or content),)
