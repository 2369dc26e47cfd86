"""Numbers, money and dates as a language writes them, by Babel."""

from __future__ import annotations

import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from recsys.wording.facts import FactKind

if TYPE_CHECKING:
    from recsys.wording.facts import Fact


@cache
def locale_of(language: str) -> Locale | None:
    """Return the locale of a language tag such as "de" or "pt-BR"; None if there is no such language."""
    try:
        return Locale.parse(language, sep="-" if "-" in language else "_")
    except (UnknownLocaleError, ValueError):
        return None


def language_name(language: str) -> str:
    """Return the English name of a language; its tag if there is none."""
    locale = locale_of(language)
    return (locale.get_display_name("en") if locale else None) or language


def plural_category(number: float | Decimal, language: str) -> str:
    """Return the CLDR plural category of a number: "one", "few", "other" and so on."""
    locale = locale_of(language)
    return locale.plural_form(abs(number)) if locale else "other"


def written(fact: Fact, language: str) -> str:
    """Return a fact's value as a language writes it. A yes or no is not written here, because templates have the words."""
    locale, value = locale_of(language) or Locale("en"), fact.value
    if fact.kind == FactKind.MONEY and isinstance(value, int | float | Decimal):
        amount = Decimal(str(value))
        # A no-break space would end words in no terminal, and customers copy prices into searches.
        text = format_currency(amount, fact.currency, locale=locale) if fact.currency else format_decimal(amount, "#,##0.00", locale=locale)
        return _plain_spaces(text)
    if isinstance(value, datetime.date):
        return _plain_spaces(format_date(value, "long", locale=locale))
    if isinstance(value, int | float | Decimal):
        return _plain_spaces(format_decimal(Decimal(str(value)), locale=locale, decimal_quantization=False))
    return str(value)


def _plain_spaces(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")
