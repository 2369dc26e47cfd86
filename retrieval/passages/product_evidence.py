"""Which passage of a product's texts answers a question about it, and how probable it is that it does.

The passages are few: attributes, sentences of the description, and sentences of reviews. The words and runs of letters that question and
passage share, the cosine of their vectors and the passage's length give each passage a probability. That of the best one is calibrated.
A passage of the shop is the surer, the further it leads: one attribute answers and the others do not. Reviews repeat each other, so a
review's lead says little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from retrieval.passages.grams import GramIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence, Set

FEATURES = ("words", "grams", "cosine", "length")
SIGNALS = ("best", "lead", "review", "words", "cosine", "length")
LONE = -6.0  # log-odds that a shop's only passage leads over
_CLIP = 1e-4


def rarity(texts_with: int, texts: int) -> float:
    """Return the inverse document frequency of a term that so many of the texts hold, as BM25 has it."""
    return math.log1p((texts - texts_with + 0.5) / (texts_with + 0.5))


def word_shares(wordings: Sequence[Sequence[str]], passages: Sequence[Set[str]], weight: Callable[[str], float]) -> np.ndarray:
    """Return the share of a question's terms that each passage holds, in its best wording, float64 (n,).

    Parameters
    ----------
    wordings : ways to say the question, each as terms.
    passages : terms of each passage.
    weight : of a term, such as its `rarity`.
    """
    best = np.zeros(len(passages))
    for wording in wordings:
        weights = {term: weight(term) for term in wording}
        if weights:
            held = [sum(share for term, share in weights.items() if term in passage) for passage in passages]
            best = np.maximum(best, np.array(held) / sum(weights.values()))
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


def answer_signals(probabilities: np.ndarray, features: np.ndarray, reviews: np.ndarray) -> np.ndarray:
    """Return what tells whether the best passage answers, in the order of `SIGNALS`, float64 (6,).

    They are its log-odds, their lead over the second passage of the shop (0 for a review), whether it is a review, and three features.

    Parameters
    ----------
    probabilities : that each passage answers, (n,), n > 0.
    features : from `evidence_features`, (n, 4).
    reviews : whether customers wrote it, bool (n,).
    """
    odds = logit(np.clip(probabilities, _CLIP, 1 - _CLIP))
    best = int(np.argmax(odds))
    rivals = ~reviews & (np.arange(len(odds)) != best)
    lead = 0.0 if reviews[best] else odds[best] - odds[rivals].max(initial=LONE)
    of_best = [features[best, FEATURES.index(name)] for name in ("words", "cosine", "length")]
    return np.array([odds[best], lead, float(reviews[best]), *of_best])


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
    best : the most probable one.
    answers : calibrated probability that the best one answers.
    """

    passages: np.ndarray
    best: int
    answers: float


@dataclass(frozen=True)
class EvidenceModel:
    """Judges passages.

    Attributes
    ----------
    passage : over `FEATURES`, and further ones at the end of them.
    answer : over `SIGNALS`.
    """

    passage: Logistic
    answer: Logistic

    def judge(self, features: np.ndarray, reviews: np.ndarray) -> JudgedPassages:
        """Judge at least one passage by its features, (n, 4), and whether customers wrote it, bool (n,)."""
        probabilities = self.passage.probabilities(features)
        told = self.answer.probabilities(answer_signals(probabilities, features, reviews))
        return JudgedPassages(probabilities, int(np.argmax(probabilities)), float(told))
