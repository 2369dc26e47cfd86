"""Multinomial logistic regression over TF-IDF of a text's terms: words and pairs of words, or characters where a script has no spaces.

scikit-learn fits it; numpy and scipy are enough to apply it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load, save

from features.text.classifier.terms import Kind, Terms
from features.text.sentiment.labels import CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Inverse of the ridge penalty, scikit-learn's C, by the kind of terms: see docs/decisions/091-sentiment.md.
STRENGTH: dict[Kind, float] = {"words": 1.0, "characters": 5.0}
ABSENT = -20.0  # logit of a class that training has not seen


@dataclass(frozen=True)
class WordModel:
    """The fitted regression.

    Attributes
    ----------
    weights : float32 (t, 3).
    bias : float32 (3,).
    """

    terms: Terms
    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, texts: Sequence[str], labels: np.ndarray) -> WordModel:
        """Fit with classes weighted to equal sums.

        Parameters
        ----------
        labels : of two classes at least, int (n,); a class that does not occur gets a logit that is never the highest.
        """
        from sklearn.linear_model import LogisticRegression

        terms = Terms.fit(texts, 2)
        model = LogisticRegression(C=STRENGTH[terms.kind], class_weight="balanced", max_iter=300).fit(terms.vectors(texts), labels)
        weights = np.zeros((len(terms.place), len(CLASSES)), dtype=np.float32)
        bias = np.full(len(CLASSES), ABSENT, dtype=np.float32)
        signs = np.array([[-0.5], [0.5]]) if len(model.classes_) == 2 else np.eye(len(CLASSES))  # of two classes, one has weights
        weights[:, model.classes_], bias[model.classes_] = (signs @ model.coef_).T, signs @ model.intercept_
        return cls(terms, weights, bias)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the logits, float32 (n, 3)."""
        return (self.terms.vectors(texts) @ self.weights + self.bias).astype(np.float32)

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Return the share of each text's single words, or characters, that training saw, float64 (n,)."""
        return self.terms.known(texts)

    def to_files(self) -> dict[str, bytes]:
        """Return the terms as JSON and the numbers as safetensors."""
        about = {"kind": self.terms.kind, "terms": self.terms.in_order()}
        arrays = {"idf": self.terms.idf, "weights": self.weights, "bias": self.bias}
        return {
            "words.json": json.dumps(about, ensure_ascii=False).encode(),
            "words.safetensors": save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> WordModel:
        """Read the files of `to_files`."""
        about, arrays = json.loads(files["words.json"]), load(files["words.safetensors"])
        return cls(Terms.of(about["kind"], about["terms"], arrays["idf"]), arrays["weights"], arrays["bias"])
