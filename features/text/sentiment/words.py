"""Multinomial logistic regression over TF-IDF of a text's terms: words and pairs of words, or characters where a script has no spaces.

scikit-learn fits it; numpy and scipy are enough to apply it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
import scipy.sparse as sp
from safetensors.numpy import load, save

from features.text.sentiment.labels import CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Terms = Literal["words", "characters"]
LONGEST = 3  # characters of a term, where terms are characters
MOST = 200_000  # terms
ABSENT = -20.0  # logit of a class that training has not seen
_WORD = re.compile(r"\w+")
_NO_SPACES = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


def kind_of_terms(texts: Sequence[str]) -> Terms:
    """Return "characters" if at least half of the letters belong to scripts that write no spaces."""
    column = pl.Series(texts, dtype=pl.String)
    without = int(column.str.count_matches(_NO_SPACES).sum())
    return "characters" if without and without * 2 >= int(column.str.count_matches(r"\p{L}").sum()) else "words"


def terms_of(text: str, kind: Terms) -> list[str]:
    """Return the terms of a text, repeated as often as they occur."""
    text = text.lower()
    if kind == "words":
        words = _WORD.findall(text)
        return words + [f"{one} {two}" for one, two in pairwise(words)]
    text = " ".join(text.split())
    return [text[i : i + n] for n in range(1, LONGEST + 1) for i in range(len(text) - n + 1)]


@dataclass(frozen=True)
class WordModel:
    """The fitted regression.

    Attributes
    ----------
    place : term -> its row in `weights`.
    idf : float64 (t,).
    weights : float32 (t, 3).
    bias : float32 (3,).
    """

    kind: Terms
    place: Mapping[str, int]
    idf: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, texts: Sequence[str], labels: np.ndarray, strength: float = 1.0) -> WordModel:
        """Fit with classes weighted to equal sums.

        Parameters
        ----------
        labels : of two classes at least, int (n,); a class that does not occur gets a logit that is never the highest.
        strength : inverse of the ridge penalty, scikit-learn's C.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        kind = kind_of_terms(texts)
        counts = TfidfVectorizer(analyzer=lambda text: terms_of(text, kind), min_df=2, max_features=MOST, sublinear_tf=True)
        matrix = counts.fit_transform(texts)
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=300).fit(matrix, labels)
        place = {term: int(row) for term, row in counts.vocabulary_.items()}
        weights = np.zeros((len(place), len(CLASSES)), dtype=np.float32)
        bias = np.full(len(CLASSES), ABSENT, dtype=np.float32)
        signs = np.array([[-0.5], [0.5]]) if len(model.classes_) == 2 else np.eye(len(CLASSES))  # of two classes, one has weights
        weights[:, model.classes_], bias[model.classes_] = (signs @ model.coef_).T, signs @ model.intercept_
        return cls(kind, place, counts.idf_, weights, bias)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the logits, float32 (n, 3)."""
        matrix = self._tf_idf(texts)
        return (matrix @ self.weights + self.bias).astype(np.float32)

    def _tf_idf(self, texts: Sequence[str]) -> sp.csr_array:
        """Return rows of norm 1, or of norm 0 where no term is known."""
        columns: list[int] = []
        begin = [0]
        for text in texts:
            columns += [self.place[term] for term in terms_of(text, self.kind) if term in self.place]
            begin.append(len(columns))
        matrix = sp.csr_array((np.ones(len(columns)), columns, begin), shape=(len(texts), len(self.place)))
        matrix.sum_duplicates()
        matrix.data = (1 + np.log(matrix.data)) * self.idf[matrix.indices]
        norm = np.sqrt(matrix.multiply(matrix).sum(axis=1))
        matrix.data /= np.repeat(np.where(norm > 0, norm, 1), np.diff(matrix.indptr))
        return matrix

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Return the share of each text's single words, or characters, that training saw, float64 (n,)."""
        return np.array([_mean([term in self.place for term in single_terms(text, self.kind)]) for text in texts])

    def to_files(self) -> dict[str, bytes]:
        """Return the terms as JSON and the numbers as safetensors."""
        about = {"kind": self.kind, "terms": sorted(self.place, key=lambda term: self.place[term])}
        arrays = {"idf": self.idf, "weights": self.weights, "bias": self.bias}
        return {
            "words.json": json.dumps(about, ensure_ascii=False).encode(),
            "words.safetensors": save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> WordModel:
        """Read the files of `to_files`."""
        about, arrays = json.loads(files["words.json"]), load(files["words.safetensors"])
        place = {term: row for row, term in enumerate(about["terms"])}
        return cls(about["kind"], place, arrays["idf"], arrays["weights"], arrays["bias"])


def single_terms(text: str, kind: Terms) -> list[str]:
    """Return the words, or the letters, of a text."""
    words = _WORD.findall(text.lower())
    return words if kind == "words" else list("".join(words))


def _mean(values: list[bool]) -> float:
    return sum(values) / len(values) if values else 0.0
