"""Price limits in words: what is one, in several languages, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lexical.filters.price_words import price_limits

HIGH = {
    "under 3 dollars": (3, "USD"),
    "below 10": (10, None),
    "less than $5": (5, "USD"),
    "cheaper than 4 euro": (4, "EUR"),
    "cheaper than 4": (4, None),
    "up to 20 euro": (20, "EUR"),
    "for under $20": (20, "USD"),
    "at most 2.50 dollars": (2.5, "USD"),
    "no more than 2 dollars": (2, "USD"),
    "max 3 €": (3, "EUR"),
    "< 3": (3, None),
    "under a dollar": (1, "USD"),
    "under ten dollars": (10, "USD"),
    "under 50 cents": (0.5, None),
    "under 1,000 dollars": (1000, "USD"),
    "$10 or less": (10, "USD"),
    "unter 10 euro": (10, "EUR"),
    "unter 1.000 €": (1000, "EUR"),
    "bis 20 euro": (20, "EUR"),
    "hochstens 2,50 €": (2.5, "EUR"),
    "10 euro maximal": (10, "EUR"),
    "moins de 10 €": (10, "EUR"),
    "moins de 10": (10, None),
    "jusqu'a 5 euros": (5, "EUR"),
    "menos de 10": (10, None),
    "hasta 10 euros": (10, "EUR"),
    "meno di 10 euro": (10, "EUR"),
    "onder 5 euro": (5, "EUR"),
    "30元以下": (30, "CNY"),
    "3美元以下": (3, "USD"),
    "低于30元": (30, "CNY"),
    "不超过 100 元": (100, "CNY"),
    "500円以下": (500, "JPY"),
    "1000원 이하": (1000, "KRW"),
    "до 500 руб": (500, "RUB"),
    "do 30 zł": (30, "PLN"),
    "price below 5": (5, None),
    "a menos de 5 euros": (5, "EUR"),
    "3$ max": (3, "USD"),
    "max. 3,50€": (3.5, "EUR"),
    "under usd 20": (20, "USD"),
}
LOW = {
    "over 10 euro": (10, "EUR"),
    "more than $5": (5, "USD"),
    "at least 20 dollars": (20, "USD"),
    "uber 10 euro": (10, "EUR"),
    "ab 5 euro": (5, "EUR"),
    "mas de 10 euros": (10, "EUR"),
    "plus de 10 €": (10, "EUR"),
    "30元以上": (30, "CNY"),
    "from $20": (20, "USD"),
    "$50 and up": (50, "USD"),
}
BETWEEN = [
    *("between 5 and 10", "5-10€", "5 - 10 dollars", "$5-$10", "from 5 to 10 dollars", "5 to 10 euros"),
    *("zwischen 5 und 10 euro", "von 5 bis 10 euro", "entre 5 et 10 euros", "entre 5 y 10", "5到10元", "de 5 a 10 euros"),
]


@pytest.mark.parametrize(("text", "expected"), HIGH.items())
@pytest.mark.parametrize("place", ["{}", "soap {}", "red wine {}"])
def test_a_most(place: str, text: str, expected: tuple[float, str | None]) -> None:
    (limit,) = price_limits(place.format(text))
    assert (limit.low, limit.high, limit.currency) == (None, *expected)
    assert place.format(text)[limit.begin : limit.end].strip() == text


@pytest.mark.parametrize(("text", "expected"), LOW.items())
def test_a_least(text: str, expected: tuple[float, str | None]) -> None:
    (limit,) = price_limits(f"wine {text}")
    assert (limit.low, limit.high, limit.currency) == (expected[0], None, expected[1])


@pytest.mark.parametrize("text", BETWEEN)
def test_a_range(text: str) -> None:
    (limit,) = price_limits(f"tea {text}")
    assert (limit.low, limit.high) == (5, 10)


@pytest.mark.parametrize(
    "text",
    [
        *("under 3 years", "toys under 3 years", "size under 40 cm", "shoes size under 40", "under sink organizer", "under 100 calories"),
        *("vitamins for women over 50", "toys for kids under 5", "less than 5 g sugar", "under 5 pounds", "water under 1 l", "windows 10"),
        *(
            "cheap tea",
            "7 up",
            "5-10",
            "from 5",
            "bis 5",
            "50% off",
            "over the door hook",
            "3 in 1",
            "ps4 pro",
            "under armour",
            "$5 gift card",
        ),
        *("age 5-10", "10-5 dollars", "over 18 years", "tea 5", "", "below"),
    ],
)
def test_what_only_looks_like_a_price_is_none(text: str) -> None:
    assert price_limits(text) == []


def test_two_limits_stand_in_their_order() -> None:
    low, high = price_limits("over 5 dollars wine under 10 dollars")
    assert (low.low, low.high, high.low, high.high) == (5, None, None, 10)


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Z"]), max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    for limit in price_limits(text.lower()):
        assert 0 <= limit.begin < limit.end
        assert limit.low is not None or limit.high is not None
