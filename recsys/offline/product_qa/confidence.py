"""How far the best passage of a question can be trusted: the assistant's judge of passages, fitted on training questions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from features.names import PAIR_LOGIT
from retrieval.lexical.analyzer import Analyzer
from retrieval.passages.product_evidence import (
    FEATURES,
    SIGNALS,
    EvidenceModel,
    Logistic,
    answer_signals,
    evidence_features,
    gram_shares,
    rarity,
    word_shares,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsys.offline.product_qa.dataset import ProductQa

FAMILIES = ("semiPQA", "hetPQA", "ePQA")
PAIR = PAIR_LOGIT  # one more feature of the judge
RIDGE = {"passage": 1.0, "answer": 0.3}  # inverse strength


@dataclass(frozen=True)
class TopPassages:
    """The best passage of each question by one system.

    Attributes
    ----------
    right : whether it answers in full, float (q,); nan where the system does not judge the question.
    trust : that it does, any scale, float (q,).
    """

    right: np.ndarray
    trust: np.ndarray

    @classmethod
    def of(cls, data: ProductQa, scores: np.ndarray, trust: np.ndarray | None = None) -> TopPassages:
        """Take the best passage by scores, (p,), which share what is right where they are equal; the trust is the score, or given, (q,)."""
        first, right, best = data.offsets[:-1], np.full(len(data.part), np.nan), np.full(len(data.part), np.nan)
        for i in np.flatnonzero(~np.isnan(scores[first])):
            pairs = slice(data.offsets[i], data.offsets[i + 1])
            best[i] = scores[pairs].max()
            right[i] = data.answers[pairs][scores[pairs] == best[i]].mean()
        return cls(right, best if trust is None else trust)


@dataclass(frozen=True)
class _Terms:
    """Terms of passages by one analyzer, and how many passages hold each."""

    analyzer: Analyzer
    terms: list[frozenset[str]]
    counts: Mapping[str, int]

    @classmethod
    def of(cls, passages: Sequence[str], analyzer: Analyzer) -> _Terms:
        terms = [frozenset(analyzer.stem(word) for word in analyzer.index_words(text)) for text in passages]
        return cls(analyzer, terms, Counter(term for held in terms for term in held))

    def shares(self, question: str, rows: np.ndarray) -> np.ndarray:
        """Return the share of a question's terms that some passages hold, float64 (n,)."""
        held = [self.terms[i] for i in rows]
        return word_shares([self.analyzer.tokens(question)], held, lambda term: rarity(self.counts[term], len(self.terms)))


@dataclass(frozen=True)
class EvidenceTraining:
    """Fits the judge of passages on training questions.

    Attributes
    ----------
    cosines : of question and passage by the frozen encoder, (p,).
    logits : of cross-encoders that saw nothing of the question's product, (p,), nan where there are none; None to do without.
    languages : of each question, as `Analyzer` names them; None where all are English.
    """

    data: ProductQa
    cosines: np.ndarray
    logits: np.ndarray | None = None
    languages: Sequence[str] | None = None

    @cached_property
    def features(self) -> np.ndarray:
        """What speaks for each pair, in the order of `FEATURES`, float64 (p, 4), or (p, 5) with logits."""
        data = self.data
        languages = ["english"] * len(data.part) if self.languages is None else self.languages
        words_of = {language: _Terms.of(data.passages, Analyzer(language)) for language in set(languages)}
        parts = []
        for first, end, language in zip(data.offsets[:-1], data.offsets[1:], languages, strict=True):
            question, rows = data.questions[data.question[first]], data.passage[first:end]
            texts = [data.passages[i] for i in rows]
            words = words_of[language].shares(question, rows)
            parts.append(evidence_features(words, gram_shares(question, texts), self.cosines[first:end], texts))
        columns = np.concatenate(parts)
        return columns if self.logits is None else np.column_stack([columns, self.logits])

    def with_logits(self, logits: np.ndarray) -> EvidenceTraining:
        """Return the same with a cross-encoder's logits."""
        more = replace(self, logits=logits)
        more.__dict__["features"] = np.column_stack([self.features[:, : len(FEATURES)], logits])
        return more

    def fit(self, questions: np.ndarray) -> EvidenceModel:
        """Fit on questions, bool (q,); each family of sets weighs the same in the calibration of the best passage."""
        known = questions & ~np.isnan(self.features[self.data.offsets[:-1]]).any(axis=1)
        names = (*FEATURES, PAIR)[: self.features.shape[1]]
        pairs = known[self.data.of]
        passage = logistic(self.features[pairs], self.data.answers[pairs], names, RIDGE["passage"])
        chosen = np.flatnonzero(known)
        signals, right = zip(*(self._best(passage, int(i)) for i in chosen), strict=True)
        family = np.array([str(part).split(" ")[0] for part in self.data.part])[chosen]
        weights = np.array([1 / (family == name).sum() for name in family])
        return EvidenceModel(passage, logistic(np.array(signals), np.array(right), SIGNALS, RIDGE["answer"], weights / weights.mean()))

    def judge(self, model: EvidenceModel, questions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of each pair, (p,), and that of each question's best passage, (q,); nan for other questions."""
        scores, told = np.full(len(self.data.of), np.nan), np.full(len(self.data.part), np.nan)
        for i in np.flatnonzero(questions):
            pairs = slice(self.data.offsets[i], self.data.offsets[i + 1])
            judged = model.judge(self.features[pairs], self.data.by_customers[pairs])
            scores[pairs], told[i] = judged.passages, judged.answers
        return scores, told

    def _best(self, passage: Logistic, question: int) -> tuple[np.ndarray, bool]:
        pairs = slice(self.data.offsets[question], self.data.offsets[question + 1])
        probabilities = passage.probabilities(self.features[pairs])
        signals = answer_signals(probabilities, self.features[pairs], self.data.by_customers[pairs])
        return signals, bool(self.data.answers[pairs][int(np.argmax(probabilities))])


def logistic(columns: np.ndarray, labels: np.ndarray, names: Sequence[str], c: float, weights: np.ndarray | None = None) -> Logistic:
    """Fit a logistic regression on standardised columns, and return it over the columns as they are."""
    from sklearn.linear_model import LogisticRegression

    if labels.all() or not labels.any():  # nothing to tell apart: the share, with one more of each kind
        return Logistic(dict.fromkeys(names, 0.0), float(np.log((labels.sum() + 1) / ((~labels).sum() + 1))))
    mean, scale = columns.mean(axis=0), np.maximum(columns.std(axis=0), 1e-9)
    fitted: Any = LogisticRegression(C=c, max_iter=1000).fit((columns - mean) / scale, labels, sample_weight=weights)
    raw = fitted.coef_[0] / scale
    return Logistic(dict(zip(names, raw.tolist(), strict=True)), float(fitted.intercept_[0] - raw @ mean))
