"""Quantities in one spelling: "1 gallon", "1-gallon" and "1 GA" become "1gal", "1,5 Liter" becomes "1.5l".

Units are not converted: 128 oz and 1 gal are different sizes on a shelf.
"""

from __future__ import annotations

import re

# Spellings of each unit in lower case, as regular expressions. The first column is what tokens hold.
UNITS: dict[str, str] = {
    "gal": r"gal(?:lons?|s)?|ga|gallonen",
    "oz": r"(?:fl(?:uid)?\.?\s*)?(?:ounces?|ozs?|onzas?)|fz|z",
    "lb": r"pounds?|lbs?|libras?",
    "qt": r"quarts?|qts?",
    "pt": r"pints?|pts?",
    "ct": r"counts?|cnt|ct",
    "pk": r"packs?|pks?|packung(?:en)?",
    "pc": r"pieces?|pcs?\(s\)|pcs?|stuck|stk",
    "dz": r"dozens?|dozn?|dzn?",
    "in": r"inch(?:es)?|in(?!\s+(?:\d|an?\b|the\b|one\b|stock\b))|zoll",
    "ft": r"foot|feet|ft",
    "yd": r"yards?|yds?",
    "mm": r"millimet(?:er|re)s?|mm",
    "cm": r"centimet(?:er|re)s?|cms?",
    "m": r"met(?:er|re)s?|metros?|mtrs?|m",
    "ml": r"millilit(?:er|re)s?|mls?",
    "cl": r"centilit(?:er|re)s?|cl",
    "l": r"lit(?:er|re|ro)s?|ltr?s?|l",
    "mg": r"milligrams?|mgs?",
    "kg": r"kilo(?:gram(?:m|me|o)?)?s?|kgs?",
    "g": r"gram(?:m|me|o)?s?|gms?|gr|g",
    "kb": r"kilobytes?|kb",
    "mb": r"megabytes?|mb",
    "gb": r"gigabytes?|gbs?",
    "tb": r"terabytes?|tbs?",
    "hz": r"hertz|hz",
    "mhz": r"megahertz|mhz",
    "ghz": r"gigahertz|ghz",
    "mah": r"milliamp(?:ere)?[\s-]hours?|mah",
    "w": r"watts?|w",
    "kw": r"kilowatts?|kw",
    "v": r"volts?|v",
    "mp": r"megapixels?|mpix|mp",
}
# Words that customers write out, and misspell.
_WRITTEN_OUT = {
    "gal": "gallon gallons",
    "oz": "ounce ounces",
    "lb": "pound pounds",
    "qt": "quart",
    "pt": "pint",
    "dz": "dozen",
    "in": "inch inches",
    "l": "liter litre",
    "g": "grams",
    "kg": "kilo",
    "w": "watt",
    "v": "volt",
}
UNIT_WORDS = {word: unit for unit, words in _WRITTEN_OUT.items() for word in words.split()}
_MARKS = {'"': "in", "''": "in", "'": "ft", "#": "lb"}
_ASIDE = {"in", "z", "m", "l", "g", "w", "v", "ga", "mp", "stuck"}  # letters and words that say nothing without a number
_NUMBER = r"(?:\d{1,3}[\s-]+)?\d{1,3}/\d{1,3}|\d+(?:[.,]\d+)*|\.\d+"
_WORDS = {"half": "0.5", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "ten": "10", "twelve": "12"}

_ANY_UNIT = "|".join(f"(?P<{name}>{spellings})" for name, spellings in UNITS.items())
_QUANTITY = re.compile(rf"(?<![\w.])(?P<number>{_NUMBER})(?:[\s-]*(?:{_ANY_UNIT})(?!\w)|\s?(?P<mark>{'|'.join(_MARKS)})(?!\w))")
_SHOWN = re.compile(rf"{_QUANTITY.pattern}|[^\s/]+", re.IGNORECASE)
_SPOKEN = re.compile(
    rf"\b(?P<word>{'|'.join(_WORDS)})[\s-]+(?:an?\s+)?(?=(?:gallon|pound|ounce|quart|pint|dozen|lit(?:er|re)|kilo|pack|count)s?\b)"
)
_TIMES = re.compile(r"(?<![a-z\d])\d+(?:[.,]\d+)?(?:\s*[x×*]\s*\d+(?:[.,]\d+)?)+")
_DIGIT = re.compile(r"\d")
_QUOTED = re.compile(r'(?<!\S)"([^"]*)"(?!\w)')
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_TOKEN = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(sorted(UNITS, key=len, reverse=True))})")
_NAMED = {name: re.compile(spellings) for name, spellings in UNITS.items()}


def normalize_units(text: str) -> str:
    """Return a text in lower case with each quantity as one word, and with factors ("12x33 cl") as separate numbers."""
    text = _SPOKEN.sub(lambda found: _WORDS[found["word"]] + " ", text)
    if not _DIGIT.search(text):
        return text
    if '"' in text:
        text = _QUOTED.sub(r" \1 ", text)
    text = _TIMES.sub(lambda found: re.sub(r"\s*[x×*]\s*", " ", found[0]), text)
    return _QUANTITY.sub(_quantity, text)


def shown_words(text: str) -> list[str]:
    """Return the words of a text as they stand, each quantity with its unit as one: "Milk, 1 GA" has "Milk," and "1 GA"."""
    return [found[0] for found in _SHOWN.finditer(text)]


def number(text: str) -> str:
    """Return a number without grouping and trailing zeros: "1,5" and "1.50" become "1.5", "1,000" becomes "1000"."""
    if "/" in text:
        *whole, fraction = re.split(r"[\s-]+", text)
        over, under = (int(part) for part in fraction.split("/"))
        return _plain(sum(map(int, whole)) + over / under) if 0 < under <= 64 else text.replace("/", " ")
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    whole, _, rest = text.replace(",", ".").partition(".")
    if "." in rest:  # a date or a version
        return text
    return (whole.lstrip("0") or "0") + (f".{tail}" if (tail := rest.rstrip("0")) else "")


def split_quantity(token: str) -> tuple[str, str] | None:
    """Return number and unit of a token such as "1.5l"; None if it is no quantity."""
    found = _TOKEN.fullmatch(token)
    return (found[1], found[2]) if found else None


def unit_of(word: str) -> str | None:
    """Return the unit that a word names ("gallons"); None if it names none, or is too short to say so without a number."""
    if word in _ASIDE:
        return None
    return next((name for name, spelling in _NAMED.items() if spelling.fullmatch(word)), None)


def is_unit(word: str) -> bool:
    """Return whether a word is a spelling of a unit, whatever else it may mean."""
    return any(spelling.fullmatch(word) for spelling in _NAMED.values())


def _plain(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _quantity(found: re.Match[str]) -> str:
    unit = _MARKS[found["mark"]] if found["mark"] else next(name for name in UNITS if found[name])
    value = number(found["number"])
    return f" {value}{unit} " if re.fullmatch(r"\d+(?:\.\d+)?", value) else f" {value} {unit} "
