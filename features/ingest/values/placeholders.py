"""Raw values of a column: text without outer white space, and the words that spell a missing value."""

from __future__ import annotations

import polars as pl

# Case matters: "Nan" is a bread.
NULLS = ("", "nan", "NaN", "NAN", "null", "NULL", "None", "<NA>", "\\N")
RAW = "raw."  # begins the names of raw columns, so that a rule can refer to the value as it was


def raw(name: str) -> pl.Expr:
    """Return the column as it was read."""
    return pl.col(f"{RAW}{name}")


def present(name: str) -> pl.Expr:
    """Return raw text without outer white space; null where it spells a missing value."""
    return not_null_word(raw(name).cast(pl.String).str.strip_chars())


def line(text: pl.Expr) -> pl.Expr:
    """Return text on one line, without control characters (NUL, terminal escapes)."""
    return not_null_word(text.str.replace_all(r"[\s\p{Cc}]+", " ").str.strip_chars())


def not_null_word(text: pl.Expr) -> pl.Expr:
    """Return text; null where it spells a missing value."""
    return pl.when(~text.is_in(NULLS)).then(text)
