"""Dates, prices and quantities have one form, whatever their spelling."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.wording.checking.numerals import chinese_value, in_digits, value_of
from recsys.wording.checking.quantities import quantities, same_date
from recsys.wording.facts import Fact, FactKind
from recsys.wording.locales import written
from recsys.wording.templates import PACKAGED


def read(text: str, language: str) -> list[tuple[str, tuple[object, ...]]]:
    return [(one.kind, one.value) for one in quantities(in_digits(text, language), language)]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "€2.79"),
        ("en", "2.79 euros"),
        ("en", "EUR 2.79"),
        ("de", "2,79 €"),
        ("de", "2,79 Euro"),
        ("fr", "2,79 euros"),
        ("es", "2,79 €"),
        ("zh", "2.79欧元"),
        ("zh", "€2.79"),
    ],
)
def test_a_price_is_its_amount_and_its_currency(language: str, text: str) -> None:
    assert read(text, language) == [("money", (Decimal("2.79"), "EUR"))]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "30 days"),
        ("en", "thirty days"),
        ("en", "30-day"),
        ("de", "30 Tage"),
        ("de", "dreißig Tagen"),
        ("fr", "trente jours"),
        ("es", "treinta días"),
        ("zh", "30天"),
        ("zh", "三十天"),
    ],
)
def test_a_quantity_is_its_number_and_its_unit(language: str, text: str) -> None:
    assert read(text, language) == [("number", (30, "duration-day"))]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "December 3, 2026"),
        ("en", "the 3rd of December 2026"),
        ("en", "3 Dec 2026"),
        ("en", "2026-12-03"),
        ("de", "3. Dezember 2026"),
        ("de", "03.12.2026"),
        ("fr", "3 décembre 2026"),
        ("fr", "03/12/2026"),
        ("es", "3 de diciembre de 2026"),
        ("zh", "2026年12月3日"),
        ("zh", "2026年十二月三日"),
    ],
)
def test_a_date_is_year_month_and_day(language: str, text: str) -> None:
    assert read(text, language) == [("date", (2026, 12, 3))]


def test_a_date_that_may_be_two_is_neither() -> None:
    assert read("03/12/2026", "en") == [("date", (2026, 3, 0))]
    assert read("12/31/2026", "en") == [("date", (2026, 12, 31))]


@pytest.mark.parametrize(("one", "other", "same"), [((None, 12, 3), (2026, 12, 3), True), ((2025, 12, 3), (2026, 12, 3), False)])
def test_a_year_that_is_not_said_does_not_differ(one: tuple[object, ...], other: tuple[object, ...], same: bool) -> None:
    assert same_date(one, other) == same


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "20%"), ("en", "twenty percent"), ("de", "20 Prozent"), ("fr", "20 pour cent"), ("es", "20 por ciento"), ("zh", "百分之二十")],
)
def test_percentages(language: str, text: str) -> None:
    assert read(text, language) == [("percent", (20, "%"))]


@pytest.mark.parametrize(
    ("language", "text"), [("en", "one of these"), ("de", "eine Frage"), ("fr", "une page"), ("es", "un pedido"), ("zh", "一下")]
)
def test_articles_are_no_numbers(language: str, text: str) -> None:
    assert read(text, language) == []


def test_an_article_before_a_unit_is_one() -> None:
    assert read("one week", "en") == [("number", (1, "duration-week"))]
    assert read("ein Tag", "de") == [("number", (1, "duration-day"))]


@pytest.mark.parametrize(
    ("digits", "language", "value"),
    [("1.219,90", "de", "1219.90"), ("1,219.90", "en", "1219.90"), ("1 219,9", "fr", "1219.9"), ("1.5", "de", "1.5")],
)
def test_marks_of_thousands_and_decimals(digits: str, language: str, value: str) -> None:
    assert value_of(digits, language) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "value"), [("二十三", 23), ("一百零五", 105), ("两千", 2000), ("三万二", 30002), ("二〇二六", 2026), ("十", 10)]
)
def test_chinese_numerals(text: str, value: int) -> None:
    assert chinese_value(text) == value


@given(st.decimals("0.01", "99999.99", places=2), st.sampled_from(["EUR", "USD", "GBP", "CNY", "CHF"]), st.sampled_from(PACKAGED))
def test_every_price_that_is_written_is_read(amount: Decimal, currency: str, language: str) -> None:
    text = written(Fact("price", amount, FactKind.MONEY, currency=currency), language)
    assert read(text, language) == [("money", (amount, currency))]


@given(st.dates(datetime.date(2000, 1, 1), datetime.date(2099, 12, 31)), st.sampled_from(PACKAGED))
def test_every_date_that_is_written_is_read(day: datetime.date, language: str) -> None:
    text = written(Fact("date", day, FactKind.DATE), language)
    assert read(text, language) == [("date", (day.year, day.month, day.day))]


@given(st.integers(0, 10_000_000), st.sampled_from(PACKAGED))
def test_every_number_that_is_written_is_read(number: int, language: str) -> None:
    text = written(Fact("count", number, FactKind.NUMBER), language)
    assert read(text, language) == [("number", (number, ""))]
