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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.apps.assistant.components import AssistantComponents
    from recsys.dialogue.commands import FindProducts
    from recsys.wording.message import Message

CATALOGUE, SEARCH, RECOMMENDER = "catalogue", "search", "recommender"
REASONS_IN = "en"  # the one language that search and recommender give reasons in
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
        hits, relaxed = self._hits(focus, focus.shown if command.more else ())
        items = tuple(item for item, _ in hits)
        if not hits:
            query = (_fact("query", focus.words, FactKind.TEXT, ""),) if focus.words else ()
            kept = before if before is not None and command.refines else focus
            return Found(Answer((Statement(self.write("nothing_found", *query)),)), kept, found=False)
        shown = (*focus.shown, *items) if command.more else items
        focus = focus.model_copy(update={"shown": shown[-MOST_SHOWN:], "page": len(hits)})
        lines = joined([self._line(item, place, reason) for place, (item, reason) in enumerate(hits, 1)])
        query = (_fact("query", focus.words, FactKind.TEXT, ""),) if focus.words else ()
        statements = [Statement(self.write("product_list", *query, products=lines))]
        if focus.without:
            left_out = _fact("words", ", ".join(focus.without), FactKind.TEXT, "")
            statements.append(Statement(self.write("left_out_words", left_out)))
        if relaxed:
            statements.append(Statement(self.write("filters_relaxed", _fact("filters", ", ".join(relaxed), FactKind.TEXT, ""))))
        return Found(Answer(tuple(statements), items), focus, found=True)

    def _hits(self, focus: Focus, seen: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
        """Return products and why each is there, and the wishes that no product met."""
        exclude = (*dict.fromkeys((*seen, *self._holding(focus.without))),)
        k = self.parts.config.products
        if focus.words:
            options = SearchOptions(k=k, min_price=focus.min_price, max_price=focus.max_price, in_stock=focus.in_stock, exclude=exclude)
            (answer,) = self.parts.search.answer(options, [(focus.words, self.user)])
            return [(hit.item_id, hit.reason) for hit in answer.items], [one.label for one in answer.filters if one.relaxed]
        options = RecommendOptions(k=k, max_price=focus.max_price, in_stock=focus.in_stock, exclude=exclude)
        (found,) = self.parts.recommender.answer(options, [self.user])
        return [(item.item_id, item.reason) for item in found.items], []

    def _holding(self, phrases: Sequence[str]) -> list[str]:
        """Return the products whose texts have all words of a phrase."""
        snapshot = self.parts.recommender.snapshot
        held = [self.parts.held(phrase)[snapshot.text_of] == 1 for phrase in phrases]
        return snapshot.catalog.frame["item_id"].filter(np.logical_or.reduce(held)).to_list() if held else []

    def show(self, item: str) -> Answer:
        """Show one product, with its description where there is one."""
        statements = [Statement(self._line(item, None, ""))]
        if quote := self._text(item, DESCRIPTION):
            statements.append(
                Statement(
                    self.write("product_description", self.name(item), self._fact_of(item, "quote", quote[:MOST_QUOTED], FactKind.QUOTE))
                )
            )
        return Answer(tuple(statements), (item,))

    def attribute(self, item: str, attribute: str) -> Answer | None:
        """State an attribute of a product; None where the catalogue does not have it."""
        match attribute:
            case "price":
                price = self.parts.price(item)
                value = None if price is None else self._fact_of(item, "value", price, FactKind.MONEY)
            case "stock":
                key = "stock_yes" if self.parts.available(item) else "stock_no"
                value = self._fact_of(item, "value", self.write(key).text, FactKind.TEXT)
            case "brand" | "category":
                text = self._text(item, BRAND if attribute == "brand" else CATEGORY)
                value = None if not text else self._fact_of(item, "value", text, FactKind.NAME)
            case _:
                return None
        if value is None:
            return None
        named = self.write(f"property_{attribute}").text
        message = self.write("product_attribute", self.name(item), _fact("property", named, FactKind.TEXT, ""), value)
        return Answer((Statement(message),), (item,))

    def compare(self, items: Sequence[str]) -> Answer:
        """Set products side by side: each with its price and stock, what else differs, and which is cheaper by how much."""
        lines = [self._line(item, place, "") for place, item in enumerate(items, 1)]
        for attribute in ("brand", "category"):
            answers = [answer for item in items if (answer := self.attribute(item, attribute))]
            if len({answer.statements[0].message.facts[-1].value for answer in answers}) > 1:
                lines += [answer.statements[0].message for answer in answers]
        prices = [(price, item) for item in items if (price := self.parts.price(item)) is not None]
        if len(prices) >= 2 and min(prices)[0] < max(prices)[0]:
            low, high = min(prices), max(prices)
            difference = self._fact_of(low[1], "difference", round(high[0] - low[0], 2), FactKind.MONEY)
            lines.append(self.write("comparison_cheaper", self.name(low[1]), difference))
        return Answer((Statement(self.write("comparison", lines=joined(lines))),), tuple(items))

    def _line(self, item: str, place: int | None, reason: str) -> Message:
        facts = [self.name(item)]
        if place is not None:
            facts.append(_fact("number", place, FactKind.NUMBER, ""))
        if (price := self.parts.price(item)) is not None:
            facts.append(self._fact_of(item, "price", price, FactKind.MONEY))
        if reason and self.language in (None, REASONS_IN):
            facts.append(_fact("reason", reason, FactKind.TEXT, SEARCH, item))
        stock = {} if self.parts.available(item) else {"stock": self.write("stock_no")}
        return self.write("product_line", *facts, **stock)

    def name(self, item: str) -> Fact:
        """Return the title of a product as a fact."""
        return self._fact_of(item, "name", self.title(item), FactKind.NAME)

    def title(self, item: str) -> str:
        """Return the title of a product."""
        return self._text(item, TITLE)

    def _fact_of(self, item: str, name: str, value: str | float, kind: FactKind) -> Fact:
        return _fact(name, value, kind, CATALOGUE, item)

    def _text(self, item: str, column: str) -> str:
        return self.parts.recommender.snapshot.catalog.frame[column][self.parts.row(item)] or ""

    def row(self, item: str) -> int:
        """Return the catalogue row of a product."""
        return self.parts.row(item)

    def wordings(self, words: str) -> list[tuple[str, ...]]:
        """Return ways to say the same, each as terms of the catalogue's index."""
        return self.parts.wordings(words)

    def write(self, key: str, *facts: Fact, **parts: Message) -> Message:
        """Return a message in the customer's language."""
        return self.parts.templates.write(key, *facts, language=self.language, **parts)


def _fact(name: str, value: str | float, kind: FactKind, source: str, about: str = "") -> Fact:
    return Fact(name, value, kind, source, about)


def _narrowed(command: FindProducts, before: Focus | None) -> Focus:
    """Return what is looked for now: a new search, or the one before with further conditions."""
    if before is None or not command.refines:
        return Focus(
            words=command.words,
            max_price=command.max_price,
            min_price=command.min_price,
            in_stock=bool(command.in_stock),
            without=command.without,
        )
    changed = {name: value for name in ("max_price", "min_price", "in_stock") if (value := getattr(command, name)) is not None}
    if command.words:
        changed["words"] = f"{before.words} {command.words}".strip()
    if command.max_price is not None and before.min_price is not None and command.max_price < before.min_price:
        changed["min_price"] = None  # what was said last holds
    if command.min_price is not None and before.max_price is not None and command.min_price > before.max_price:
        changed["max_price"] = None
    return before.model_copy(update={**changed, "without": (*before.without, *command.without)})
