"""Answers about products: finds, shows and compares them, with prices, stock and reasons as the catalogue and the search have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.names import BRAND, CATEGORY, DESCRIPTION, TITLE
from recsys.apps.assistant.answers import Answer, Statement
from recsys.apps.search.request import SearchOptions
from recsys.dialogue.state import Focus
from recsys.recommend.request import RecommendOptions
from recsys.wording.facts import Fact, FactKind
from recsys.wording.message import joined
from retrieval.lexical.catalogue_words import name_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.apps.assistant.components import AssistantComponents
    from recsys.dialogue.commands import FindProducts
    from recsys.wording.message import Message

CATALOGUE, SEARCH, RECOMMENDER = "catalogue", "search", "recommender"
MOST_QUOTED = 240  # characters of a description
MOST_SHOWN = 200  # products that a conversation remembers as shown


@dataclass(frozen=True)
class Found:
    """What a search came to: the statements, what the conversation is about now, and whether there was anything."""

    answer: Answer
    focus: Focus
    found: bool


@dataclass(frozen=True)
class ProductDesk:
    """Answers about products in one language."""

    parts: AssistantComponents
    language: str | None
    user: str | None

    def find(self, command: FindProducts, before: Focus | None) -> Found:
        """Search, or recommend where there are no words."""
        focus = _narrowed(command, before)
        hits = self._hits(focus, focus.shown if command.more else ())
        relaxed, shown = "", (*focus.shown, *(item for item, _ in hits)) if command.more else tuple(item for item, _ in hits)
        if not hits:
            query = (_fact("query", focus.words, FactKind.TEXT, ""),) if focus.words else ()
            kept = before if before is not None and command.refines else focus
            return Found(Answer((Statement(self._write("nothing_found", *query)),)), kept, found=False)
        focus = focus.model_copy(update={"shown": shown[-MOST_SHOWN:], "page": len(hits)})
        lines = joined([self._line(item, place, reason) for place, (item, reason) in enumerate(hits, 1)])
        query = (_fact("query", focus.words, FactKind.TEXT, ""),) if focus.words else ()
        statements = [Statement(self._write("product_list", *query, products=lines))]
        if focus.without:
            left_out = _fact("words", ", ".join(focus.without), FactKind.TEXT, "")
            statements.append(Statement(self._write("left_out_words", left_out)))
        del relaxed
        return Found(Answer(tuple(statements), tuple(item for item, _ in hits)), focus, found=True)

    def _hits(self, focus: Focus, seen: Sequence[str]) -> list[tuple[str, str]]:
        """Return products and why each is there."""
        exclude = (*dict.fromkeys((*seen, *self._holding(focus.without))),)
        k = self.parts.config.products
        if focus.words:
            options = SearchOptions(k=k, min_price=focus.min_price, max_price=focus.max_price, in_stock=focus.in_stock, exclude=exclude)
            (answer,) = self.parts.search.answer(options, [(focus.words, self.user)])
            return [(hit.item_id, hit.reason) for hit in answer.items]
        options = RecommendOptions(k=k, max_price=focus.max_price, in_stock=focus.in_stock, exclude=exclude)
        (found,) = self.parts.recommender.answer(options, [self.user])
        return [(item.item_id, item.reason) for item in found.items]

    def _holding(self, words: Sequence[str]) -> list[str]:
        """Return the products whose texts have all of some words."""
        snapshot, index = self.parts.recommender.snapshot, self.parts.search.words.index
        texts = np.zeros(len(index), dtype=bool)
        for phrase in words:
            of_phrase = np.ones(len(index), dtype=bool)
            for token in index.analyzer.tokens(" ".join(name_words(phrase))):
                held = np.zeros(len(index), dtype=bool)
                held[index.texts_with(token)] = True
                of_phrase &= held
            texts |= of_phrase
        return snapshot.catalog.frame["item_id"].filter(texts[snapshot.text_of]).to_list()

    def show(self, item: str) -> Answer:
        """Show one product, with its description where there is one."""
        statements = [Statement(self._line(item, None, ""))]
        if quote := self._text(item, DESCRIPTION):
            statements.append(Statement(self._write("product_description", self._name(item), self._fact_of(item, "quote", quote[:MOST_QUOTED], FactKind.QUOTE))))
        return Answer(tuple(statements), (item,))

    def attribute(self, item: str, attribute: str) -> Answer | None:
        """State an attribute of a product; None where the catalogue does not have it."""
        match attribute:
            case "price":
                price = self.parts.price(item)
                value = None if price is None else self._fact_of(item, "value", price, FactKind.MONEY)
            case "stock":
                key = "stock_yes" if self.parts.available(item) else "stock_no"
                value = self._fact_of(item, "value", self._write(key).text, FactKind.TEXT)
            case "brand" | "category":
                text = self._text(item, BRAND if attribute == "brand" else CATEGORY)
                value = None if not text else self._fact_of(item, "value", text, FactKind.NAME)
            case _:
                return None
        if value is None:
            return None
        named = self._write(f"property_{attribute}").text
        message = self._write("product_attribute", self._name(item), _fact("property", named, FactKind.TEXT, ""), value)
        return Answer((Statement(message),), (item,))

    def compare(self, items: Sequence[str]) -> Answer:
        """Set products side by side: prices, stock, brands, and which is cheaper by how much."""
        lines: list[Message] = []
        for attribute in ("price", "brand", "category", "stock"):
            answers = [self.attribute(item, attribute) for item in items]
            lines += [answer.statements[0].message for answer in answers if answer is not None]
        prices = [(price, item) for item in items if (price := self.parts.price(item)) is not None]
        if len(prices) >= 2 and min(prices)[0] < max(prices)[0]:
            low, high = min(prices), max(prices)
            difference = self._fact_of(low[1], "difference", round(high[0] - low[0], 2), FactKind.MONEY)
            lines.append(self._write("comparison_cheaper", self._name(low[1]), difference))
        return Answer((Statement(self._write("comparison", lines=joined(lines))),), tuple(items))

    def _line(self, item: str, place: int | None, reason: str) -> Message:
        facts = [self._name(item)]
        if place is not None:
            facts.append(_fact("number", place, FactKind.NUMBER, ""))
        if (price := self.parts.price(item)) is not None:
            facts.append(self._fact_of(item, "price", price, FactKind.MONEY))
        if reason:
            facts.append(_fact("reason", reason, FactKind.TEXT, SEARCH, item))
        stock = {} if self.parts.available(item) else {"stock": self._write("stock_no")}
        return self._write("product_line", *facts, **stock)

    def _name(self, item: str) -> Fact:
        return self._fact_of(item, "name", self._text(item, TITLE), FactKind.NAME)

    def _fact_of(self, item: str, name: str, value: str | float, kind: FactKind) -> Fact:
        return _fact(name, value, kind, CATALOGUE, item)

    def _text(self, item: str, column: str) -> str:
        return self.parts.recommender.snapshot.catalog.frame[column][self.parts.row(item)] or ""

    def _write(self, key: str, *facts: Fact, **parts: Message) -> Message:
        return self.parts.templates.write(key, *facts, language=self.language, **parts)


def _fact(name: str, value: str | float, kind: FactKind, source: str, about: str = "") -> Fact:
    return Fact(name, value, kind, source, about)


def _narrowed(command: FindProducts, before: Focus | None) -> Focus:
    """Return what is looked for now: a new search, or the one before with further conditions."""
    if before is None or not command.refines:
        return Focus(words=command.words, max_price=command.max_price, min_price=command.min_price, in_stock=bool(command.in_stock), without=command.without)
    changed = {name: value for name in ("max_price", "min_price", "in_stock") if (value := getattr(command, name)) is not None}
    if command.words:
        changed["words"] = f"{before.words} {command.words}".strip()
    if command.max_price is not None and before.min_price is not None and command.max_price < before.min_price:
        changed["min_price"] = None  # what was said last holds
    if command.min_price is not None and before.max_price is not None and command.min_price > before.max_price:
        changed["max_price"] = None
    return before.model_copy(update={**changed, "without": (*before.without, *command.without)})
