"""Stars of a rating: numbers, and the spellings of review sites and spreadsheets."""

from __future__ import annotations

import polars as pl

from features.ingest.money.number_forms import number
from features.ingest.values.placeholders import present
from features.names import DISLIKE, STARS

# 4,5 and 4/5, 4 out of 5 stars, 80%, 5 stars.
_SLASH = r"(?:/|of|out of|von|sur|de)\s*"
_OF = rf"{_SLASH}\d+(?:[.,]\d+)?"
_NUMBER = rf"(?i)^([+-]?\d+(?:[.,]\d+)?)\s*(?:%|{_OF})?\s*(?:stars?|points?|pts\.?|sterne?|★|⭐\u{{fe0f}}?)?$"
_GLYPHS = r"^[★⭐✩☆½\u{fe0f}\s]+$"
_FULL = r"[★⭐]"
_HIGHEST = rf"(?i)\d\s*{_SLASH}(\d+(?:[.,]\d+)?)"
_USUAL = 5.0  # stars of a row of stars
_GOOD = ("true", "yes", "up", "thumbs up", "thumbup", "thumbs-up", "thumbs_up", "like", "liked", "\U0001f44d")
_BAD = ("false", "no", "down", "thumbs down", "thumbdown", "thumbs-down", "thumbs_down", DISLIKE, "disliked", "\U0001f44e")


def stars(*, plain: bool) -> pl.Expr:
    """Return the stars of each row; null where there are none, or where they are not understood.

    Parameters
    ----------
    plain : whether all are numbers as programs write them, which is quicker to read.
    """
    if plain:
        return number(STARS)
    text = present(STARS)
    word = text.str.to_lowercase()
    spelt = text.str.extract(_NUMBER).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    half = text.str.contains("½", literal=True).cast(pl.Float64) / 2
    glyphs = pl.when(text.str.contains(_GLYPHS)).then(text.str.count_matches(_FULL).cast(pl.Float64) + half)
    thumb = pl.when(word.is_in(_GOOD)).then(1.0).when(word.is_in(_BAD)).then(0.0)
    return pl.coalesce(number(STARS), spelt, glyphs, thumb)


def highest() -> pl.Expr:
    """Return the most stars that there can be, where the spelling says so: 4/5, 4 out of 10, 80%, ★★★★☆, up; else null."""
    text = present(STARS)
    said = text.str.extract(_HIGHEST).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    percent = pl.when(text.str.ends_with("%")).then(100.0)
    glyphs = pl.when(text.str.contains(_GLYPHS)).then(text.str.count_matches(r"[★⭐✩☆]").cast(pl.Float64).clip(lower_bound=_USUAL))
    thumb = pl.when(text.str.to_lowercase().is_in([*_GOOD, *_BAD])).then(1.0)
    return pl.coalesce(pl.when(said > 0).then(said), percent, glyphs, thumb)
