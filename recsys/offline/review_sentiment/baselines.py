"""TF-IDF with logistic regression, tuned on the validation part; with few labels, also with the packaged sentences."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from features.text.sentiment.calibration import macro_f1
from features.text.sentiment.labels import CLASSES
from features.text.sentiment.seed_sentences import SEED_SENTENCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.offline.review_sentiment.dataset import LabelledReviews, Language

GRID: dict[str, dict[str, tuple[Any, ...]]] = {
    "en": {"ngrams": ((1, 1), (1, 2)), "strength": (0.3, 1.0, 3.0, 10.0), "class_weight": (None, "balanced")},
    "zh": {"ngrams": ((1, 2), (1, 3)), "strength": (1.0, 3.0, 10.0), "class_weight": (None,)},
}
FEW_STRENGTHS = (1.0, 10.0, 100.0)


def tuned(data: LabelledReviews, language: Language) -> tuple[dict[str, Any], np.ndarray]:
    """Return the setting of the highest macro-F1 on the validation part, and the probabilities of the test part, (n, 3)."""
    train, valid, test = (data.rows(part) for part in ("train", "valid", "test"))
    best: tuple[float, dict[str, Any], np.ndarray] = (-1.0, {}, np.empty(0))
    for ngrams in GRID[language]["ngrams"]:
        terms = TfidfVectorizer(analyzer="char" if language == "zh" else "word", ngram_range=ngrams, min_df=2, sublinear_tf=True)
        matrix = terms.fit_transform(data.texts_of(train))
        judged, tested = terms.transform(data.texts_of(valid)), terms.transform(data.texts_of(test))
        for strength, weight in itertools.product(GRID[language]["strength"], GRID[language]["class_weight"]):
            model = LogisticRegression(C=strength, class_weight=weight, max_iter=300).fit(matrix, data.labels[train])
            score = macro_f1(data.labels[valid], model.predict(judged))
            if score > best[0]:
                best = score, {"ngrams": list(ngrams), "strength": strength, "class_weight": weight}, _of_classes(model, tested)
    return best[1], best[2]


def few(data: LabelledReviews, rows: np.ndarray, *, sentences: bool) -> np.ndarray:
    """Return the probabilities of the test part, (n, 3), from few labelled rows, with the packaged sentences or without.

    The strength is the best on the validation part, which favours the baseline: a shop with few labels has no such part.
    """
    texts, labels = data.texts_of(rows), data.labels[rows]
    if sentences:
        texts = [*texts, *itertools.chain.from_iterable(SEED_SENTENCES)]
        labels = np.concatenate([labels, np.repeat(np.arange(len(CLASSES)), [len(some) for some in SEED_SENTENCES])])
    terms = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    matrix = terms.fit_transform(texts)
    models = [LogisticRegression(C=strength, max_iter=300).fit(matrix, labels) for strength in FEW_STRENGTHS]
    valid = data.rows("valid")
    judged = terms.transform(data.texts_of(valid))
    model = max(models, key=lambda one: macro_f1(data.labels[valid], one.predict(judged)))
    return _of_classes(model, terms.transform(data.texts_of(data.rows("test"))))


def _of_classes(model: LogisticRegression, matrix: Sequence[Any]) -> np.ndarray:
    out = np.zeros((matrix.shape[0], len(CLASSES)), dtype=np.float32)  # pyright: ignore[reportAttributeAccessIssue]  # a sparse matrix
    out[:, model.classes_] = model.predict_proba(matrix)
    return out
