"""One template: placeholders, optional parts, and signs that stand for themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.wording.message import Piece
from recsys.wording.template import Template


def said(text: str, **values: str) -> str:
    return "".join(piece.text for piece in Template.of(text).filled({name: (Piece(value),) for name, value in values.items()}))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": "Tea"}, "Tea"),
        ({"name": "Tea", "price": "2"}, "Tea: 2"),
        ({"name": "Tea", "stock": "3"}, "Tea, 3 left"),
        ({"name": "Tea", "price": "2", "stock": "3"}, "Tea: 2, 3 left"),
    ],
)
def test_optional_parts_need_their_values(values: dict[str, str], expected: str) -> None:
    assert said("{name}[: {price}][, {stock} left]", **values) == expected


def test_doubled_signs_stand_for_themselves() -> None:
    assert said("{{x}} [[y]] {name}", name="Tea") == "{x} [y] Tea"


@pytest.mark.parametrize("text", ["{name", "name}", "[x", "x]", "[a [b] c]", "{a{b}}"])
def test_signs_without_a_partner_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has no partner"):
        Template.of(text)


def test_a_value_is_missed_by_name() -> None:
    with pytest.raises(KeyError, match="price"):
        said("{name} {price}", name="Tea")


@given(st.text())
def test_values_are_never_read_as_templates(value: str) -> None:
    assert said("<{name}>[ {name}]", name=value, other="no") == f"<{value}> {value}"
