"""The words of the examples: they count as read, whatever their language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class TrainedWords:
    """Words that training saw; implements `features.text.classifier.readable.KnownWords`."""

    words: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> TrainedWords:
        """Return the words of texts."""
        return cls(frozenset(word for text in texts for word in _words(text)))

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Return the share of each text's words that training saw, float64 (n,); 0 for a text without a word."""
        return np.array([np.mean([word in self.words for word in _words(text)] or [False]) for text in texts])


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
