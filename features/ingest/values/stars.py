"""Stars of a rating: numbers, and the spellings of review sites and spreadsheets."""

from __future__ import annotations

import polars as pl

from features.ingest.money.number_forms import number
from features.ingest.values.placeholders import present
from features.names import DISLIKE, STARS

# 4,5 and 4/5, 4 out of 5 stars, 80%, 5 stars.
_OF = r"(?:/|of|out of|von|sur|de)\s*\d+(?:[.,]\d+)?"
_NUMBER = rf"(?i)^([+-]?\d+(?:[.,]\d+)?)\s*(?:%|{_OF})?\s*(?:stars?|points?|pts\.?|sterne?|★|⭐\u{{fe0f}}?)?$"
_GLYPHS = r"^[★⭐✩☆\u{fe0f}\s]+$"
_FULL = r"[★⭐]"
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
    glyphs = pl.when(text.str.contains(_GLYPHS)).then(text.str.count_matches(_FULL).cast(pl.Float64))
    thumb = pl.when(word.is_in(_GOOD)).then(1.0).when(word.is_in(_BAD)).then(0.0)
    return pl.coalesce(number(STARS), spelt, glyphs, thumb)
