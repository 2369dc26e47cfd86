"""Reads the values of slots from a message: order numbers, dates, prices, sizes and free text; search reads products."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Literal

from retrieval.lexical.analyzer import fold
from retrieval.lexical.filters.price_words import price_limits

if TYPE_CHECKING:
    from recsys.dialogue.phrases import Message

SlotKind = Literal["order_number", "date", "price", "size", "product", "text"]
MOST_TEXT = 300  # characters of a free text

# A digit must be in it: "order later" names no order.
_ORDER = re.compile(r"(?<![\w.,/-])#?((?:[A-Za-z]{1,5}-?)?\d[\dA-Za-z]*(?:-\d[\dA-Za-z]*)*)(?![\w/]|[.,]\d)")
_LEAST_DIGITS = 3  # of an order number that no word introduces
_INTRODUCED = re.compile(
    r"(?i)(?:order|bestellung|bestellnummer|auftrag|commande|pedido|订单号?)\s*(?:(?:no\.?|number|nr\.?|nummer|numero|número|numéro|号|#|:|is)\s*)*"
    r"#?((?:[A-Za-z]{1,5}-?)?\d[\dA-Za-z]*(?:-\d[\dA-Za-z]*)*)"
)
_SIZES = r"xxs|xs|s|m|l|xl|xxl|xxxl|\d{2,3}(?:[.,/]\d{1,3})?"
_SIZE = re.compile(
    rf"(?i)\b(?:size|sizes|grösse|größe|groesse|taille|talla)\s*[:=]?\s*({_SIZES})(?![\w'’])|(?:尺码|尺寸)\s*[:：=]?\s*({_SIZES})(?![a-z0-9])"
    rf"|(?<![\w'’])({_SIZES})(?![\w'’])"
)
# Dates that dateparser does not read, or reads wrongly: "03.05." and "5月3日".
_NUMERIC = re.compile(
    r"(?<!\d)(?P<iso>\d{4})-(?P<iso_month>\d{1,2})-(?P<iso_day>\d{1,2})(?!\d)"
    r"|(?<!\d)(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.(?:\s?(?P<year>\d{4}))?(?!\d)|(?:(?P<y>\d{4})年)?(?P<m>\d{1,2})月(?P<d>\d{1,2})[日号]"
)
_PARTS = (("year", "y", "iso"), ("month", "m", "iso_month"), ("day", "d", "iso_day"))
_ANY_DAY = date(2000, 1, 3)
_LANGUAGES = ("en", "de", "fr", "es", "zh")


def read_slot(kind: SlotKind, message: Message, today: date, *, asked: bool) -> str | None:
    """Return the value of a slot that a message states, in its canonical spelling; None where it states none.

    Parameters
    ----------
    asked : whether the slot was asked for: then a bare value is enough.
    """
    match kind:
        case "order_number":
            return order_number(message.text, asked=asked)
        case "date":
            found = read_date(message.text, message.language, today)
            return None if found is None else found.isoformat()
        case "price":
            limits = price_limits(fold(message.text))
            return f"{limits[0].high or limits[0].low:g}" if limits else None
        case "size":
            size = _SIZE.search(message.text)
            return next((part.upper() for part in size.groups() if part), None) if size and (asked or not size.group(3)) else None
        case _:
            return message.text.strip()[:MOST_TEXT] if asked and kind == "text" and message.folded else None


def order_number(text: str, *, asked: bool) -> str | None:
    """Return the order number that a text states, in capitals; None without one."""
    if introduced := _INTRODUCED.search(text):
        return introduced.group(1).upper()
    for found in _ORDER.finditer(text):
        if sum(character.isdigit() for character in found.group(1)) >= (1 if asked else _LEAST_DIGITS) and (asked or "#" in found.group(0)):
            return found.group(1).upper()
    return None


def read_date(text: str, language: str | None, today: date) -> date | None:
    """Return the date that a text states, the latest that is not after today where the year is missing; None without one."""
    return _stated(text, language, today)[0]


def without_date(text: str, language: str | None) -> str:
    """Return a text without the date that it states in digits, which makes it less like others; itself where nothing else is left."""
    if not any(map(str.isdigit, text)):
        return text
    _, words = _stated(text, language, _ANY_DAY)
    return " ".join(text.replace(words, " ", 1).split()) or text if words else text


def _stated(text: str, language: str | None, today: date) -> tuple[date | None, str]:
    """Return the date that a text states, and the words that state it; the words alone where there is no such day."""
    if found := _NUMERIC.search(text):
        parts = found.groupdict()
        year, month, day = (next((parts[name] for name in names if parts[name]), "") for names in _PARTS)
        return _date(year or None, month, day, today), found[0]
    from dateparser.search import search_dates  # half a second to import

    languages = (language,) if language in _LANGUAGES else _LANGUAGES
    base = datetime.combine(today, time())
    settings = {"PREFER_DATES_FROM": "past", "RELATIVE_BASE": base, "REQUIRE_PARTS": ["day", "month"]}
    dates = search_dates(text, languages=languages, settings=settings)
    return (dates[0][1].date(), dates[0][0]) if dates else (None, "")


def _date(year: str | None, month: str, day: str, today: date) -> date | None:
    try:
        this = date(int(year or today.year), int(month), int(day))
        return this if year or this <= today else this.replace(year=today.year - 1)
    except ValueError:  # there is no such day
        return None
