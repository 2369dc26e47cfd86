"""Raw values of a column: text without outer white space, and the words that spell a missing value."""

from __future__ import annotations

import polars as pl

# Programs write these where they have no value. Case matters: "Nan" is a bread.
WRITTEN = ("", "nan", "NaN", "NAN", "null", "NULL", "None", "<NA>", "\\N")
# People and spreadsheets write these too: no title, brand, price or date reads so.
NULLS = (
    *WRITTEN,
    *("NA", "N/A", "n/a", "#N/A", "#NA", "#NULL!", "#REF!", "#VALUE!", "#DIV/0!", "NaT", "nil", "(null)", "(none)"),
    *("(not set)", "(not provided)", "undefined", "[object Object]", "-", "--", "---", "?", "\u2013", "\u2014"),
)
_NOBODY = ("unknown", "anonymous", "guest", "none", "nil", "null", "undefined", "n/a", "(not set)", "(not provided)", "(none)", "not set")
# As an id these are no one, besides.
NO_ID = (
    *NULLS,
    *[spelt for word in _NOBODY for spelt in (word, word.upper(), word.capitalize())],
    *("00000000-0000-0000-0000-000000000000", "[object object]", "*unknown*"),
)
ID_PLACEHOLDERS = tuple(dict.fromkeys(word for word in NO_ID if word not in WRITTEN))
RAW = "raw."  # begins the names of raw columns, so that a rule can refer to the value as it was


def raw(name: str) -> pl.Expr:
    """Return the column as it was read."""
    return pl.col(f"{RAW}{name}")


def trimmed(name: str) -> pl.Expr:
    """Return raw text without outer white space."""
    return raw(name).cast(pl.String).str.strip_chars()


def present(name: str) -> pl.Expr:
    """Return raw text without outer white space; null where it spells a missing value."""
    return not_null_word(trimmed(name))


def line(text: pl.Expr) -> pl.Expr:
    """Return text on one line, without control characters (NUL, terminal escapes); null where it spells a missing value."""
    return not_null_word(one_line(text))


def one_line(text: pl.Expr) -> pl.Expr:
    """Return text with one space for white space and control characters of any number."""
    return text.str.replace_all(r"[\s\p{Cc}]+", " ").str.strip_chars()


def not_null_word(text: pl.Expr, words: tuple[str, ...] = NULLS) -> pl.Expr:
    """Return text; null where it spells a missing value."""
    return pl.when(~text.is_in(words)).then(text)
