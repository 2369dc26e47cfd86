"""Chooses commands by what a message wants most likely, as the classifier of messages reads it, among what the conversation allows.

The classifier says what is wanted; places, prices and words are read by code. Where they are missing, nothing is chosen, and the rules of
`recsys.apps.assistant.understanding` decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.dialogue import commands as c
from recsys.dialogue.examples import frame_words
from recsys.dialogue.parts import for_whom, named_places, places, thing
from recsys.dialogue.phrases import Message
from retrieval.lexical.analyzer import fold
from retrieval.lexical.filters.price_words import price_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.dialogue.knowledge import Knowledge
    from recsys.dialogue.state import DialogueState

ATTRIBUTES: Mapping[str, c.Attribute] = {"price": "price", "brand": "brand", "stock": "stock"}
HAND_OVERS: tuple[c.HandOverReason, ...] = ("human", "safety", "money", "angry")
COURTESIES: tuple[c.SmallTalkKind, ...] = ("greeting", "thanks", "goodbye")
OF_FLOWS = ("order_number", "corrects", "size", "cancel")  # what is said while a flow runs
OF_LISTS = ("cheaper", "below", "above", "without", "more", "in_stock", "for_whom", "nth", "nth_price", "nth_brand", "compare")
OF_PRODUCTS = ("its_price", "its_brand", "its_stock", "ask_about")
OF_ANSWERS = ("agreement", "refusal")  # to what was asked
NOTHING = ("chat", "nonsense")
FINDS = ("find", "find_below", "find_without")
ACT_FROM, SURELY_FROM = 0.35, 0.7  # probability from which the classifier decides; and hands over, or answers with a courtesy alone
SURE = 0.8  # probability of a help page that goes before products
MAYBE = 0.1  # probability from which a question may be for products
MOST_WORDS = 25  # of a message that wants one thing
_NUMBER = re.compile(r"\d+(?:[.,]\d{1,2})?")


@dataclass(frozen=True)
class Acts:
    """Chooses commands by the classifier.

    Attributes
    ----------
    flow_from : probability from which a flow starts.
    """

    knowledge: Knowledge
    flow_from: float

    def best(self, message: Message, state: DialogueState) -> str | None:
        """Return what a message wants most likely, among what the conversation allows; None where nothing is likely enough."""
        if len(message.folded.split()) > MOST_WORDS:
            return None
        likely = {act: value for act, value in self.knowledge.acts(message).items() if act not in self._impossible(state)}
        total = sum(likely.values())
        act = max(likely, key=lambda one: likely[one], default=None)
        if act is None or likely[act] < total * (SURELY_FROM if act in (*HAND_OVERS, *COURTESIES) else ACT_FROM):
            return None
        return act if likely[act] >= self.flow_from * total or not self.knowledge.is_flow(act) else None

    def products(self, message: Message) -> tuple[c.Command, ...]:
        """Look for products that a question about the shop may mean as well: "any wipes in the shop?"."""
        words = _words(message, *FINDS)
        acts = self.knowledge.acts(message)
        likely = not message.asks or sum(acts.get(act, 0.0) for act in FINDS) >= MAYBE
        return self._found(message, "find") if likely and words and self.knowledge.sold(words) == 1 else ()

    def commands(self, message: Message, state: DialogueState) -> tuple[c.Command, ...]:
        """Return what a message asks for; nothing where the rules must decide."""
        act = self.best(message, state)
        if act is None or act in OF_FLOWS:
            return ()
        if act in (*NOTHING, *COURTESIES) and self.knowledge.sold(_words(message, "find")) == 1:
            return ()  # it names a product
        if (plain := _plain(act)) is not None:
            return (plain,)
        if act in NOTHING:
            return (c.Clarify(),)
        if act in (*FINDS, "ask_about") and (pages := self.knowledge.help(message)) and pages[0][2] >= SURE:
            return ()  # a page answers it
        if act in FINDS:
            return self._found(message, act)
        if act in OF_PRODUCTS:
            return self._of_product(message, act, state)
        return self._of_list(message, act, state) if act in OF_LISTS else ()

    @staticmethod
    def _impossible(state: DialogueState) -> tuple[str, ...]:
        """Return what a message cannot want at this point."""
        shown = state.focus is not None and bool(state.focus.shown)
        lists, products = () if shown else OF_LISTS, () if shown or state.product else OF_PRODUCTS
        return (*lists, *products, *(() if state.flow else OF_FLOWS), *(() if state.offered else OF_ANSWERS))

    def _found(self, message: Message, act: str) -> tuple[c.Command, ...]:
        without = message.find("without")
        if without and (sought := _words(Message.of(without.before), *FINDS)):
            gone = Message.of(without.after).content()
            return (c.FindProducts(words=sought, without=(gone,)),) if gone and self.knowledge.sold(sought) >= 0.5 else ()
        limit = next(iter(price_limits(fold(message.text))), None)
        text = fold(message.text)
        rest = message if limit is None else Message.of(f"{text[: limit.begin]} {text[limit.end :]}")
        words = self._sold_of(_words(rest, *FINDS)) or rest.content("find", "greeting")
        if self.knowledge.sold(words) < 0.5:
            return ()
        high, amounts = limit and limit.high, _NUMBER.findall(text)
        if limit is None and act == "find_below" and len(amounts) == 1:
            high = float(amounts[0].replace(",", "."))
        return (c.FindProducts(words=words, max_price=high, min_price=limit and limit.low),)

    def _sold_of(self, words: str) -> str:
        """Return the words without those around the product that the shop does not know: the classifier says that one is wanted."""
        some = words.split()
        known = [place for place, word in enumerate(some) if self.knowledge.sold(word) > 0]
        return " ".join(some[known[0] : known[-1] + 1]) if known else words

    def _of_product(self, message: Message, act: str, state: DialogueState) -> tuple[c.Command, ...]:
        attribute = ATTRIBUTES.get(act.removeprefix("its_"))
        shown = state.focus.last if state.focus else ()
        if len(named := list(places(message, len(shown)))) == 1:
            return (c.AskProduct(item=shown[named[0]], question=message.text, attribute=attribute),)
        if state.product is None:
            if attribute == "stock":
                return (c.FindProducts(in_stock=True, refines=True),)
            return (c.Clarify(items=shown, question=message.text),)
        return (c.AskProduct(item=state.product, question=message.text, attribute=attribute),)

    def _of_list(self, message: Message, act: str, state: DialogueState) -> tuple[c.Command, ...]:
        assert state.focus is not None
        shown = state.focus.last
        match act:
            case "more" | "in_stock":
                return (c.FindProducts(more=act == "more", in_stock=act == "in_stock" or None, refines=True),)
            case "cheaper":
                return cheaper_or_dearer(self.knowledge, [state.product] if state.product else shown, cheaper=True)
            case "below" | "above":
                return _priced(message, act)
            case "without":
                gone = _words(message, "without", *FINDS)
                return (c.FindProducts(without=(gone,), refines=True),) if gone else ()
            case "for_whom":
                whom = _words(message, "for_whom")
                return (c.FindProducts(words=for_whom(thing(state.focus.words), whom)),) if self.knowledge.sold(whom) else ()
            case "compare":
                named = [shown[place] for place in named_places(message, len(shown))]
                return (c.CompareProducts(items=tuple(named)),) if len(named) >= 2 else ()
            case _:
                return _nth(message, act, state)


def cheaper_or_dearer(knowledge: Knowledge, items: tuple[str, ...] | list[str], *, cheaper: bool) -> tuple[c.Command, ...]:
    """Ask for what costs less, or more, than the middle one of some products."""
    prices = sorted(price for item in items if (price := knowledge.price(item)) is not None)
    if not prices:
        return ()
    middle = prices[len(prices) // 2]
    if cheaper:
        return (c.FindProducts(max_price=round(middle - 0.01, 2), refines=True),)
    return (c.FindProducts(min_price=round(middle + 0.01, 2), refines=True),)


def _plain(act: str) -> c.Command | None:
    """Return the command of what needs no words."""
    if act in HAND_OVERS:
        return c.HandOver(reason=act)  # type: ignore[arg-type]
    if act in COURTESIES:
        return c.SmallTalk(kind=act)  # type: ignore[arg-type]
    return c.FindProducts() if act == "recommend" else None


def _nth(message: Message, act: str, state: DialogueState) -> tuple[c.Command, ...]:
    """Show a product by its place in the list, or tell an attribute of it."""
    shown = state.focus.last if state.focus else ()
    named = [shown[place] for place in named_places(message, len(shown))]
    attribute = ATTRIBUTES.get(act.removeprefix("nth_"))
    if len(named) != 1 or state.pending is not None:
        return ()
    asks = c.AskProduct(item=named[0], question=message.text, attribute=attribute) if attribute else None
    return (asks or c.ShowProduct(item=named[0]),)


def _priced(message: Message, act: str) -> tuple[c.Command, ...]:
    """Narrow by the price that a message names, in the direction that its words have or else the one that the classifier reads."""
    text = fold(message.text)
    limit = next(iter(price_limits(text)), None)
    if limit is not None:
        return (c.FindProducts(max_price=limit.high, min_price=limit.low, refines=True),)
    numbers = _NUMBER.findall(text)
    if len(numbers) != 1:
        return ()
    price = float(numbers[0].replace(",", "."))
    return (c.FindProducts(max_price=price, refines=True) if act == "below" else c.FindProducts(min_price=price, refines=True),)


def _words(message: Message, *acts: str) -> str:
    """Return the words of a message that stand around nothing in the examples: those of the product, or of what is not wanted."""
    around = frame_words(*acts)
    phrases = [act for act in acts if act in ("find", "without", "for_whom")]
    return " ".join(word for word in message.content(*phrases).split() if word not in around)
