"""TF-IDF of a text's terms: words and pairs of words, or characters where a script has no spaces.

scikit-learn fits it; numpy and scipy are enough to apply it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
import scipy.sparse as sp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal["words", "characters"]
LONGEST = 3  # characters of a term, where terms are characters
MOST = 200_000  # terms
_WORD = re.compile(r"\w+")
_NO_SPACES = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


def kind_of_terms(texts: Sequence[str]) -> Kind:
    """Return "characters" if at least half of the letters belong to scripts that write no spaces."""
    column = pl.Series(texts, dtype=pl.String)
    without = int(column.str.count_matches(_NO_SPACES).sum())
    return "characters" if without and without * 2 >= int(column.str.count_matches(r"\p{L}").sum()) else "words"


def terms_of(text: str, kind: Kind) -> list[str]:
    """Return the terms of a text, repeated as often as they occur."""
    text = text.lower()
    if kind == "words":
        words = _WORD.findall(text)
        return words + [f"{one} {two}" for one, two in pairwise(words)]
    text = " ".join(text.split())
    return [text[i : i + n] for n in range(1, LONGEST + 1) for i in range(len(text) - n + 1)]


@dataclass(frozen=True)
class Terms:
    """Terms that training saw.

    Attributes
    ----------
    place : term -> its column.
    idf : float64 (t,).
    """

    kind: Kind
    place: Mapping[str, int]
    idf: np.ndarray

    @classmethod
    def fit(cls, texts: Sequence[str], least: int, kind: Kind | None = None) -> Terms:
        """Return the terms that occur in so many texts at least; of the kind that fits the texts if none is given."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        kind = kind or kind_of_terms(texts)
        counts = TfidfVectorizer(analyzer=lambda text: terms_of(text, kind), min_df=least, max_features=MOST, sublinear_tf=True).fit(texts)
        return cls(kind, {term: int(row) for term, row in counts.vocabulary_.items()}, counts.idf_)

    def vectors(self, texts: Sequence[str]) -> sp.csr_array:
        """Return sparse rows of norm 1, or of norm 0 where no term is known, float64 (n, t)."""
        columns: list[int] = []
        begin = [0]
        for text in texts:
            columns += [self.place[term] for term in terms_of(text, self.kind) if term in self.place]
            begin.append(len(columns))
        # scikit-learn takes indices of 32 bits only.
        place, rows = np.array(columns, dtype=np.int32), np.array(begin, dtype=np.int32)
        matrix = sp.csr_array((np.ones(len(columns)), place, rows), shape=(len(texts), len(self.place)))
        matrix.sum_duplicates()
        matrix.data = (1 + np.log(matrix.data)) * self.idf[matrix.indices]
        norm = np.sqrt(matrix.multiply(matrix).sum(axis=1))
        matrix.data /= np.repeat(np.where(norm > 0, norm, 1), np.diff(matrix.indptr))
        return matrix

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Return the share of each text's single words, or characters, that training saw, float64 (n,)."""
        return np.array([_mean([term in self.place for term in single_terms(text, self.kind)]) for text in texts])

    def in_order(self) -> list[str]:
        """Return the terms in the order of their columns."""
        return sorted(self.place, key=lambda term: self.place[term])

    @classmethod
    def of(cls, kind: Kind, terms: Sequence[str], idf: np.ndarray) -> Terms:
        """Return terms from those of `in_order`."""
        return cls(kind, {term: row for row, term in enumerate(terms)}, idf)


def single_terms(text: str, kind: Kind) -> list[str]:
    """Return the words, or the letters, of a text."""
    words = _WORD.findall(text.lower())
    return words if kind == "words" else list("".join(words))


def _mean(values: list[bool]) -> float:
    return sum(values) / len(values) if values else 0.0
