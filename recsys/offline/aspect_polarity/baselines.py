"""Baselines of the polarity of terms: TF-IDF and the frozen text encoder, each under a tuned logistic regression."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

if TYPE_CHECKING:
    from features.text.encoder import TextEncoder
    from recsys.offline.aspect_polarity.dataset import AspectTerms

C = (0.1, 0.3, 1.0, 3.0, 10.0)
NGRAMS = (1, 2, 3)
NEAR = 30  # characters on either side of the term
FOLDS = 3


def tfidf(data: AspectTerms, dataset: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the class of each test mention of a dataset, and the setting that was best by cross-validation.

    The features are words of the sentence, words near the term, and the term itself.
    """
    rows = np.flatnonzero((data.mentions["dataset"] == dataset).to_numpy())
    texts = [data.sentences[row] for row in data.mentions["sentence"].gather(rows)]
    near = [
        text[max(0, begin - NEAR) : end + NEAR]
        for text, begin, end in zip(texts, data.mentions["begin"].gather(rows), data.mentions["end"].gather(rows), strict=True)
    ]
    terms = [data.terms[row] for row in rows]
    options = {}
    for ngrams in NGRAMS:
        for windows in (False, True):
            parts = [texts, terms, near] if windows else [texts, terms]
            train = data.part(False)[rows]
            made = [_vectors(part, train, ngrams if i != 1 else 1) for i, part in enumerate(parts)]
            options[f"1 to {ngrams} words{', and near the term' if windows else ''}"] = sp.hstack(made, format="csr")
    return _tuned(data, rows, options)


def frozen(data: AspectTerms, dataset: str, encoder: TextEncoder) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the same by the encoder's vectors of sentence and term."""
    rows = np.flatnonzero((data.mentions["dataset"] == dataset).to_numpy())
    sentence = encoder.encode([data.sentences[row] for row in data.mentions["sentence"].gather(rows)])
    term = encoder.encode([data.terms[row] for row in rows])
    pair = encoder.encode([f"{data.terms[row]}: {data.sentences[data.mentions['sentence'][int(row)]]}" for row in rows])
    scale = encoder.dim**0.5
    options = {
        "sentence and term": np.hstack([sentence, term]) * scale**0.5,
        "both and their product": np.hstack([sentence, term, sentence * term * scale]) * scale**0.5,
        "term: sentence": pair * scale**0.5,
    }
    return _tuned(data, rows, options)


def _vectors(texts: list[str], train: np.ndarray, ngrams: int) -> sp.csr_matrix:
    counter = TfidfVectorizer(ngram_range=(1, ngrams), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[!?]")
    counter.fit([text for text, chosen in zip(texts, train, strict=True) if chosen])
    return counter.transform(texts)


def _tuned(data: AspectTerms, rows: np.ndarray, options: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """Choose features and C by accuracy over folds of training sentences, and return the classes of the test mentions."""
    train, labels = data.part(False)[rows], data.labels[rows]
    groups = data.mentions["sentence"].to_numpy()[rows][train]
    best: tuple[float, str, float] = (-1.0, "", 0.0)
    for name, features in options.items():
        x, y = features[np.flatnonzero(train)], labels[train]
        for c in C:
            right = [
                (_fit(x[fit], y[fit], c).predict(x[judge]) == y[judge]).sum() for fit, judge in GroupKFold(FOLDS).split(y, groups=groups)
            ]
            best = max(best, (sum(right) / len(y), name, c))
    accuracy, name, c = best
    model = _fit(options[name][np.flatnonzero(train)], labels[train], c)
    chosen = {"features": name, "C": c, "accuracy of the folds": round(float(accuracy), 4)}
    return model.predict(options[name][np.flatnonzero(data.part(True)[rows])]), chosen


def _fit(x: Any, y: np.ndarray, c: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=300).fit(x, y)
