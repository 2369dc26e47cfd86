"""Reads a message by the examples that it is like: runs of letters in any language, and vectors where the encoder reads it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from features.reviews.folding import folded_word
from recsys.dialogue.phrases import IDEOGRAPH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FILE = "examples.toml"
UNLIKE, ALIKE = 0.35, 0.7  # cosine, above the usual one, of an example that says something else, and of one that says the same


@dataclass(frozen=True)
class Examples:
    """Examples of several kinds of message.

    Attributes
    ----------
    owners : the kind of each example.
    vectors : float32 (n, dim).
    grams : runs of letters of each.
    encode : of texts to vectors.
    """

    owners: tuple[str, ...]
    vectors: np.ndarray
    grams: tuple[frozenset[str], ...]
    encode: Callable[[list[str]], np.ndarray]

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]], encode: Callable[[list[str]], np.ndarray]) -> Examples:
        """Read examples, given as kind and text."""
        texts = [text for _, text in pairs]
        vectors = encode(texts) if texts else np.zeros((0, 1), dtype=np.float32)
        return cls(tuple(kind for kind, _ in pairs), vectors, tuple(map(_grams, texts)), encode)

    def nearest(self, *ways: str) -> tuple[str, float] | None:
        """Return the kind of the nearest example to any way to write a message, and how certain it is, 0 to 1; None without examples."""
        if not self.owners:
            return None
        certain = np.max([[_dice(_grams(way), one) for one in self.grams] for way in ways], axis=0)
        certain = np.clip((certain - 0.3) / 0.4, 0, 1)
        if not any(map(IDEOGRAPH.search, ways)):  # an encoder of other languages finds all of these texts alike
            asked = self.encode(list(ways))
            usual = asked @ self.vectors.mean(axis=0)  # the cosine of a text that has nothing to do with the message
            similar = (self.vectors @ asked.T - usual).max(axis=1)
            certain = np.maximum(certain, np.clip((similar - UNLIKE) / (ALIKE - UNLIKE), 0, 1))
        best = int(np.argmax(certain))
        return self.owners[best], float(certain[best])


@cache
def packaged() -> tuple[tuple[str, str], ...]:
    """Return the packaged examples of what customers want of a conversation, as kind of phrase and text."""
    content = tomllib.loads(files("recsys.dialogue").joinpath(FILE).read_text(encoding="utf-8"))
    return tuple((kind, text) for kind, texts in content.items() for text in texts)


def _grams(text: str) -> frozenset[str]:
    """Return the runs of letters in a text: of two in Chinese, of three elsewhere."""
    folded = " ".join(folded_word(text).split())
    size = 2 if IDEOGRAPH.search(folded) else 3
    return frozenset(folded[place : place + size] for place in range(max(1, len(folded) - size + 1)))


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))
