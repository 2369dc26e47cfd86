"""Baselines of intents: TF-IDF with a linear SVM, and logistic regression over the frozen encoder's vectors, tuned by folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.svm import LinearSVC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SVM_C = (0.3, 1.0, 3.0)
REGRESSION_C = (3.0, 10.0, 30.0)
TERMS = ("words", "words and characters")
FOLDS = 3


def grid() -> dict[str, Any]:
    """Return all that is tried, and by how many folds: what the baselines depend on beside the texts."""
    return {"terms": TERMS, "svm": SVM_C, "regression": REGRESSION_C, "folds": FOLDS}


def tf_idf(texts: Sequence[str], labels: np.ndarray, judged: Sequence[str]) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the intent of each judged text, and the setting that was best over folds of the examples."""
    rows = np.array(texts, dtype=object)
    options = [{"terms": terms, "C": c} for terms in TERMS for c in SVM_C]
    best = max(options, key=lambda option: _accuracy(lambda: _svm(**option), rows, labels))
    return _svm(**best).fit(rows, labels).predict(np.array(judged, dtype=object)), best


def regression(vectors: np.ndarray, labels: np.ndarray, judged: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the logits of judged vectors, (n, classes), and the setting that was best over folds of the examples."""
    options = [{"C": c} for c in REGRESSION_C]
    best = max(options, key=lambda option: _accuracy(lambda: LogisticRegression(**option, max_iter=300), vectors, labels))
    return LogisticRegression(**best, max_iter=300).fit(vectors, labels).decision_function(judged), best


def softmax_and_energy(logits: np.ndarray) -> dict[str, np.ndarray]:
    """Return two scores of whether a text has any of the intents, float (n,) each."""
    return {"highest softmax": softmax(logits, axis=1).max(axis=1), "energy": logsumexp(logits, axis=1)}


def _svm(terms: str, C: float) -> Pipeline:  # scikit-learn's name
    words = ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True))
    characters = ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True))
    parts = [words] if terms == TERMS[0] else [words, characters]
    return Pipeline([("terms", FeatureUnion(parts)), ("svm", LinearSVC(C=C))])


def _accuracy(make: Callable[[], Any], rows: np.ndarray, labels: np.ndarray) -> float:
    right = 0
    for fit, judge in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(rows, labels):
        right += int((make().fit(rows[fit], labels[fit]).predict(rows[judge]) == labels[judge]).sum())
    return right / len(labels)
