"""Values of slots in messages."""

from __future__ import annotations

from datetime import date

import pytest

from recsys.dialogue.phrases import Message
from recsys.dialogue.slots import order_number, read_date, read_slot, without_date

TODAY = date(2026, 11, 29)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("where is order 4711", "4711"),
        ("my order number is AB-1234", "AB-1234"),
        ("Bestellung Nr. 90210", "90210"),
        ("订单号 5566", "5566"),
        ("it's #12345", "12345"),
    ],
)
def test_an_order_number_that_is_introduced_is_read(text: str, number: str) -> None:
    assert order_number(text, asked=False) == number


@pytest.mark.parametrize("text", ["order later please", "two apples for 3.50", "I have 200 questions", "size 42"])
def test_other_numbers_are_no_order_numbers(text: str) -> None:
    assert order_number(text, asked=False) is None


def test_a_bare_number_is_one_where_it_was_asked_for() -> None:
    assert order_number("4711", asked=True) == "4711"


@pytest.mark.parametrize(
    ("text", "language", "day"),
    [
        ("the order of 3 May", "en", date(2026, 5, 3)),
        ("on 2017-11-02", "en", date(2017, 11, 2)),
        ("from yesterday", "en", date(2026, 11, 28)),
        ("vom 3. Dezember", "de", date(2025, 12, 3)),  # the latest that is past
        ("vom 03.05.", "de", date(2026, 5, 3)),
        ("am 03.05.2024", "de", date(2024, 5, 3)),
        ("le 3 mai", "fr", date(2026, 5, 3)),
        ("el 12 de noviembre", "es", date(2026, 11, 12)),
        ("5月3日的订单", "zh", date(2026, 5, 3)),
        ("昨天的订单", "zh", date(2026, 11, 28)),
    ],
)
def test_dates_are_read_in_five_languages(text: str, language: str, day: date) -> None:
    assert read_date(text, language, TODAY) == day


@pytest.mark.parametrize("text", ["order 4711", "I may want two apples", "am 31.02.2024", ""])
def test_what_is_no_date_is_none(text: str) -> None:
    assert read_date(text, None, TODAY) is None


@pytest.mark.parametrize(
    ("kind", "text", "asked", "value"),
    [
        ("size", "size M please", False, "M"),
        ("size", "42", True, "42"),
        ("size", "42", False, None),
        ("price", "under 20 dollars", False, "20"),
        ("text", "it is broken", True, "it is broken"),
        ("text", "it is broken", False, None),
    ],
)
def test_other_kinds(kind: str, text: str, asked: bool, value: str | None) -> None:
    assert read_slot(kind, Message.of(text), TODAY, asked=asked) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "language", "bare"),
    [
        ("what did I buy on 2017-12-04?", "en", "what did I buy on ?"),
        ("show my order of 3 May 2017", "en", "show my order"),
        ("was habe ich am 3. Mai 2017 gekauft", "de", "was habe ich gekauft"),
        ("was war am 03.05.2024 dabei", "de", "was war am dabei"),
        ("5月3日的订单", "zh", "的订单"),
        ("2017-12-04", "en", "2017-12-04"),
        ("two litres of milk under 3 dollars", "en", "two litres of milk under 3 dollars"),
        ("where is my parcel", None, "where is my parcel"),
    ],
)
def test_a_text_without_its_date(text: str, language: str | None, bare: str) -> None:
    assert without_date(text, language) == bare
