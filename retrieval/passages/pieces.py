"""Pieces of an answer, short enough that each is of one thing."""

from __future__ import annotations


def pieces_of(text: str, words: int, overlap: int) -> list[str]:
    """Return pieces of at most so many words; each begins with the last words of the one before. A text without words is one piece."""
    split = text.split()
    step = max(1, words - overlap)
    starts = range(0, max(1, len(split) - overlap), step)
    return [" ".join(split[start : start + words]) for start in starts]
