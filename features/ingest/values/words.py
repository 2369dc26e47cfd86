"""Words with a meaning of their own: availability."""

from __future__ import annotations

import polars as pl

from features.ingest.values.placeholders import present

YES, NO = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")


def available(name: str) -> pl.Expr:
    """Return whether the item can be bought; null where the word is not understood."""
    word = present(name).str.to_lowercase()
    return pl.when(word.is_in(YES)).then(True).when(word.is_in(NO)).then(False)
