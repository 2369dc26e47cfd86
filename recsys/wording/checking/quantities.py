"""Dates, times, amounts of money, percentages and quantities in a text, each in one form whatever its spelling.

Spellings of months, currencies and units are Babel's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from babel import Locale
from babel.dates import get_month_names
from babel.numbers import get_currency_name, get_currency_symbol
from babel.units import format_unit

from recsys.wording.checking.lexicon import fold, lexicon_of
from recsys.wording.checking.numerals import digits_of, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_CURRENCIES = "EUR USD GBP CHF CNY JPY CAD AUD NZD SEK NOK DKK PLN CZK HUF RON BGN TRY INR BRL MXN KRW SGD HKD ZAR"
_UNITS = (
    "duration-second duration-minute duration-hour duration-day duration-week duration-month duration-year mass-kilogram mass-gram "
    "mass-milligram mass-pound mass-ounce length-kilometer length-meter length-centimeter length-millimeter length-inch length-foot "
    "volume-liter volume-milliliter volume-centiliter volume-gallon volume-fluid-ounce digital-gigabyte digital-megabyte digital-terabyte "
    "power-watt power-kilowatt electric-volt temperature-celsius temperature-fahrenheit frequency-hertz"
)
# Inflected forms, and words of everyday that Babel leaves out.
_MORE_UNITS = {
    "de": {"duration-day": "tagen tages", "duration-week": "wochen", "duration-month": "monaten", "duration-year": "jahren"},
    "zh": {"duration-month": "个月 月", "duration-day": "天", "duration-week": "周 星期 个星期", "duration-hour": "小时 个小时"},
    "en": {"volume-liter": "litre litres", "length-meter": "metre metres", "duration-hour": "h hrs", "mass-kilogram": "kilo kilos"},
}
_MORE_CURRENCIES = {
    "en": {"USD": "dollar dollars bucks us$", "GBP": "pound pounds quid", "EUR": "euro euros"},
    "de": {"USD": "dollar us-dollar", "EUR": "euro euros", "CHF": "franken"},
    "fr": {"EUR": "euro euros", "USD": "dollar dollars"},
    "es": {"EUR": "euro euros", "USD": "dólar dólares"},
    "zh": {"CNY": "元 块 块钱 人民币 ¥ ￥", "EUR": "欧元", "USD": "美元"},
}
_NO_UNITS = {"in", "a", "d", "y", "m", "g.", "to", "no", "mo", "i", "s"}  # spellings that are words as well
_ISO = r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"
_TIME = re.compile(r"(?<!\d)(\d{1,2})[:h](\d{2})(?!\d)")


@dataclass(frozen=True)
class Quantity:
    """A date or a number with its unit, at a place of a text.

    Attributes
    ----------
    start, end : int
        Where it stands.
    kind : str
        "date", "time", "money", "percent", "nth" or "number".
    value : tuple
        Comparable: (year or None, month, day) of a date, (number, unit) otherwise.
    """

    start: int
    end: int
    kind: str
    value: tuple[object, ...]


def quantities(text: str, language: str) -> list[Quantity]:
    """Return the dates and numbers of a text whose number words are digits already, in order."""
    folded, taken, found = fold(text), set[int](), list[Quantity]()
    for quantity in (*_dates(folded, language), *_times(folded), *_numbers(folded, language)):
        places = set(range(quantity.start, quantity.end))
        if not places & taken:
            taken |= places
            found.append(quantity)
    return sorted(found, key=lambda one: one.start)


def same_date(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Return whether two dates may be the same; a year that is not said does not differ."""
    return one[1:] == other[1:] and (one[0] is None or other[0] is None or one[0] == other[0])


def _dates(text: str, language: str) -> Iterator[Quantity]:
    months = _months(language)
    for pattern in _date_patterns(language):
        for found in pattern.finditer(text):
            named = found.groupdict()
            month = months.get(named["m"]) or (int(named["m"]) if named["m"].isdigit() else 0)
            day, year = int(named["d"]), named.get("y")
            if language == "en" and named.get("slash") and day <= 12 and month <= 12 and day != month:
                day = 0  # nobody knows which is which: no date of the facts equals it
            if 1 <= month <= 12 and 0 <= day <= 31:
                full = int(year) + (2000 if len(year) == 2 else 0) if year else None
                yield Quantity(found.start(), found.end(), "date", (full, month, day))


@cache
def _months(language: str) -> dict[str, int]:
    names = {}
    for width in ("wide", "abbreviated"):
        for context in ("format", "stand-alone"):
            for number, name in get_month_names(width, context, language).items():
                if not name[0].isdigit():
                    names[fold(name).rstrip(".")] = number
    return names


