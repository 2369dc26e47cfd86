"""The classifier with few labels or none: logistic regression over frozen vectors of the labelled texts and of packaged sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from features.text.classifier.export import TorchReader
from features.text.classifier.network import UpperNetwork
from features.text.sentiment.calibration import SentimentCalibration
from features.text.sentiment.labels import CLASSES
from features.text.sentiment.model import SentimentModel
from features.text.sentiment.seed_sentences import SEED_SENTENCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.text.encoder import TextEncoder

# Not the best of the validation part: labels should still count as they grow in number, see docs/decisions/091-sentiment.md.
STRENGTH, SEED_WEIGHT = 0.3, 4.0
_FOLDS = 5


def fit_few(encoder: TextEncoder, texts: Sequence[str], labels: np.ndarray, seed: int) -> SentimentModel:
    """Fit on few labels, int (n,), or on none.

    Each class weighs the same, since the share of a class among few labels says little about its share among the reviews. Probabilities are
    calibrated by cross-validation, on the labelled texts if each class has at least five, else on the packaged sentences.
    """
    from sklearn.linear_model import LogisticRegression

    sentences = [sentence for some in SEED_SENTENCES for sentence in some]
    of_sentence = np.repeat(np.arange(len(CLASSES)), [len(some) for some in SEED_SENTENCES])
    vectors = encoder.encode([*texts, *sentences])
    target = np.concatenate([labels, of_sentence]).astype(np.int64)
    weights = np.concatenate([_balanced(labels), np.full(len(sentences), SEED_WEIGHT)])

    def fitted(rows: np.ndarray) -> LogisticRegression:
        return LogisticRegression(C=STRENGTH, max_iter=1000).fit(vectors[rows], target[rows], sample_weight=weights[rows])

    counts = np.bincount(labels, minlength=len(CLASSES)).tolist()
    judged = np.arange(len(texts)) if min(counts) >= _FOLDS else np.arange(len(texts), len(target))
    logits = np.zeros((len(target), len(CLASSES)))
    fold = _folds(target, np.random.default_rng([seed, 0]))
    for number in range(_FOLDS):
        left = judged[fold[judged] == number]
        logits[left] = fitted(np.flatnonzero(~np.isin(np.arange(len(target)), left))).decision_function(vectors[left])
    found = SentimentCalibration.fit([logits[judged]], target[judged], _balanced(target[judged]))
    # Classes count alike in the fit already: of few labels, a bias would be chance, and no class is rarer than another.
    calibration = SentimentCalibration(found.weights, np.zeros(len(CLASSES)), np.zeros(len(CLASSES)))
    reader = TorchReader(encoder, _network(encoder, fitted(np.arange(len(target)))))
    way = "few-shot" if len(texts) else "packaged sentences"
    return SentimentModel(reader, None, calibration, {"way": way, "trained": len(texts), "held_out": 0, "counts": counts})


def _network(encoder: TextEncoder, model: object) -> UpperNetwork:
    network = UpperNetwork.upon(encoder, len(CLASSES), unit=True)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(model.coef_.astype(np.float32)))  # pyright: ignore[reportAttributeAccessIssue]
        network.head.bias.copy_(torch.from_numpy(model.intercept_.astype(np.float32)))  # pyright: ignore[reportAttributeAccessIssue]
    return network


def _balanced(labels: np.ndarray) -> np.ndarray:
    """Return weights of mean 1 that sum to the same for each class, float64 (n,)."""
    counts = np.bincount(labels, minlength=len(CLASSES))
    return len(labels) / (np.count_nonzero(counts) * counts[labels]) if len(labels) else np.zeros(0)


def _folds(target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each row, int64 (n,), with the classes spread evenly."""
    fold = np.zeros(len(target), dtype=np.int64)
    for label in range(len(CLASSES)):
        rows = rng.permutation(np.flatnonzero(target == label))
        fold[rows] = np.arange(len(rows)) % _FOLDS
    return fold
