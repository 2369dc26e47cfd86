"""Numbers and money."""

from __future__ import annotations

import polars as pl

from features.ingest.values.placeholders import present

_LOWEST = r"^(?:from )?[$€£¥]?\s*(\d[\d,]*\.?\d*)"
_THOUSANDS = r"^[$€£¥]?\s*-?\d{1,3}(,\d{3})+(\.\d+)?$"


def number(name: str) -> pl.Expr:
    """Return a plain number; null where it is none, or not finite."""
    value = present(name).cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def money(name: str) -> pl.Expr:
    """Return a number as people write it: $1,299.00. A decimal comma is refused, because its meaning is ambiguous."""
    text = present(name)
    plain = pl.when(text.str.contains(_THOUSANDS)).then(text.str.replace_all(",", "")).otherwise(text)
    number = plain.str.replace(r"^[$€£¥]\s*", "").cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def lowest(name: str) -> pl.Expr:
    """Return the number that a text begins with: the lower end of a range of prices."""
    return present(name).str.extract(_LOWEST).str.replace_all(",", "").cast(pl.Float64, strict=False)