@cache
def _date_patterns(language: str) -> tuple[re.Pattern[str], ...]:
    month = f"(?P<m>{'|'.join(sorted(map(re.escape, _months(language)), key=len, reverse=True))})\\.?"
    year = r"(?:,?\s*(?:de\s+|of\s+)?(?P<y>\d{4}))?"
    day = r"(?P<d>\d{1,2})(?:st|nd|rd|th|er)?" if language != "de" else r"(?P<d>\d{1,2})\.?"
    texts = [_ISO]
    if language == "zh":
        texts += [r"(?:(?P<y>\d{4})\s*年)?\s*(?P<m>\d{1,2})\s*月\s*(?P<d>\d{1,2})\s*[日号]"]
    else:
        texts += [
            rf"(?<!\d)(?:the\s+)?{day}\s*(?:of\s+|de\s+)?{month}(?!\w){year}",
            rf"(?<!\w){month}\s*(?:the\s+)?{day}(?![\d\w]){year}",
        ]
    if language in ("de", "fr", "es"):
        texts += [r"(?<!\d)(?P<d>\d{1,2})[./](?P<m>\d{1,2})[./](?P<y>\d{4}|\d{2})?(?!\d)"]
    if language == "en":
        texts += [
            r"(?<!\d)(?P<m>\d{1,2})(?P<slash>/)(?P<d>\d{1,2})/(?P<y>\d{4})",
            r"(?<!\d)(?P<d>\d{1,2})(?P<slash>/)(?P<m>\d{1,2})/(?P<y>\d{4})",
        ]
    return tuple(re.compile(text) for text in texts)


def _times(text: str) -> Iterator[Quantity]:
    for found in _TIME.finditer(text):
        if int(found[1]) < 24 and int(found[2]) < 60:
            yield Quantity(found.start(), found.end(), "time", (int(found[1]), int(found[2])))


def _numbers(text: str, language: str) -> Iterator[Quantity]:
    moneys, units, pattern = _tables(language)
    for found in pattern.finditer(text):
        word = found["one"]
        amount = 1 if word else value_of(found["digits"], language)
        before, after = found["before"], (found["after"] or "").strip(" .-")
        end = found.end() if found["after"] else found.end("digits")
        if word and after not in units and after not in moneys:
            continue
        if found["nth"]:
            yield Quantity(found.start("digits"), found.end("nth"), "nth", (amount, ""))
        elif before or after in moneys:
            start = found.start() if before else (found.start("one") if word else found.start("digits"))
            yield Quantity(start, end, "money", (amount, moneys[before.strip() if before else after]))
        elif found["percent"]:
            yield Quantity(found.start("digits"), found.end("percent"), "percent", (amount, "%"))
        else:
            start = found.start("one") if word else found.start("digits")
            yield Quantity(start, end, "number", (amount, units.get(after, "")))


@cache
def _tables(language: str) -> tuple[dict[str, str], dict[str, str], re.Pattern[str]]:
    """Return spellings of currencies, spellings of units, and the pattern of numbers with either."""
    moneys, units, digits = _currencies(language), _unit_names(language), digits_of(language)
    lexicon = lexicon_of(language)
    spaced = lexicon is None or lexicon.spaced
    # Words have edges, but Chinese ones do not.
    begin, edge, gap = (r"(?<!\w)", r"(?!\w)", r"[\s-]?") if spaced else (r"(?<![\dA-Za-z])", "", r"\s?")
    ones = "|".join(lexicon.one) if lexicon and spaced else "(?!)"
    percent = rf"%|(?:percent|prozent|(?:pour|por|per) (?:cent|ciento|100)){edge}"
    pattern = re.compile(
        rf"(?:(?P<before>{begin if spaced else ''}(?:{_either(moneys)}))\s*|{begin}(?<!\d[.,]))"
        rf"(?:(?P<digits>{digits})|(?P<one>{ones})(?=[\s-]))"
        rf"(?P<nth>(?:st|nd|rd|th|º|ª|eme|e)(?!\w))?(?P<percent>\s?(?:{percent}))?(?P<after>{gap}(?:{_either(moneys | units)}){edge})?"
    )
    return moneys, units, pattern


def _either(table: dict[str, str]) -> str:
    return "|".join(sorted(map(re.escape, table), key=len, reverse=True))


@cache
def _currencies(language: str) -> dict[str, str]:
    locale, names = Locale(language), dict[str, str]()
    for code in _CURRENCIES.split():
        spellings = {code, get_currency_symbol(code, locale), *(get_currency_name(code, count, locale) for count in (None, 1, 2, 5))}
        for spelling in spellings:
            names.setdefault(fold(spelling), code)
    for code, words in _MORE_CURRENCIES.get(language, {}).items():
        names.update(dict.fromkeys(fold(words).split(), code))
    names.setdefault("$", "USD")
    return names


@cache
def _unit_names(language: str) -> dict[str, str]:
    locale, names = Locale(language), dict[str, str]()
    for unit in _UNITS.split():
        texts = [format_unit(count, unit, length, locale=locale) for count in (1, 2, 5) for length in ("long", "short")]
        more = _MORE_UNITS.get(language, {}).get(unit, "").split()
        for spelling in [*(re.sub(r"[\d\s]", "", fold(text)).strip(".") for text in texts), *map(fold, more)]:
            if spelling and spelling not in _NO_UNITS:
                names.setdefault(spelling, unit)
    if language == "de":  # the dative: in 40 Litern
        names |= {f"{name}n": unit for name, unit in names.items() if name[-1] in "er"}
    return names
