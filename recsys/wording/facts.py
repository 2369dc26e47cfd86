"""Facts that a message states: a value with its kind and its source.

Values come from the catalogue, reviews, help pages and customers. They are data: `inert` takes out what could act in a terminal or a page,
and a value is never read as a template.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from features.text.html import without_markup
from features.text.plain import plain

Value = str | int | float | Decimal | datetime.date | bool
# Brackets of placeholders, see recsys.wording.masking: no value may hold them.
_BRACKETS = str.maketrans({"⟦": "[", "⟧": "]"})
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


class FactKind(StrEnum):
    """What a value is, which decides how it is written and how a wording is checked against it."""

    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    NAME = "name"  # of a product, a brand, a shop: written as it is
    PERSON = "person"
    CODE = "code"  # order numbers and the like
    LINK = "link"
    QUOTE = "quote"  # words of a help page, a description or a review
    TEXT = "text"  # short words of the shop, such as the state of an order or a reason
    YES_NO = "yes_no"


PRIVATE = {FactKind.PERSON, FactKind.CODE}  # never sent anywhere
_TYPES: dict[FactKind, tuple[type, ...]] = {
    FactKind.NUMBER: (int, float, Decimal),
    FactKind.MONEY: (int, float, Decimal),
    FactKind.DATE: (datetime.date,),
    FactKind.YES_NO: (bool,),
}


@dataclass(frozen=True)
class Fact:
    """One value that a message may state.

    Attributes
    ----------
    name : str
        The placeholder that it fills.
    value : str, int, float, Decimal, date or bool
        As the source has it; texts lose markup and control characters.
    kind : FactKind
        What it is.
    source : str
        Where it comes from, for people: "catalogue", "help page 12", "reviews".
    about : str
        What it is a fact of, such as an item id. Facts about one thing belong together: a wording may not give them to another.
    currency : str or None
        ISO 4217 code of an amount of money; None where the shop does not say.
    private : bool
        Never sent to a language model. Persons and order numbers never are, whatever stands here.

    Raises
    ------
    TypeError
        If the value does not fit its kind.
    """

    name: str
    value: Value
    kind: FactKind
    source: str = ""
    about: str = ""
    currency: str | None = None
    private: bool = False

    def __post_init__(self) -> None:
        expected = _TYPES.get(self.kind, (str,))
        if not isinstance(self.value, expected) or (isinstance(self.value, bool) and self.kind != FactKind.YES_NO):
            names = " or ".join(one.__name__ for one in expected)
            raise TypeError(f"fact {self.name!r} of kind {self.kind} is a {type(self.value).__name__}, expected {names}")
        if isinstance(self.value, str):
            object.__setattr__(self, "value", inert(self.value))
        if self.kind in PRIVATE:
            object.__setattr__(self, "private", True)


def inert(text: str) -> str:
    """Return a text in one line without markup, control characters and the brackets of placeholders."""
    return plain(without_markup(text)).translate(_BRACKETS)


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", text)
