"""The packaged messages of customers by what they want, and what a message is like by its runs of letters, in any language."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from features.reviews.folding import folded_word
from recsys.dialogue.phrases import IDEOGRAPH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

FILE = "examples.toml"
FILL, ANY = "fill", "any"
FILLED = ("{thing}", "{word}")  # what an example is filled with more than once
TIMES = 2
UNLIKE, ALIKE = 0.35, 0.7  # cosine, above the usual one, of an example that says something else, and of one that says the same
_PLACE = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Examples:
    """Examples of several kinds of message.

    Attributes
    ----------
    owners : the kind of each example.
    vectors : float32 (n, dim).
    grams : runs of letters of each.
    encode : of texts to vectors; None where letters alone decide.
    """

    owners: tuple[str, ...]
    vectors: np.ndarray
    grams: tuple[frozenset[str], ...]
    encode: Callable[[list[str]], np.ndarray] | None

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]], encode: Callable[[list[str]], np.ndarray] | None = None) -> Examples:
        """Read examples, given as kind and text."""
        texts = [text for _, text in pairs]
        vectors = encode(texts) if texts and encode else np.zeros((0, 1), dtype=np.float32)
        return cls(tuple(kind for kind, _ in pairs), vectors, tuple(map(_grams, texts)), encode)

    def nearest(self, *ways: str) -> tuple[str, float] | None:
        """Return the kind of the nearest example to any way to write a message, and how certain it is, 0 to 1; None without examples."""
        if not self.owners:
            return None
        certain = self._alike(ways)
        best = int(np.argmax(certain))
        return self.owners[best], float(certain[best])

    def of_each(self, text: str) -> dict[str, float]:
        """Return how certain it is of each kind that a message is of it, 0 to 1, by the nearest example of the kind."""
        out: dict[str, float] = {}
        for owner, certain in zip(self.owners, self._alike([text]).tolist() if self.owners else (), strict=True):
            out[owner] = max(out.get(owner, 0.0), certain)
        return out

    def _alike(self, ways: Sequence[str]) -> np.ndarray:
        certain = np.max([[_dice(asked, one) for one in self.grams] for asked in map(_grams, ways)], axis=0)
        certain = np.clip((certain - 0.3) / 0.4, 0, 1)
        if self.encode is not None and not any(map(IDEOGRAPH.search, ways)):  # an encoder of other languages finds all of these texts alike
            asked = self.encode(list(ways))
            usual = asked @ self.vectors.mean(axis=0)  # the cosine of a text that has nothing to do with the message
            similar = (self.vectors @ asked.T - usual).max(axis=1)
            certain = np.maximum(certain, np.clip((similar - UNLIKE) / (ALIKE - UNLIKE), 0, 1))
        return certain


@cache
def packaged() -> Mapping[str, tuple[str, ...]]:
    """Return the packaged examples of what customers want, by its name."""
    content = _content()
    return {act: tuple(_filled(act_texts, content[FILL])) for act, act_texts in content.items() if act != FILL}


@cache
def frame_words(*acts: str) -> frozenset[str]:
    """Return the folded words that stand around what is named in the examples: around the product in "I am looking for tea"."""
    texts = (text for act in acts for some in _content()[act].values() for text in some)
    return frozenset(word for text in texts for word in folded_word(_PLACE.sub(" ", text)).split())


@cache
def _content() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("recsys.dialogue").joinpath(FILE).read_text(encoding="utf-8"))


def _filled(by_language: Mapping[str, Sequence[str]], fill: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[str]:
    for language, texts in by_language.items():
        values = {name: cycle(words[language]) for name, words in fill.items() if name != ANY}
        values |= {name: cycle(words) for name, words in fill[ANY].items()}
        for text in texts:
            for _ in range(TIMES if any(place in text for place in FILLED) else 1):
                yield _PLACE.sub(lambda place: next(values[place[0][1:-1]]), text)  # noqa: B023


def folded(text: str) -> str:
    """Return a message as its letters are compared."""
    return " ".join(folded_word(text).split())


def _grams(text: str) -> frozenset[str]:
    """Return the runs of letters in a text: of two in Chinese, of three elsewhere."""
    letters = folded(text)
    size = 2 if IDEOGRAPH.search(letters) else 3
    return frozenset(letters[place : place + size] for place in range(max(1, len(letters) - size + 1)))


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))
