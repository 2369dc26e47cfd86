"""Ids of users, items and events: one spelling for one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.ingest.values.placeholders import present

if TYPE_CHECKING:
    import polars as pl

_WHOLE_FLOAT = r"^-?\d+\.0+$"


def survey(name: str) -> dict[str, pl.Expr]:
    """Return facts of the whole column, as aggregates: whether all ids are written as floats."""
    text = present(name)
    return {f"{name} floats": text.str.contains(_WHOLE_FLOAT).all() & text.is_not_null().any()}


def read(name: str, facts: dict[str, bool]) -> pl.Expr:
    """Return an id. In a column of only 17850.0, 17841.0 the exporting program wrote the ids as floats."""
    return present(name).str.replace(r"\.0+$", "") if facts[f"{name} floats"] else present(name)
