"""BM25, the frozen text encoder and their fusion, each tuned on the training questions of a set."""

from __future__ import annotations

import itertools
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import bm25s
import numpy as np
import snowballstemmer
from bm25s.stopwords import STOPWORDS_EN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from recsys.offline.product_qa.dataset import ProductQa

WORDS = ("plain", "stemmed", "without stop words", "stemmed, without stop words")
K1 = (0.4, 0.8, 1.2, 1.6, 2.0)
B = (0.0, 0.25, 0.5, 0.75, 1.0)
DENSE_SHARES = tuple(np.round(np.arange(0, 1.0001, 0.05), 2).tolist())
_WORD = re.compile(r"\w+")


_STEMMER = snowballstemmer.stemmer("english")


@cache
def _stem(word: str) -> str:
    return _STEMMER.stemWord(word)


def words(text: str, how: str) -> list[str]:
    """Return the words of a text as BM25 counts them, `how` from `WORDS`."""
    found = _WORD.findall(text.lower())
    if "without stop words" in how:
        found = [word for word in found if word not in STOPWORDS_EN]
    return [_stem(word) for word in found] if "stemmed" in how else found


def fused(data: ProductQa, sparse: np.ndarray, dense: np.ndarray, share: float) -> np.ndarray:
    """Return the mix of both scores (p,), each scaled to 0..1 within its question; `share` weighs the dense one."""
    return (1 - share) * scaled(data, sparse) + share * scaled(data, dense)


def scaled(data: ProductQa, scores: np.ndarray) -> np.ndarray:
    """Return scores scaled to 0..1 within each question, float64 (p,); 0 where all are equal."""
    low, high = (reduce.reduceat(scores.astype(float), data.offsets[:-1])[data.of] for reduce in (np.minimum, np.maximum))
    return np.where(high > low, (scores - low) / np.where(high > low, high - low, 1), 0.0)


def choose(data: ProductQa, options: Iterable[tuple[Any, np.ndarray]], training: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return the option, a setting and its scores (p,), of the highest mean average precision over training questions."""
    return max(options, key=lambda option: np.nanmean(np.where(training, data.average_precision(option[1]), np.nan)))


class Bm25Grid:
    """BM25 of all pairs under each setting, computed once for all sets and folds."""

    def __init__(self, data: ProductQa) -> None:
        self.data = data
        self._scores: dict[tuple[str, float, float], np.ndarray] = {}
        self._words: dict[str, tuple[list[list[str]], list[list[str]]]] = {}

    def scores(self, how: str, k1: float = 1.2, b: float = 0.75) -> np.ndarray:
        """Return BM25 of each pair, float32 (p,); the passages of each dataset are one collection.

        Parameters
        ----------
        how : how words are counted, from `WORDS`.
        """
        key = (how, k1, b)
        if key not in self._scores:
            dataset = np.array([str(part).split(" ")[0] for part in self.data.part])[self.data.of]
            out = np.zeros(len(self.data.question), dtype=np.float32)
            for name in np.unique(dataset):
                pairs = np.flatnonzero(dataset == name)
                out[pairs] = self._of_collection(pairs, how, bm25s.BM25(k1=k1, b=b))
            self._scores[key] = out
        return self._scores[key]

    def _of_collection(self, pairs: np.ndarray, how: str, index: bm25s.BM25) -> np.ndarray:
        """Return the scores of pairs whose passages make up a collection, float32 (n,)."""
        if how not in self._words:
            texts = self.data.questions, self.data.passages
            self._words[how] = ([words(text, how) for text in texts[0]], [words(text, how) for text in texts[1]])
        questions, passages = self._words[how]
        out, question = np.zeros(len(pairs), dtype=np.float32), self.data.question[pairs]
        documents, position = np.unique(self.data.passage[pairs], return_inverse=True)
        index.index([passages[i] for i in documents], show_progress=False)
        order = np.argsort(question, kind="stable")
        for some in np.split(order, np.flatnonzero(np.diff(question[order])) + 1):
            if asked := [word for word in questions[question[some[0]]] if word in index.vocab_dict]:
                out[some] = index.get_scores(asked)[position[some]]
        return out

    def tuned(self, training: np.ndarray) -> tuple[Mapping[str, Any], np.ndarray]:
        """Return the best setting on training questions: first how words are counted, then k1 and b."""
        how, _ = choose(self.data, ((how, self.scores(how)) for how in WORDS), training)
        options = (((k1, b), self.scores(how, k1, b)) for k1, b in itertools.product(K1, B))
        (k1, b), scores = choose(self.data, options, training)
        return {"words": how, "k1": k1, "b": b}, scores
