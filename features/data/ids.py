"""Ids of users, items and events: one spelling for one thing, wherever an id comes in.

A table's column, a file of users, an option of the command line and a request all spell an id the same way in the end. What one id alone
cannot tell, such as whether 5001.0 is 5001, a whole column decides: `features.ingest.values.ids`.
"""

from __future__ import annotations

import re
import unicodedata

import polars as pl

# What `normal` changes. Plain ASCII without outer space has none of it, and that is what nearly all ids are.
ODD = r"""[^!-~ ]|  |^["'=]"""
DECIMAL = r"^[+-]?\d+(?:\.0+|,00?)$"  # a whole number that went through a program for which it was a fraction
_PLAIN = re.compile(r"""(?!["'=])[!-~](?:[!-~]| (?! ))*(?<! )""")
# Format characters (zero width, direction, soft hyphen, byte order mark), fillers and variation selectors.
_INVISIBLE = r"[\p{Cf}\u{034f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}-\u{180f}\u{2800}\u{3164}\u{fe00}-\u{fe0f}\u{ffa0}]"
_QUOTES = "\"'“”„«»"
_QUOTED = rf"^[={_QUOTES}]*[{_QUOTES}]\s*([^\s{_QUOTES}].*?)\s*[{_QUOTES}]+$"
_OPEN = rf'^"\s*([^\s{_QUOTES}](?:[^"]*[^"\s])?)$'  # a quote that its file never closes
_APOSTROPHE = r"^'([\d=+@-])"  # a spreadsheet's sign that what follows is text


def normal(text: pl.Expr) -> pl.Expr:
    """Return ids in their one spelling.

    Unicode is composed (NFC). Invisible characters are removed. White space of any kind is one space inside and none outside. Quotes around
    the id, a spreadsheet's apostrophe in front and its ="00123" are removed. Case, zeros and hyphens are part of an id.
    """
    visible = text.str.replace_all(_INVISIBLE, "").str.replace_all(r"[\s\p{Cc}]+", " ").str.strip_chars()
    return visible.str.normalize("NFC").str.replace(_QUOTED, "$1").str.replace(_OPEN, "$1").str.replace(_APOSTROPHE, "$1")


def normal_id(text: str) -> str:
    """Return one id as a table's column of ids would have it; see `normal`."""
    if not text or _PLAIN.fullmatch(text):
        return text
    if any("\ud800" <= char <= "\udfff" for char in text):  # half of a character, which JSON can express: no table has such an id
        return text
    return pl.select(normal(pl.lit(text))).item()


def spellings(text: str) -> tuple[str, ...]:
    """Return the ids that a table may have for this one: as it is, in its one spelling, and 5001 for 5001.0."""
    one = normal_id(text)
    whole = re.sub(r"[.,]0+$", "", one) if re.match(DECIMAL, one) else one
    return tuple(dict.fromkeys((text, one, whole)))


def visible(text: str) -> str:
    """Return an id in quotes for a message, with what cannot be seen escaped: zero widths, odd spaces, accents that stand apart."""
    seen = (char if char.isprintable() and not unicodedata.combining(char) else ascii(char)[1:-1] for char in text)
    quote = '"' if "'" in text else "'"
    return f"{quote}{''.join(seen)}{quote}"
