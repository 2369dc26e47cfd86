"""Facts: values are data, whatever stands in them."""

from __future__ import annotations

import datetime
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.wording.facts import Fact, FactKind, inert


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Oat <b>Milk</b>", "Oat Milk"),
        ("Tea<script>alert(1)</script>", "Tea"),
        ("two\nlines\tand\x1b[31m red", "two lines and [31m red"),
        ("right\u202eto left", "right to left"),
        ("⟦1⟧ off", "[1] off"),
        ("3 < 5 & {price}", "3 < 5 & {price}"),
    ],
)
def test_values_lose_what_could_act(text: str, expected: str) -> None:
    assert Fact("name", text, FactKind.NAME).value == expected


@given(st.text())
def test_no_value_holds_controls_or_the_brackets_of_placeholders(text: str) -> None:
    value = inert(text)
    assert not any(unicodedata.category(sign) in ("Cc", "Cf") or sign in "⟦⟧" for sign in value)
    assert "\n" not in value


@pytest.mark.parametrize(
    ("value", "kind"),
    [("3", FactKind.NUMBER), (True, FactKind.NUMBER), (3, FactKind.NAME), ("2026-12-03", FactKind.DATE), (1, FactKind.YES_NO)],
)
def test_a_value_fits_its_kind(value: object, kind: FactKind) -> None:
    with pytest.raises(TypeError, match=f"fact 'x' of kind {kind} is a {type(value).__name__}, expected"):
        Fact("x", value, kind)  # pyright: ignore[reportArgumentType]


def test_persons_and_order_numbers_are_private_whatever_is_asked() -> None:
    assert Fact("order", "17", FactKind.CODE, private=False).private
    assert Fact("person", "Ann", FactKind.PERSON).private
    assert not Fact("date", datetime.date(2026, 12, 3), FactKind.DATE).private
