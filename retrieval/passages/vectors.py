"""Text vectors of passages: as a whole, their question, the ways to ask for them, and pieces of their answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Fields = tuple[str, str, str]


class PassageEncoder(Protocol):
    """A text encoder."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], kind: Literal["passage", "query"] = "passage") -> np.ndarray:
        """Return vectors of unit norm, float32 (n, dim)."""
        ...


@dataclass(frozen=True)
class VectorGroup:
    """Vectors of n passages, of each at least one.

    Attributes
    ----------
    vectors : unit norm, or zero for a text without words, float32 (m, dim).
    starts : place of each passage's first vector, ascending, int64 (n,).
    """

    vectors: np.ndarray
    starts: np.ndarray

    @cached_property
    def _center(self) -> np.ndarray:
        """The mean vector: its cosine is that of a passage that has nothing to do with the question."""
        return self.vectors.mean(axis=0) if len(self.vectors) else np.zeros(self.vectors.shape[1], np.float32)

    def nearest(self, vector: np.ndarray) -> np.ndarray:
        """Return the cosine of each passage's nearest vector, less the usual one, float32 (n,)."""
        cosines = self.vectors @ vector
        return (np.maximum.reduceat(cosines, self.starts) if len(self.starts) else cosines) - self._center @ vector


GROUPS = ("question", "whole", "phrases", "pieces")


@dataclass(frozen=True)
class PassageVectors:
    """Vectors of n passages.

    Attributes
    ----------
    question : question and tags together.
    whole : question, tags and answer together, as far as the encoder reads.
    phrases : the question and each of the tags.
    pieces : the question with each piece of the answer.
    """

    question: VectorGroup
    whole: VectorGroup
    phrases: VectorGroup
    pieces: VectorGroup

    @classmethod
    def encode(cls, fields: Sequence[Sequence[Fields]], encoder: PassageEncoder, words: int, overlap: int) -> PassageVectors:
        """Encode passages.

        Parameters
        ----------
        fields : question, tags and answer of each passage, in one way to say them or in several.
        words, overlap : of a piece, see `pieces_of`.
        """
        phrases = [[one for question, tags, _ in ways for one in (question, *_tags(tags))] for ways in fields]
        pieces = [
            [f"{question} {one}".strip() for question, _, answer in ways for one in pieces_of(answer, words, overlap)] for ways in fields
        ]
        return cls(
            _group([[f"{question} {tags}".strip() for question, tags, _ in ways] for ways in fields], encoder, "query"),
            _group([[" ".join(filter(None, way)) for way in ways] for ways in fields], encoder, "passage"),
            _group(phrases, encoder, "query"),
            _group(pieces, encoder, "passage"),
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        groups = {name: getattr(self, name) for name in GROUPS}
        return {f"{name}.{part}": getattr(group, part) for name, group in groups.items() for part in ("vectors", "starts")}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> PassageVectors:
        """Read what `to_arrays` gave."""
        return cls(*(VectorGroup(arrays[f"{name}.vectors"], arrays[f"{name}.starts"]) for name in GROUPS))

    def cosines(self, vector: np.ndarray) -> np.ndarray:
        """Return the cosines of a question with each passage, in the order of `GROUPS`, float32 (n, 4)."""
        return np.stack([getattr(self, name).nearest(vector) for name in GROUPS], axis=1)


def pieces_of(text: str, words: int, overlap: int) -> list[str]:
    """Return pieces of at most so many words; each begins with the last words of the one before. A text without words is one piece."""
    split = text.split()
    step = max(1, words - overlap)
    return [" ".join(split[start : start + words]) for start in range(0, max(1, len(split) - overlap), step)]


def _tags(tags: str) -> list[str]:
    return [tag.strip() for tag in tags.split(",") if tag.strip()]


def _group(texts: Sequence[Sequence[str]], encoder: PassageEncoder, kind: Literal["passage", "query"]) -> VectorGroup:
    flat = [text for of_one in texts for text in of_one]
    starts = np.concatenate([[0], np.cumsum([len(of_one) for of_one in texts])]).astype(np.int64)[:-1]
    vectors = encoder.encode(flat, kind=kind) if flat else np.zeros((0, encoder.dim), np.float32)
    return VectorGroup((vectors * np.array([bool(text.strip()) for text in flat], dtype=bool)[:, None]).astype(np.float32), starts)
