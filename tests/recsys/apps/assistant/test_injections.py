"""Texts that try to command the assistant are data: they choose no command outside the closed set, and nothing in them acts."""

from __future__ import annotations

import re
import unicodedata
from typing import get_args

import pytest

from benchmarks.assistant_injections import TEXTS
from recsys.dialogue import commands as c
from recsys.dialogue.state import DialogueState, Flow, Focus
from recsys.wording.facts import Fact, FactKind, inert
from recsys.wording.templates import Templates
from tests.recsys.apps.assistant.test_understanding import understood

CLOSED_SET = get_args(get_args(c.Command)[0])
LIST = DialogueState(focus=Focus(words="tea", shown=("a", "b"), page=2), product="a")
RUNNING = DialogueState(flow=Flow(name="parcel", asking="order"))


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates.of()


@pytest.mark.parametrize("text", TEXTS)
def test_a_question_chooses_among_the_commands(text: str) -> None:
    for state in (DialogueState(), LIST, RUNNING):
        commands = understood(text, state)
        assert all(isinstance(command, CLOSED_SET) for command in commands)
        assert not any(isinstance(command, c.StartFlow) for command in commands)  # the shop knows no flow for it


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "zh"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_title_and_a_quote_are_written_as_they_are_and_act_on_nothing(templates: Templates, text: str, language: str) -> None:
    name = Fact("name", text, FactKind.NAME, "catalogue", "a")
    messages = [
        templates.write("product_line", name, Fact("price", 2.5, FactKind.MONEY, "catalogue", "a"), language=language),
        templates.write("product_description", name, Fact("quote", text, FactKind.QUOTE, "catalogue", "a"), language=language),
        templates.write("help_answer", Fact("quote", text, FactKind.QUOTE, "help page"), language=language),
    ]
    for message in messages:
        assert inert(text) in message.text  # placeholders in it stay what they are
        assert not re.search(r"<(?!br>)", message.html)
        assert not re.search(r"(?<!\\)\]\(", message.markdown)
        assert not any(unicodedata.category(one) in ("Cc", "Cf") and one != "\n" for one in message.text)
        assert "⟦" not in message.text
