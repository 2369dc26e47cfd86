"""Calibrated probability that a text has any of the intents, from two measures that fail in different places.

The highest logit of the classifier is low between two intents, and may be high far away from all examples; the cosine to the closest
example is the other way round. Both read the text encoder's own vectors: layers that were trained to tell the intents apart draw texts
without an intent to one of them. The probability is fitted on intents that are left out in turn: see docs/decisions/097-intents.md.

References
----------
Y. Sun et al. (2022). Out-of-Distribution Detection with Deep Nearest Neighbors. arXiv 2204.06507.
D. Hendrycks et al. (2022). Scaling Out-of-Distribution Detection for Real-World Settings (the highest logit). arXiv 1911.11132.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from features.text.intents.regression import Regression

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PRIOR = (0.0, 12.0, -6.6)  # of logit, cosine and constant: even odds at a cosine of 0.55
_SPREAD = (1.0, 0.1)  # a usual difference of each measure
_RIDGE = 1.0
_INTENT_FOLDS, _TEXT_FOLDS = 3, 5
_ONE_FOLD = 1_000  # texts from which on one fold of texts judges: more would make the fit no better
_BLOCK = 1_000  # texts compared with all examples at once


@dataclass(frozen=True)
class KnownTexts:
    """The fitted probability.

    Attributes
    ----------
    examples : vectors of unit norm, float32 (m, width).
    weights : of logit, cosine and constant, float64 (3,).
    threshold : probability below which a text is taken for one without an intent.
    """

    examples: np.ndarray
    weights: np.ndarray
    threshold: float

    def probabilities(self, logits: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """Return the probability of each text, float32 (n,), from its logits (n, classes) and its vector (n, width)."""
        return _probability(self.weights, measures(logits, vectors, self.examples)).astype(np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name; vectors in half precision."""
        return {"examples": self.examples.astype(np.float16), "known": self.weights, "threshold": np.array([self.threshold])}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> KnownTexts:
        """Read what `to_arrays` gave."""
        return cls(arrays["examples"].astype(np.float32), arrays["known"], float(arrays["threshold"][0]))


def measures(logits: np.ndarray, vectors: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """Return the highest logit of each text and its cosine to the closest example, float64 (n, 2)."""
    closest = [(vectors[i : i + _BLOCK] @ examples.T).max(axis=1) for i in range(0, len(vectors), _BLOCK)]
    return np.stack([logits.max(axis=1), np.concatenate([np.zeros(0), *closest])], axis=1)


def fit_known(vectors: np.ndarray, labels: np.ndarray, texts: int, refused: float, rng: np.random.Generator) -> KnownTexts:
    """Fit on the examples alone.

    Parameters
    ----------
    vectors : of texts, and then of the intents' names, float32 (m, width).
    labels : int (m,), each of 0 .. classes - 1 at least once.
    texts : how many of the vectors are of texts; only these are judged.
    refused : share of the texts that may be refused.
    """
    parts = list(_left_out(vectors, labels, texts, rng))
    known = np.concatenate([found for found, _ in parts]) if parts else np.zeros((0, 2))
    unknown = np.concatenate([found for _, found in parts]) if parts else np.zeros((0, 2))
    weights = _fit(known, unknown)
    threshold = float(np.quantile(_probability(weights, known), refused)) if len(known) else 0.5
    return KnownTexts(vectors.astype(np.float16).astype(np.float32), weights, threshold)  # as they are stored


def _left_out(vectors: np.ndarray, labels: np.ndarray, texts: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield measures of texts of known and of left-out intents, by models that saw neither the texts nor the intents."""
    classes = int(labels.max()) + 1
    if classes < _INTENT_FOLDS:
        return
    intent_fold = rng.permutation(np.arange(classes) % _INTENT_FOLDS)[labels]
    text_fold = np.full(len(labels), -1)
    text_fold[rng.permutation(texts)] = np.arange(texts) % _TEXT_FOLDS
    for fold in range(1 if texts > _ONE_FOLD else _TEXT_FOLDS):
        for left in range(_INTENT_FOLDS):
            judged, out = text_fold == fold, intent_fold == left
            train = np.flatnonzero(~judged & ~out)
            model = Regression.fit(vectors[train], np.unique(labels[train], return_inverse=True)[1])
            known, unknown = (
                measures(model.logits(vectors[rows]), vectors[rows], vectors[train]) for rows in (judged & ~out, judged & out)
            )
            yield known, unknown


def _fit(known: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Return the weights: logistic regression where both kinds weigh the same, with the prior as centre of its ridge penalty."""
    rows = np.concatenate([known, unknown])
    kind = np.repeat([1.0, -1.0], [len(known), len(unknown)])
    even = len(rows) / 2 / np.repeat([max(len(known), 1), max(len(unknown), 1)], [len(known), len(unknown)])
    prior, spread = np.array(PRIOR), np.array([*_SPREAD, 0.0])

    def loss(values: np.ndarray) -> float:
        odds = rows @ values[:2] + values[2]
        return float(even @ np.logaddexp(0, -kind * odds) + _RIDGE * (((values - prior) * spread) ** 2).sum())

    return minimize(loss, prior, method="L-BFGS-B", bounds=[(0, None), (0, None), (None, None)]).x


def _probability(weights: np.ndarray, found: np.ndarray) -> np.ndarray:
    return expit(found @ weights[:2] + weights[2])
