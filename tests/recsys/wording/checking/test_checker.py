"""Wordings that say the same are accepted, and those that change one thing are refused with what changed."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal

import pytest

from benchmarks.wording_checker import SETS, cases_of, measure
from recsys.wording.checking.checker import check
from recsys.wording.checking.problems import Problem, ProblemKind
from recsys.wording.facts import Fact, FactKind
from recsys.wording.message import Message, Piece, joined
from recsys.wording.templates import Templates

TEMPLATES = Templates.of()
ORDER = TEMPLATES.write(
    "order_status",
    Fact("order", "A-10042", FactKind.CODE),
    Fact("status", "on its way", FactKind.TEXT),
    Fact("date", datetime.date(2026, 12, 3), FactKind.DATE),
)
HELP = TEMPLATES.write(
    "help_answer",
    Fact("quote", "You can return unopened items within 30 days. Batteries are not included.", FactKind.QUOTE),
    Fact("link", "https://shop.example/help", FactKind.LINK),
)
LIST = joined(
    [
        TEMPLATES.write(
            "product_line", Fact("name", name, FactKind.NAME, about=name), Fact("price", Decimal(price), FactKind.MONEY, currency="EUR")
        )
        for name, price in (("Oat Drink", "1.15"), ("Soy Drink", "0.95"))
    ]
)


def kinds(wording: str, message: Message) -> set[str]:
    return {str(problem.kind) for problem in check(wording, message)}


@pytest.mark.parametrize("message", [ORDER, HELP, LIST])
def test_the_messages_own_text_has_no_problem(message: Message) -> None:
    assert check(message.template_text, message) == []
    assert check(message.template_text + " ", message) == []


@pytest.mark.parametrize(
    ("wording", "kind"),
    [
        ("Your order A-10042 is on its way, expected on December 4, 2026.", "date"),
        ("Your order A-10042 is on its way, expected on December 3, 2027.", "date"),
        ("Your order A-10043 is on its way, expected on December 3, 2026.", "link"),
        ("Your order A-10042 is not on its way, expected on December 3, 2026.", "negation"),
        ("Your order A-10042 is on its way, expected within 3 days by December 3, 2026.", "number"),
        ("Your free order A-10042 is on its way, expected on December 3, 2026.", "claim"),
        ("Your order A-10042 is on its way, expected on December 3, 2026. I will call you.", "promise"),
        ("Your order A-10042 is on its way from Berlin, expected on December 3, 2026.", "name"),
        ("Your order A-10042 is on its way, expected on December 3, 2026, so you can keep it.", "claim"),
        ("Your order A-10042 is on its way, expected on December 3, 2026. See www.evil.example", "link"),
        ("Your order A-10042 is “delivered”, on its way, expected on December 3, 2026.", "quote"),
        ("Your order A-10042 is **on its way**, expected on December 3, 2026.", "form"),
        ("Your order A-10042 is on its way<br>, expected on December 3, 2026.", "form"),
        ("", "form"),
        ("Your order A-10042 is on its way. " * 20, "form"),
    ],
)
def test_what_changed_is_named(wording: str, kind: str) -> None:
    assert kind in kinds(wording, ORDER)


@pytest.mark.parametrize(
    ("wording", "kind"),
    [
        ("You can return unopened items within 30 days. Batteries are included. https://shop.example/help", "negation"),
        ("You can not return unopened items within 30 days. Batteries are not included. https://shop.example/help", "negation"),
        ("You can return unopened items after 30 days. Batteries are not included. https://shop.example/help", "condition"),
        ("You can return items within 30 days. Batteries are not included. https://shop.example/help", "dropped"),
        ("You must return unopened items within 30 days. Batteries are not included. https://shop.example/help", "claim"),
        ("You can return unopened items within 30 days. Batteries are not included.", "link"),
    ],
)
def test_quotes_keep_what_they_say(wording: str, kind: str) -> None:
    assert kind in kinds(wording, HELP)


@pytest.mark.parametrize(
    ("key", "wording"),
    [
        ("no_answer", "The answer is no."),
        ("no_answer", "Yes."),
        ("thanks", "You can help me with anything else I can."),
        ("hand_over_human", "You are passing me to a colleague, as you asked."),
        ("hand_over_human", "Am I passing you to a colleague?"),
        ("hand_over_unsure", "I am sure about this, so I am passing you to a colleague."),
        ("ask_order_number", "Your order number is what it is."),
        ("tool_unavailable", "I cannot look that up right now. Please try again later. I will find out."),
        ("hand_over_failures", "I'm passing you to a colleague."),
    ],
)
def test_words_of_the_message_cannot_be_turned(key: str, wording: str) -> None:
    assert check(wording, TEMPLATES.write(key)) != []


@pytest.mark.parametrize(
    "wording",
    [
        "The Oat Drink costs €1.15 and the Soy Drink €0.95.",
        "€1.15 for the Oat Drink, €0.95 for the Soy Drink",
        "Oat Drink and Soy Drink cost €1.15 and €0.95.",
    ],
)
def test_each_value_stays_with_its_name(wording: str) -> None:
    assert check(wording, LIST) == []
    swapped = wording.replace("Oat", "?").replace("Soy", "Oat").replace("?", "Soy")
    assert kinds(swapped, LIST) == {"subject"}


@pytest.mark.parametrize("name", ["tuned", "held_out", "last"])
def test_the_sets_of_wordings_are_judged_as_the_record_says(name: str) -> None:
    rows = {row["target"]: row for row in measure(name)}
    assert rows[0.98]["ratio"] >= 0.98
    assert rows[0.05]["ratio"] <= 0.1


def true_wordings() -> list[tuple[Message, str]]:
    return [(message, text) for name in SETS for message, text, changed in cases_of(name) if changed is None and not check(text, message)]


def test_no_number_can_be_changed_unseen() -> None:
    missed = [
        (text, found[0])
        for message, text in true_wordings()
        for found in re.finditer(r"\d+", text)
        if not check(f"{text[: found.start()]}{int(found[0]) + 1}{text[found.end() :]}", message)
    ]
    assert missed == []


def test_no_name_can_be_changed_unseen() -> None:
    missed = [
        text
        for message, text in true_wordings()
        for fact in message.facts
        if fact.kind in (FactKind.NAME, FactKind.CODE, FactKind.LINK)
        and not check(text.replace(str(fact.value), f"{fact.value}x"), message)
    ]
    assert missed == []


CLAIMS = {
    "en": [
        "It is free.",
        "It is guaranteed.",
        "You can keep it.",
        "I'll find out and let you know.",
        "Most customers like it.",
        "You should take it.",
    ],
    "de": ["Das ist kostenlos.", "Das ist garantiert.", "Ich kümmere mich darum.", "Das kostet nichts."],
    "fr": ["C'est gratuit.", "C'est garanti.", "Nous vous rappellerons.", "C'est possible."],
    "es": ["Es gratis.", "Está garantizado.", "Puede quedárselo.", "Siempre es así."],
    "zh": ["这是免费的。", "保证有效。", "可以退款。", "大家都喜欢。"],
}


def test_hardly_a_sentence_can_be_added_unseen() -> None:
    added = [(f"{text.rstrip('.')}. {claim}", message) for message, text in true_wordings() for claim in CLAIMS[message.language]]
    missed = [text for text, message in added if not check(text, message)]
    assert len(missed) <= 0.02 * len(added), missed[:5]


def test_a_language_without_words_is_refused() -> None:
    assert kinds("Prego!", Message("thanks", "it", (Piece("Prego."),))) == {"form"}


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem(ProblemKind.DATE, found="May 4"), "date: 'May 4' has no support"),
        (Problem(ProblemKind.NAME, expected="Tea"), "name: 'Tea' is missing"),
        (Problem(ProblemKind.SUBJECT, found="5", expected="beside Tea"), "subject: found '5', expected 'beside Tea'"),
    ],
)
def test_problems_are_one_line(problem: Problem, line: str) -> None:
    assert str(problem) == line
