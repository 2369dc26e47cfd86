"""Which passage of a product's texts answers a question about it, and how probable it is that it does.

The passages are few: attributes, sentences of the description, and sentences of reviews. The words and runs of letters that question and
passage share, the cosine of their vectors and the passage's length give each passage a probability. That of the best one is calibrated by
how far it leads, and by how many others are expected to answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from retrieval.passages.grams import GramIndex

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

LEAST_WEIGHT = 0.1  # of a word that all passages hold: it says little, and no more where a product has two passages than where it has fifty
FEATURES = ("words", "grams", "cosine", "length")
SIGNALS = ("best", "lead", "mean", "expected", "words", "cosine", "length")
_CLIP = 1e-4


def word_shares(wordings: Sequence[Sequence[str]], passages: Sequence[Set[str]]) -> np.ndarray:
    """Return the share of a question's terms that each passage holds, in its best wording, float64 (n,).

    Parameters
    ----------
    wordings : ways to say the question, each as terms; a term counts the more, the fewer passages hold it.
    passages : terms of each passage.
    """
    n, best = len(passages), np.zeros(len(passages))
    for wording in wordings:
        held = np.array([[term in passage for term in dict.fromkeys(wording)] for passage in passages], dtype=float).reshape(n, -1)
        weights = np.maximum(LEAST_WEIGHT, np.log((n + 1) / (held.sum(axis=0) + 0.5)))
        if held.shape[1]:
            best = np.maximum(best, held @ weights / weights.sum())
    return best


def gram_shares(question: str, passages: Sequence[str]) -> np.ndarray:
    """Return the share of a question's runs of letters that each passage holds, the rarer the weightier, float32 (n,)."""
    return GramIndex.build([""] * len(passages), passages).evidence(question)[1]


def evidence_features(words: np.ndarray, grams: np.ndarray, cosines: np.ndarray, passages: Sequence[str]) -> np.ndarray:
    """Return what speaks for each passage, in the order of `FEATURES`, float64 (n, 4).

    Parameters
    ----------
    words, grams : from `word_shares` and `gram_shares`, (n,).
    cosines : of the vectors of question and passage, (n,).
    """
    return np.column_stack([words, grams, cosines, np.log1p([len(text.split()) for text in passages])]).astype(np.float64)


def answer_signals(probabilities: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return what tells whether the best passage answers, in the order of `SIGNALS`, float64 (7,).

    They are its log-odds, their lead over the second passage, the mean of all log-odds, the number of passages that are expected to
    answer, and three features of the best.

    Parameters
    ----------
    probabilities : that each passage answers, (n,), n > 0.
    features : from `evidence_features`, (n, 4).
    """
    odds = logit(np.clip(probabilities, _CLIP, 1 - _CLIP))
    best = int(np.argmax(odds))
    second = np.sort(odds)[-2] if len(odds) > 1 else logit(_CLIP)
    of_best = [features[best, FEATURES.index(name)] for name in ("words", "cosine", "length")]
    return np.array([odds[best], odds[best] - second, odds.mean(), np.log1p(probabilities.sum()), *of_best])


@dataclass(frozen=True)
class Logistic:
    """A logistic regression over named columns."""

    weights: Mapping[str, float]
    bias: float

    def probabilities(self, columns: np.ndarray) -> np.ndarray:
        """Return the probability of each row, (..., m) -> (...,)."""
        return expit(columns @ np.array(list(self.weights.values())) + self.bias)


@dataclass(frozen=True)
class JudgedPassages:
    """Passages of a product, judged for one question.

    Attributes
    ----------
    passages : probability that each passage answers, float64 (n,).
    best : the most probable one; None without a passage.
    answers : calibrated probability that the best one answers.
    """

    passages: np.ndarray
    best: int | None
    answers: float


@dataclass(frozen=True)
class EvidenceModel:
    """Judges passages.

    Attributes
    ----------
    passage : over `FEATURES`.
    answer : over `SIGNALS`.
    """

    passage: Logistic
    answer: Logistic

    def judge(self, features: np.ndarray) -> JudgedPassages:
        """Judge passages by their features, (n, 4)."""
        if not len(features):
            return JudgedPassages(np.zeros(0), None, 0.0)
        probabilities = self.passage.probabilities(features)
        told = self.answer.probabilities(answer_signals(probabilities, features))
        return JudgedPassages(probabilities, int(np.argmax(probabilities)), float(told))
