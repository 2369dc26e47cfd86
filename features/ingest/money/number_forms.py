"""Numbers and money: the form of a column, and the expression that reads all its rows alike. `number_survey` finds the form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from features.ingest.money import currencies
from features.ingest.values.placeholders import present

Style = Literal["plain", "point", "comma", "unknown"]
DECIMALS: Final = 4  # of money: `round` gives the float64 nearest to the decimal number, so that 1.99 <= 1.99

_CURRENCY = currencies.PATTERN
_NUMBER = r"\d{1,3}(?:[ '’]\d{3})+(?:[.,]\d+)?|\d[\d.,]*\d|\d|[.,]\d+"
_FROM = r"(?:(?<least>from:?|starting at|ab|à partir de|dès|desde|a partire da|da|>=|≥)\s*)?"
_RANGE = rf"(?<range>\s*(?:-|–|—|~|to|bis|a)\s*(?:{_CURRENCY})?\s*(?:{_NUMBER})\s*(?:{_CURRENCY})?)?"
_UNIT = r"(?<unit>\s*(?:/|per|pro|each|ea\.?|je|la|le)\s*[\p{L}\d ]*)?"
MONEY = (
    rf"^{_FROM}(?<open>\()?\s*(?<minus>[-−+])?\s*(?<before>{_CURRENCY})?\s*(?<minus_after>[-−])?\s*"
    rf"(?<number>{_NUMBER})(?:[.,:][-–—]+)?\s*(?<after>{_CURRENCY})?{_RANGE}(?<trailing>\s?-)?\s*(?<close>\))?{_UNIT}$"
)
QUANTITY = rf"^(?:x\s*)?(?<minus>[-−+])?\s*(?<number>{_NUMBER})(?<trailing>-)?\s*(?:x|×|\p{{L}}{{1,12}}\.?)?$"
# Digits of other scripts, and the spaces that stand between thousands.
_DIGITS = {chr(zero + value): str(value) for zero in (0xFF10, 0x0660, 0x06F0, 0x0966) for value in range(10)}
_PLAIN = _DIGITS | {
    "\u00a0": " ",
    "\u202f": " ",
    "\u2009": " ",
    "．": ".",
    "，": ",",
    "٫": ".",
    "٬": ",",
    "＄": "$",
    "￥": "¥",
    "\u2212": "-",
    "&nbsp;": " ",
    "&#160;": " ",
    "&euro;": "€",
    "&#8364;": "€",
    "&pound;": "£",
    "&yen;": "¥",
}

# Numbers with `.` before decimals and `,` between thousands; Indian numbers have two digits there. `_swapped` gives the other way.
_AS_POINT = r"^(?:\d*\.\d+|\d+|[1-9]\d{0,2}(?:,\d{2,3})*,\d{3}(?:\.\d+)?)$"
AMBIGUOUS = r"^[1-9]\d{0,2}\.\d{3}$"  # 1.500 is one and a half, or fifteen hundred
GROUPED = r"^[1-9]\d{0,2},\d{3}$"  # so is 1,500, but mostly fifteen hundred


@dataclass(frozen=True)
class NumberForm:
    """How a column writes its numbers.

    Attributes
    ----------
    style : "plain": as programming languages do; "point" and "comma": as people do, with that sign before decimals; "unknown": as
        "point", but a number such as 1.500 or 1,500 is not read, because its meaning is not known.
    quantity : whether a unit may follow, instead of a currency.
    """

    style: Style = "plain"
    quantity: bool = False

    def __str__(self) -> str:
        kind = "quantities" if self.quantity else "money"
        known = {"plain": "numbers", "point": kind, "comma": f"{kind} with decimal comma"}
        return known.get(self.style, f"{kind} whose decimal sign is not known")


def number(name: str) -> pl.Expr:
    """Return a plain number; null where it is none, or not finite."""
    value = present(name).cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def simplified(name: str) -> pl.Expr:
    """Return a column's text in lower case, with Latin digits and plain spaces."""
    return present(name).str.replace_many(_PLAIN).str.to_lowercase()


def groups(name: str, form: NumberForm) -> pl.Expr:
    """Return the parts of a number as it is written, as a struct of text."""
    return simplified(name).str.extract_groups(QUANTITY if form.quantity else MONEY)


def read(name: str, form: NumberForm) -> pl.Expr:
    """Return numbers; null where a value is none. Of a range the lowest."""
    if form.style == "plain":
        return number(name)
    parts = groups(name, form)
    core = parts.struct.field("number").str.replace_all(r"[ '’]", "")
    if form.style == "comma":
        core = core.str.replace_many({",": ".", ".": ","})
    known = core.str.contains(_AS_POINT)
    if form.style == "unknown":
        known &= ~core.str.contains(AMBIGUOUS) & ~core.str.contains(GROUPED)
    value = pl.when(known).then(core.str.replace_all(",", "", literal=True)).cast(pl.Float64, strict=False)
    signs = ("minus", "trailing") if form.quantity else ("minus", "minus_after", "trailing")
    minus = pl.any_horizontal(*(parts.struct.field(sign).str.contains("-", literal=True).fill_null(False) for sign in signs))
    if not form.quantity:
        opened, closed = (parts.struct.field(side).is_not_null() for side in ("open", "close"))
        twice = parts.struct.field("minus").is_not_null() & parts.struct.field("minus_after").is_not_null()
        value = pl.when((opened == closed) & ~twice).then(value)
        minus |= opened & closed
    value = pl.when(minus).then(-value).otherwise(value)
    return pl.coalesce(number(name), value) if form.style == "point" else value


def currency(name: str) -> pl.Expr:
    """Return the currency that stands beside a number; null where there is none."""
    parts = groups(name, NumberForm())
    sign = pl.coalesce(parts.struct.field("before"), parts.struct.field("after"))
    return sign.replace_strict(currencies.NAMES, default=None, return_dtype=pl.String)
