"""Words as customers read them: the catalogue's and the search log's, with the number of texts that hold each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from rapidfuzz import process
from rapidfuzz.distance import OSA

from retrieval.lexical.analyzer import fold
from retrieval.lexical.term_counts import pack_strings, unpack_strings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_LOG_WORDS, LEAST_COUNT = 2_000, 5  # words of the log alone that are looked at, and how often one must be asked for
_WORD = r"[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*"


@dataclass(frozen=True)
class WordCounts:
    """Words as customers read them, in lower case.

    Attributes
    ----------
    words : list of str
        Folded (without accents), each once, sorted.
    shown : list of str
        The most frequent spelling of each, accents included.
    counts : int64 (n,)
        Number of texts, and of queries, that hold it.
    """

    words: list[str]
    shown: list[str]
    counts: np.ndarray

    @classmethod
    def count(cls, texts: Sequence[pl.Series], queries: pl.Series | None = None) -> WordCounts:
        """Count the words of the catalogue's fields and of the search log.

        A word that only customers write is taken as a word if it is frequent and not within an edit of the catalogue's.
        """
        counts, shown = _folded(_held([column.cast(pl.String) for column in texts]))
        if queries is not None:
            asked, spelt = _folded(_held([queries.cast(pl.String)]))
            new = Counter({word: n for word, n in asked.items() if word not in counts and n >= LEAST_COUNT})
            known, common = list(counts), [word for word, _ in new.most_common(MOST_LOG_WORDS)]
            near = {word for word in common if process.extractOne(word, known, scorer=OSA.distance, score_cutoff=1)}
            taken = set(common) - near
            counts.update({word: n for word, n in asked.items() if word in counts or word in taken})
            shown = spelt | shown
        words = sorted(counts)
        return cls(words, [shown[word] for word in words], np.array([counts[word] for word in words], dtype=np.int64))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_arrays` reads."""
        (words, word_ends), (shown, shown_ends) = pack_strings(self.words), pack_strings(self.shown)
        return {"words": words, "word_ends": word_ends, "shown": shown, "shown_ends": shown_ends, "counts": self.counts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> WordCounts:
        """Read the arrays of `arrays`."""
        words, shown = (unpack_strings(arrays[name], arrays[f"{end}_ends"]) for name, end in (("words", "word"), ("shown", "shown")))
        return cls(words, shown, arrays["counts"])


def _held(columns: Sequence[pl.Series]) -> pl.DataFrame:
    """Return each word in lower case and how many texts hold it, most frequent first."""
    words = pl.col("word").str.to_lowercase().str.extract_all(_WORD).list.unique().explode()
    parts = [column.alias("word").to_frame().lazy().select(words).drop_nulls().group_by("word").len() for column in columns]
    total = pl.concat(parts).group_by("word").agg(pl.col("len").sum())
    return total.collect(engine="streaming").sort("len", "word", descending=[True, False])


def _folded(held: pl.DataFrame) -> tuple[Counter[str], dict[str, str]]:
    """Return the counts of words without accents, and the most frequent spelling of each."""
    counts: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for word, n in held.iter_rows():
        folded = fold(word).replace("'", "")
        counts[folded] += n
        shown.setdefault(folded, word)
    return counts, shown
