"""Checks the facts of a reply against catalogue, help pages, reviews and tools, on another way than the one that wrote them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from features.names import ANSWER, ATTRIBUTES, AVAILABLE, BRAND, CATEGORY, DESCRIPTION, ITEM_ID, LINK, QUESTION, SENTENCE, TITLE
from recsys.apps.assistant.answers import Answer
from recsys.wording.facts import FactKind, inert

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from recsys.apps.assistant.answers import Reply
    from recsys.apps.assistant.pipeline import Assistant
    from recsys.wording.facts import Fact
    from recsys.wording.message import Message, Piece

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# Where a fact's source is a column of the catalogue, its text stands in the item's cell.
_COLUMNS = {"title": TITLE, "description": DESCRIPTION, "attributes": ATTRIBUTES}
UNCHECKED = ("search", "recommender")  # reasons, of which `recsys.offline` has a check of its own


@dataclass
class FactAudit:
    """Checks replies of one assistant.

    Attributes
    ----------
    returned : what the tools returned in this turn.
    """

    assistant: Assistant
    returned: list[Mapping[str, Any]] = field(default_factory=list)

    def unsupported(self, reply: Reply) -> list[str]:
        """Return one line of text for each fact or number that nothing supports."""
        content = reply.content
        messages = [one.message for one in content.statements] if isinstance(content, Answer) else [content.message]
        return [problem for message in messages for problem in self._of_message(message)]

    def _of_message(self, message: Message) -> Iterator[str]:
        columns = self._properties(message)
        for piece in message.pieces:
            if piece.fact is not None and piece.fact.source and not self._supported(piece, message, columns):
                yield f"{message.key}: {piece.fact.name} {piece.text!r} of {piece.fact.about or '-'} ({piece.fact.source})"
        yield from self._loose_numbers(message)

    def _supported(self, piece: Piece, message: Message, columns: list[str]) -> bool:
        fact = piece.fact
        assert fact is not None
        if fact.source in UNCHECKED:
            return True
        if fact.source == "catalogue":
            return self._of_catalogue(piece, fact, message, columns)
        if fact.source in _COLUMNS:
            held = self._cell(fact.about, _COLUMNS[fact.source])
            return held is not None and all(part in inert(str(held)) for part in str(fact.value).split(", "))
        if fact.source == "help page":
            return str(fact.value) in self._page_texts
        if fact.source == "reviews":
            return self._of_reviews(fact, message)
        if fact.source.startswith("tool "):
            return any(inert(str(one.get(fact.name, ""))) == str(fact.value) for one in self.returned)
        return False

    def _of_catalogue(self, piece: Piece, fact: Fact, message: Message, columns: list[str]) -> bool:
        if not fact.about:  # one of several products to choose from
            return str(fact.value) in self._titles
        if fact.name == "difference":
            prices = [one.value for one in message.facts if one.name == "price" and isinstance(one.value, float)]
            apart = round(max(prices) - min(prices), 2) if len(prices) > 1 else None
            return apart is not None and apart == fact.value and self._money(piece, apart)
        if fact.kind == FactKind.MONEY:
            price = self._price(fact.about)
            return price is not None and fact.value == price and self._money(piece, price)
        if fact.kind == FactKind.NAME and fact.name == "name":
            return self._is(fact, TITLE)
        if fact.kind == FactKind.QUOTE:
            return str(fact.value) in inert(str(self._cell(fact.about, DESCRIPTION) or ""))
        if AVAILABLE in columns:
            texts = self.assistant.templates.texts[message.language]
            key = "stock_yes" if self._cell(fact.about, AVAILABLE) else "stock_no"
            return fact.value == "".join(text for part in texts[key]["other"].parts for text, _ in part.steps)
        return any(self._is(fact, column) for column in columns if column in (BRAND, CATEGORY))

    def _is(self, fact: Fact, column: str) -> bool:
        held = self._cell(fact.about, column)
        return held is not None and inert(str(held)) == fact.value

    def _of_reviews(self, fact: Fact, message: Message) -> bool:
        reviews, row = self.assistant.recommender.snapshot.reviews, self.assistant.row(fact.about)
        if fact.name == "total":
            return fact.value == int((reviews.counted["item"] == row).sum())
        if fact.name == "count":
            total = next((one.value for one in message.facts if one.name == "total"), 0)
            return 0 < int(fact.value) <= int(total)  # type: ignore[arg-type]
        sentences = reviews.counted_sentences.filter(pl.col("item") == row)[SENTENCE]
        return any(inert(sentence) == fact.value for sentence in sentences)

    def _loose_numbers(self, message: Message) -> Iterator[str]:
        """Tell numbers that stand neither in a fact nor in a template of the language."""
        known = {number for fact in message.facts for number in _NUMBER.findall(str(fact.value))}
        known |= {number for piece in message.pieces if piece.fact is not None for number in _NUMBER.findall(piece.text)}
        known |= self._template_numbers(message.language)
        for number in _NUMBER.findall(message.text):
            if number not in known:
                yield f"{message.key}: the number {number} is no fact's"

    def _properties(self, message: Message) -> list[str]:
        """Return the columns that the message says it tells, by the words of its template."""
        texts, named = self.assistant.templates.texts[message.language], {fact.value for fact in message.facts if fact.name == "property"}
        columns = {"property_brand": BRAND, "property_category": CATEGORY, "property_stock": AVAILABLE}
        words = {key: "".join(text for part in texts[key]["other"].parts for text, _ in part.steps) for key in columns if key in texts}
        return [column for key, column in columns.items() if words.get(key) in named]

    def _template_numbers(self, language: str) -> set[str]:
        texts = [step for forms in self.assistant.templates.texts[language].values() for one in forms.values() for step in one.parts]
        words = [text for part in texts for text, is_name in part.steps if not is_name]
        words += [text for tool in self.assistant.tools for text in tool.texts.values()]
        return {number for text in words for number in _NUMBER.findall(text)}

    def _price(self, item: str) -> float | None:
        value = float(self.assistant.recommender.snapshot.prices[self.assistant.row(item)])
        return None if math.isnan(value) else value

    @staticmethod
    def _money(piece: Piece, amount: float) -> bool:
        """Whether a written amount is the value, to a cent."""
        digits = re.sub(r"\D", "", piece.text)
        return bool(digits) and abs(int(digits) / 100 - amount) <= 0.005 + 1e-9

    def _cell(self, item: str, column: str) -> Any:
        found = self.assistant.recommender.snapshot.catalog.frame.filter(pl.col(ITEM_ID) == item)
        return found[column][0] if found.height == 1 else None

    @cached_property
    def _titles(self) -> set[str]:
        return {inert(title) for title in self.assistant.recommender.snapshot.catalog.frame[TITLE].unique().drop_nulls()}

    @cached_property
    def _page_texts(self) -> set[str]:
        desk, found = self.assistant.desk, set[str]()
        for row in range(len(desk)):
            page = desk.page(row)
            found |= {inert(page[name]) for name in (QUESTION, ANSWER, LINK)}
        return found
