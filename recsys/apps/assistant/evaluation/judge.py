"""Compares a reply with what a dialogue expects of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from features.names import BRAND, CATEGORY, TITLE
from recsys.apps.assistant.answers import Answer, HandedOver, Question
from recsys.dialogue.commands import AnswerQuestion, CompareProducts
from recsys.wording.facts import inert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recsys.apps.assistant.answers import Reply
    from recsys.apps.assistant.evaluation.dialogue_file import Expectation
    from recsys.apps.assistant.pipeline import Assistant

MATCHING = 0.8  # share of the shown products that must match `titles`


@dataclass(frozen=True)
class TurnJudge:
    """Judges one turn.

    Attributes
    ----------
    before : the list that was shown before it.
    """

    assistant: Assistant
    reply: Reply
    before: tuple[str, ...]

    def problems(self, expect: Expectation) -> list[str]:
        """Return what is not as expected, one line of text each."""
        checks: dict[str, Callable[[Expectation], Iterator[str]]] = {
            **dict.fromkeys(("titles", "without", "min_price", "max_price", "cheaper", "new"), self._of_list),
            **dict.fromkeys(("item", "states", "compared"), self._of_subject),
            **dict.fromkeys(("flow", "slot", "asked_slot"), self._of_flow),
        }
        named = expect.model_fields_set
        found = [*self._of_commands(expect)]
        for check in dict.fromkeys(checks[name] for name in checks if name in named):
            found += check(expect)
        return found

    def _of_commands(self, expect: Expectation) -> Iterator[str]:
        first, content, named = self.reply.commands[0], self.reply.content, expect.model_fields_set
        wanted = (expect.command,) if isinstance(expect.command, str) else expect.command
        if wanted and first.command not in wanted:
            yield f"understood {first.command}, expected {' or '.join(wanted)}"
        reason = content.reason if isinstance(content, HandedOver) else None
        if "hand_over" in named and reason != expect.hand_over:
            yield f"handed over for {reason}, expected {expect.hand_over}"
        if expect.answered is not None and self.reply.answered != expect.answered:
            yield "answered" if self.reply.answered else "not answered"
        if expect.page is not None and (page := self._page()) != expect.page:
            yield f"quoted the help page {page!r}, expected {expect.page!r}"
        if expect.text is not None and not re.search(expect.text, self.reply.text):
            yield f"the text does not match {expect.text!r}"
        if expect.not_text is not None and (held := re.search(expect.not_text, self.reply.text)):
            yield f"the text holds {held[0]!r}"

    def _page(self) -> str | None:
        """Return the question of the help page that is quoted whole in the reply."""
        first = self.reply.commands[0]
        if not isinstance(first, AnswerQuestion):
            return None
        page = self.assistant.desk.page(first.row)
        return page["question"] if inert(page["answer"]) in self.reply.text else None

    def _of_list(self, expect: Expectation) -> Iterator[str]:
        items = self._shown()
        if not items:
            yield "no product is shown"
            return
        texts = [f"{self._text(item, TITLE)} || {self._text(item, CATEGORY)}".lower() for item in items]
        prices = [self.assistant.price(item) for item in items]
        if expect.titles is not None:
            strange = [text for text in texts if not re.search(expect.titles, text)]
            if len(strange) > (1 - MATCHING) * len(texts) + 1e-9:
                yield f"{len(strange)} of {len(texts)} products do not match {expect.titles!r}, such as {strange[0]!r}"
        if expect.without is not None and (held := next((text for text in texts if re.search(expect.without, text)), None)):
            yield f"shows {held!r}, which matches {expect.without!r}"
        if expect.max_price is not None and any(price is None or price > expect.max_price for price in prices):
            yield f"prices are {prices}, expected at most {expect.max_price:g}"
        if expect.min_price is not None and any(price is None or price < expect.min_price for price in prices):
            yield f"prices are {prices}, expected at least {expect.min_price:g}"
        if expect.cheaper:
            yield from self._of_cheaper(prices)
        if expect.new and (again := set(items) & set(self.before)):
            yield f"shows {len(again)} products again"

    def _of_cheaper(self, prices: list[float | None]) -> Iterator[str]:
        before = [price for item in self.before if (price := self.assistant.price(item)) is not None]
        if not before:
            yield "no list with prices stood before"
        elif any(price is None or price >= median(before) for price in prices):
            yield f"prices are {prices}, expected below {median(before):g}"

    def _of_subject(self, expect: Expectation) -> Iterator[str]:
        subject = self.reply.state.product
        if expect.item is not None and (wanted := self._numbered(expect.item)) != subject:
            yield f"the subject is {subject}, expected {wanted}, number {expect.item} of the list"
        if expect.compared is not None:
            first = self.reply.commands[0]
            items = first.items if isinstance(first, CompareProducts) else ()
            wanted = tuple(self._numbered(number) for number in expect.compared)
            if set(items) != set(wanted):
                yield f"compared {items}, expected {wanted}"
        if expect.states is not None:
            yield from self._of_statement(expect.states, subject)

    def _of_statement(self, what: str, subject: str | None) -> Iterator[str]:
        if subject is None:
            yield f"states the {what} of no product"
            return
        if what == "price":
            price = self.assistant.price(subject)
            value = None if price is None else f"{price:.2f}"
            texts = (self.reply.text, self.reply.text.replace(",", "."))
        else:
            value, texts = inert(self._text(subject, {"brand": BRAND, "category": CATEGORY}.get(what, TITLE))), (self.reply.text,)
        if value and not any(value in text for text in texts):
            yield f"the text does not state {value!r}"
        if not value and self.reply.answered:
            yield f"the catalogue has no {what} of it, expected that the reply says so"

    def _of_flow(self, expect: Expectation) -> Iterator[str]:
        flow, content = self.reply.state.flow, self.reply.content
        if expect.flow is not None and (flow.name if flow else "") != expect.flow:
            yield f"the flow {flow.name if flow else ''!r} runs, expected {expect.flow!r}"
        slots = flow.slots if flow else {}
        for name, value in (expect.slot or {}).items():
            if slots.get(name) != value:
                yield f"the slot {name} is {slots.get(name)!r}, expected {value!r}"
        asked = content.slot if isinstance(content, Question) else None
        if "asked_slot" in expect.model_fields_set and asked != expect.asked_slot:
            yield f"asks for the slot {asked!r}, expected {expect.asked_slot!r}"

    def _numbered(self, number: int) -> str | None:
        return self.before[number - 1] if number <= len(self.before) else None

    def _shown(self) -> tuple[str, ...]:
        return self.reply.content.items if isinstance(self.reply.content, Answer) else ()

    def _text(self, item: str, column: str) -> str:
        return self.assistant.recommender.snapshot.catalog.frame[column][self.assistant.row(item)] or ""
