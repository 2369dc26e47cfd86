"""Linear support vector machines over TF-IDF of the examples' terms. scikit-learn fits them; numpy and scipy are enough to apply them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load, save

from features.text.classifier.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.text.classifier.terms import Kind

STRENGTH = 0.5  # scikit-learn's C
_MANY = 2_000  # texts from which on a term must occur in two


@dataclass(frozen=True)
class WordMargins:
    """The fitted machines, each of one intent against the others; implements `features.text.classifier.readable.KnownWords`.

    Attributes
    ----------
    weights : float32 (t, classes).
    bias : float32 (classes,).
    """

    terms: Terms
    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, texts: Sequence[str], labels: np.ndarray, kind: Kind | None = None) -> WordMargins:
        """Fit on texts with a word, and labels, int (n,), each of 0 .. classes - 1 at least once."""
        from sklearn.svm import LinearSVC

        terms = Terms.fit(texts, 2 if len(texts) >= _MANY else 1, kind)
        model = LinearSVC(C=STRENGTH, random_state=0).fit(terms.vectors(texts), labels)
        # Of two classes, scikit-learn gives one margin.
        signs = np.array([[-1.0], [1.0]]) if len(model.classes_) == 2 else np.eye(len(model.classes_))
        weights = (signs @ model.coef_).T.astype(np.float16)  # as they are stored
        return cls(terms, weights.astype(np.float32), (signs @ model.intercept_).astype(np.float32))

    def margins(self, texts: Sequence[str]) -> np.ndarray:
        """Return the margins, float32 (n, classes); a text without a known term has those of no words."""
        return (self.terms.vectors(texts) @ self.weights + self.bias).astype(np.float32)

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Return the share of each text's single words, or characters, that training saw, float64 (n,)."""
        return self.terms.known(texts)

    def to_files(self) -> dict[str, bytes]:
        """Return the terms as JSON and the numbers as safetensors; weights in half precision."""
        about = {"kind": self.terms.kind, "terms": self.terms.in_order()}
        arrays = {"idf": self.terms.idf, "weights": self.weights.astype(np.float16), "bias": self.bias}
        return {
            "words.json": json.dumps(about, ensure_ascii=False).encode(),
            "words.safetensors": save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> WordMargins:
        """Read the files of `to_files`."""
        about, arrays = json.loads(files["words.json"]), load(files["words.safetensors"])
        return cls(Terms.of(about["kind"], about["terms"], arrays["idf"]), arrays["weights"].astype(np.float32), arrays["bias"])
