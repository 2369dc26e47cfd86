"""Topics of shops' help pages: two texts that are like examples of the same topic belong together, though they share no word.

service_topics.txt has one topic a line, in English: a question as a help page has it, then questions as customers put them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.passages.vectors import PassageEncoder

SHARPNESS = 2.5  # of the shares, in standard deviations of a text's likeness to the topics


@cache
def packaged_topics() -> tuple[tuple[str, ...], ...]:
    """Return the examples of each topic."""
    text = files("retrieval.passages").joinpath("service_topics.txt").read_text(encoding="utf-8")
    return tuple(tuple(line.split("|")) for line in text.splitlines())


@dataclass(frozen=True)
class TopicVectors:
    """Vectors of the examples of topics.

    Attributes
    ----------
    vectors : unit norm, float32 (m, dim).
    starts : place of each topic's first example, int64 (topics,).
    """

    vectors: np.ndarray
    starts: np.ndarray

    @classmethod
    def encode(cls, encoder: PassageEncoder, topics: Sequence[Sequence[str]]) -> TopicVectors:
        """Encode the examples, which are questions."""
        starts = np.concatenate([[0], np.cumsum([len(one) for one in topics])]).astype(np.int64)[:-1]
        return cls(encoder.encode([text for one in topics for text in one], kind="query").astype(np.float32), starts)

    def roots(self, vectors: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return the square roots of each text's shares of the topics, float32 (n, topics); their products sum to 1 for the same shares.

        Parameters
        ----------
        vectors : ways to say each of n texts, (m, dim).
        starts : place of each text's first vector, int64 (n,).
        """
        like = np.maximum.reduceat(vectors @ self.vectors.T, self.starts, axis=1)  # (m, topics)
        nearest = np.maximum.reduceat(like, starts, axis=0)
        spread = np.maximum(nearest.std(axis=1, keepdims=True), 1e-6)
        return np.sqrt(softmax(SHARPNESS * nearest / spread, axis=1)).astype(np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {"topics.vectors": self.vectors, "topics.starts": self.starts}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TopicVectors:
        """Read what `to_arrays` gave."""
        return cls(arrays["topics.vectors"], arrays["topics.starts"])
