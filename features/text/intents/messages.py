"""What a short message wants: a regression over the vectors of an encoder, and margins of runs of letters, which read any language.

It is fitted in seconds and trains no layers. Messages that want nothing of the kind are an intent of their own among the examples.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load, save
from scipy.special import log_softmax, softmax

from features.text.intents.regression import Regression
from features.text.intents.words import WordMargins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.text.classifier.terms import Terms

LETTERS = 5.0  # weight of a margin of letters beside a log-probability of vectors


@dataclass(frozen=True)
class MessageIntents:
    """The fitted classifier.

    Attributes
    ----------
    names : of the intents, in the order of the probabilities.
    middle : mean vector of the examples, which others are read against, float32 (width,).
    """

    names: tuple[str, ...]
    middle: np.ndarray
    vectors: Regression
    letters: WordMargins

    @classmethod
    def fit(cls, texts: Sequence[str], vectors: np.ndarray, owners: Sequence[str]) -> MessageIntents:
        """Fit on folded texts, their vectors (n, width), and the intent of each."""
        names = tuple(dict.fromkeys(owners))
        labels = np.array([names.index(owner) for owner in owners])
        middle = vectors.mean(axis=0)
        return cls(names, middle, Regression.fit(_against(vectors, middle), labels), WordMargins.fit(texts, labels, "characters"))

    def read(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """Return the probability of each intent, float32 (n, intents), of folded texts and their vectors."""
        own = log_softmax(self.vectors.logits(_against(vectors, self.middle)), axis=1)
        return softmax(own + LETTERS * self.letters.margins(texts), axis=1).astype(np.float32)

    @property
    def terms(self) -> Terms:
        """Runs of letters that the examples have."""
        return self.letters.terms

    def to_files(self) -> dict[str, bytes]:
        """Return names as JSON and arrays as safetensors."""
        arrays = {**self.vectors.to_arrays("own"), "middle": self.middle.astype(np.float32)}
        return {
            **self.letters.to_files(),
            "messages.json": json.dumps(self.names, ensure_ascii=False).encode(),
            "messages.safetensors": save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> MessageIntents:
        """Read the files of `to_files`."""
        arrays = load(files["messages.safetensors"])
        return cls(
            tuple(json.loads(files["messages.json"])), arrays["middle"], Regression.of_arrays(arrays, "own"), WordMargins.from_files(files)
        )


def _against(vectors: np.ndarray, middle: np.ndarray) -> np.ndarray:
    apart = vectors - middle
    return apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9)
