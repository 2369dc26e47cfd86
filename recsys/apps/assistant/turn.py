"""Does what the commands of one turn say. Each command has one method; none of them reads the customer's text for anything but data."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.errors import DataError
from features.names import ANSWER, LINK, QUESTION
from recsys.apps.assistant.answers import Answer, HandedOver, Question, Statement
from recsys.apps.assistant.products import ProductDesk
from recsys.dialogue import commands as c
from recsys.dialogue.state import Flow
from recsys.dialogue.tools import ToolError
from recsys.wording.facts import Fact, FactKind
from recsys.wording.message import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.apps.assistant.components import AssistantComponents
    from recsys.apps.assistant.request import AssistantRequest
    from recsys.dialogue.state import DialogueState
    from recsys.wording.message import Message

MOST_ASKED = 2  # times in a row that a slot is asked for
_ASKS = {"order_number": "ask_order_number", "product": "ask_product", "size": "ask_size", "date": "ask_date"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """What a turn came to.

    Attributes
    ----------
    answered : whether the customer got what was asked for.
    """

    content: Answer | Question | HandedOver
    state: DialogueState
    answered: bool = True


@dataclass(frozen=True)
class TurnRunner:
    """Runs the commands of one turn."""

    parts: AssistantComponents
    request: AssistantRequest
    state: DialogueState

    def run(self, commands: Sequence[c.Command]) -> Done:
        """Run commands: the first one says what is done, further ones fill slots of the flow that it starts."""
        done = self._run(commands)
        if isinstance(done.content, HandedOver):
            return done
        if done.answered:
            return Done(done.content, done.state.model_copy(update={"failures": 0}))
        failures = self.state.failures + 1
        if failures >= self.parts.config.failures:
            return self._hand_over("failures")
        return Done(done.content, done.state.model_copy(update={"failures": failures}), answered=False)

    def _run(self, commands: Sequence[c.Command]) -> Done:
        first = commands[0]
        match first:
            case c.StartFlow():
                return self._flow(Flow(name=first.flow), commands[1:])
            case c.SetSlot():
                assert self.state.flow is not None
                return self._flow(self.state.flow, commands)
            case c.FindProducts() | c.CompareProducts() | c.ShowProduct() | c.AskProduct():
                return self._of_products(first)
            case c.AnswerQuestion():
                return self._help(first.row)
            case c.Clarify():
                return self._clarify(first)
            case c.HandOver():
                return self._hand_over(first.reason)
            case c.SmallTalk() | c.CancelFlow():
                return self._courtesy(first)

    def _of_products(self, command: c.FindProducts | c.CompareProducts | c.ShowProduct | c.AskProduct) -> Done:
        match command:
            case c.FindProducts():
                return self._find(command)
            case c.CompareProducts():
                return Done(self._desk.compare(command.items), self.state.model_copy(update={"product": None}))
            case c.ShowProduct():
                return Done(self._desk.show(command.item), self.state.model_copy(update={"product": command.item}))
            case c.AskProduct():
                return self._ask(command)

    @property
    def _desk(self) -> ProductDesk:
        return ProductDesk(self.parts, self.state.language, self.request.user)

    def _hand_over(self, reason: c.HandOverReason) -> Done:
        key = "still_handed_over" if self.state.handed_over else f"hand_over_{reason}"
        return Done(HandedOver(self._write(key), reason), self.state.model_copy(update={"handed_over": reason, "flow": None}))

    def _courtesy(self, command: c.SmallTalk | c.CancelFlow) -> Done:
        if isinstance(command, c.CancelFlow):
            return self._said("flow_cancelled", flow=None)
        return self._said(command.kind if command.kind in ("greeting", "thanks", "goodbye") else "what_else")

    def _find(self, command: c.FindProducts) -> Done:
        found = self._desk.find(command, self.state.focus)
        product = found.answer.items[0] if len(found.answer.items) == 1 else None
        state = self.state.model_copy(update={"focus": found.focus, "product": product})
        return Done(found.answer, state, answered=found.found)

    def _ask(self, command: c.AskProduct) -> Done:
        """Answer a question about a product from its attributes, texts and reviews."""
        state = self.state.model_copy(update={"product": command.item, "pending": command.question})
        answer = self._desk.attribute(command.item, command.attribute) if command.attribute else None
        if answer is None and command.attribute == "description":
            answer = self._desk.show(command.item)
        answer = answer or self.parts.evidence.answer(self._desk, command)
        if answer is not None:
            return Done(answer, state)
        return Done(
            Answer((Statement(self._write("shop_does_not_say", self._desk.name(command.item))),), (command.item,)), state, answered=False
        )

    def _help(self, row: int) -> Done:
        page = self.parts.desk.page(row)
        facts = [Fact("quote", page[ANSWER], FactKind.QUOTE, "help page")]
        if page[LINK]:
            facts.append(Fact("link", page[LINK], FactKind.LINK, "help page"))
        return Done(Answer((Statement(self._write("help_answer", *facts)),)), self.state)

    def _clarify(self, command: c.Clarify) -> Done:
        """Offer help pages or products to choose from, or say what the assistant can do."""
        if command.items:
            options = tuple(self._desk.title(item) for item in command.items)
            return Done(self._offer(options, "catalogue"), self.state.model_copy(update={"pending": command.question}))
        if command.pages:
            options = tuple(self.parts.desk.page(row)[QUESTION] for row in command.pages)
            return Done(self._offer(options, "help page"), self.state.model_copy(update={"offered": command.pages}), answered=False)
        return Done(Question(self._write("not_understood")), self.state, answered=False)

    def _offer(self, options: tuple[str, ...], source: str) -> Question:
        lines = [
            self._write("option", Fact("number", place, FactKind.NUMBER), Fact("name", text, FactKind.QUOTE, source))
            for place, text in enumerate(options, 1)
        ]
        return Question(self._write("clarify", options=joined(lines)), None, options)

    def _flow(self, flow: Flow, slots: Sequence[c.Command]) -> Done:
        """Fill slots, ask for the next one, or call the tool."""
        tool = self.parts.tools[flow.name]
        if tool.needs_user and self.request.user is None:
            return self._said("sign_in", flow=None)
        given = {one.slot: one.value for one in slots if isinstance(one, c.SetSlot)}
        filled = flow.slots | given
        missing = next((slot for slot in tool.slots if slot.required and slot.name not in filled), None)
        if missing is None:
            return self._call(flow.name, filled)
        asked = flow.asked + 1 if flow.asking == missing.name and not given else 1
        if asked > MOST_ASKED:
            return self._hand_over("unsure")
        going = flow.model_copy(update={"slots": filled, "asking": missing.name, "asked": asked})
        key = _ASKS.get(missing.kind)
        named = Fact("slot", missing.name.replace("_", " "), FactKind.TEXT)
        ask = self._write(key) if key else self._write("ask_slot", named)
        corrected = [one for one in slots if isinstance(one, c.SetSlot) and one.corrects]
        messages = [
            self._write("slot_corrected", Fact("slot", one.slot.replace("_", " "), FactKind.TEXT), Fact("value", one.value, FactKind.CODE))
            for one in corrected
        ]
        return Done(Question(joined([*messages, ask]), missing.name), self.state.model_copy(update={"flow": going}))

    def _call(self, name: str, slots: dict[str, str]) -> Done:
        tool, ended = self.parts.tools[name], self.state.model_copy(update={"flow": None, "last_flow": name})
        try:
            found = self.parts.tools.call(name, slots, self.request.user)
        except ToolError as error:
            _log.warning("%s", error)
            return Done(Answer((Statement(self._write("tool_unavailable")),)), ended, answered=False)
        if found.get("found") is False:
            return Done(Answer((Statement(self._write("tool_found_nothing")),)), ended)
        known = self.state.language
        language = known if known is not None and known in tool.texts else next(iter(tool.texts))
        facts = {
            key: Fact(key, value if isinstance(value, str) else str(value), FactKind.TEXT, f"tool {name}") for key, value in found.items()
        }
        try:
            told = self.parts.templates.of_text(tool.texts[language], language, facts.values())
        except DataError as error:  # the tool has left out what its text names
            _log.warning("%s", error)
            return Done(Answer((Statement(self._write("tool_unavailable")),)), ended, answered=False)
        return Done(Answer((Statement(told),)), ended)

    def _said(self, key: str, **changes: None) -> Done:
        return Done(Answer((Statement(self._write(key)),)), self.state.model_copy(update=changes))

    def _write(self, key: str, *facts: Fact, **parts: Message) -> Message:
        return self.parts.templates.write(key, *facts, language=self.state.language, **parts)
