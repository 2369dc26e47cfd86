"""Tells the language of sentences by their function words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

# Frequent words, folded, each of one language among these.
FUNCTION_WORDS = {
    "english": "the and is it for with this that was i my of to not but are they you very these have has",
    "german": "und ist nicht das der mit sehr ich es ein eine auch aber fur zu auf wie von nur den",
    "french": "est les et pas tres pour une je avec mais il que dans ce cette des sur bien elle du",
    "spanish": "muy es los con una para pero no el que y las por lo bien me del esta al se",
}


ENOUGH = 50  # texts with function words, to know a shop's languages
RARE = 0.02  # of the texts that have function words: a language below is taken for chance


def languages_of(texts: pl.Series, languages: Sequence[str]) -> pl.Series:
    """Return the language of each folded text among those of `FUNCTION_WORDS`; null where it has no word of them.

    Parameters
    ----------
    languages : sequence of str
        Those to choose from; others are ignored.
    """
    known = [language for language in languages if language in FUNCTION_WORDS]
    counts = pl.DataFrame({"text": texts}).select(
        pl.col("text").str.count_matches(rf"\b(?:{FUNCTION_WORDS[language].replace(' ', '|')})\b").alias(language) for language in known
    )
    if not known:
        return pl.repeat(None, len(texts), dtype=pl.String, eager=True)
    best = pl.max_horizontal(known)
    chosen = pl.coalesce(pl.when((pl.col(language) == best) & (best > 0)).then(pl.lit(language)) for language in known)
    return counts.select(chosen.alias("language"))["language"]


def common_languages(found: pl.Series) -> list[str]:
    """Return the languages that a shop's texts are written in, given what `languages_of` returned; all of them if few texts tell."""
    counts = found.drop_nulls().value_counts()
    known = sum(counts["count"])
    if known < ENOUGH:
        return list(FUNCTION_WORDS)
    return counts.filter(pl.col("count") >= RARE * known).get_column(found.name).sort().to_list()
