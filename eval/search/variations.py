"""Other ways to type a query: shorter, with one edit in a word, in another order. The same text and seed give the same variation."""

from __future__ import annotations

import re
import zlib

import numpy as np

SHORTEST = 4  # letters of a word that can be misspelt and still be known
# Neighbours on an English keyboard, row by row.
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEAR = {letter: row[max(i - 1, 0) : i] + row[i + 1 : i + 2] for row in _ROWS for i, letter in enumerate(row)}


def words_of(text: str) -> list[str]:
    """Return the words of a text as a customer would type them: folded, with neither signs nor single letters."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return [word for word in words if len(word) > 1 or not word.isascii()]


def shortened(query: str, seed: int = 0) -> str | None:
    """Leave a word out, never the only long one; of a single word leave its end out. None where nothing can be left out."""
    words = query.split()
    rng = _rng(query, seed, "shortened")
    if len(words) > 1:
        longest = max(range(len(words)), key=lambda i: (len(words[i]), i))
        gone = rng.choice([i for i in range(len(words)) if i != longest])
        return " ".join(word for i, word in enumerate(words) if i != gone)
    if len(query) < SHORTEST + 2:
        return None
    return query[: -int(rng.integers(1, 3))]


def misspelt(query: str, seed: int = 0) -> str | None:
    """Make one edit in one word of at least `SHORTEST` letters: leave out, double, replace or swap letters, never the first.

    None where no word is long enough.
    """
    words = query.split()
    rng = _rng(query, seed, "misspelt")
    long = [i for i, word in enumerate(words) if len(word) >= SHORTEST and word.isalpha()]
    if not long:
        return None
    place = rng.choice(long)
    words[place] = _edited(words[place], rng)
    return " ".join(words)


def reordered(query: str, seed: int = 0) -> str | None:
    """Put the words into another order; None where there is no other."""
    words = query.split()
    if len(set(words)) < 2:
        return None
    rng = _rng(query, seed, "reordered")
    while (other := [words[i] for i in rng.permutation(len(words))]) == words:
        pass
    return " ".join(other)


def _edited(word: str, rng: np.random.Generator) -> str:
    """Return a word with one edit that changes it."""
    i = int(rng.integers(1, len(word)))
    near = _NEAR.get(word[i], "")
    forms = [word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:]]
    forms += [word[:i] + str(rng.choice(list(near))) + word[i + 1 :]] if near else []
    forms += [word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :]] if i > 1 and word[i] != word[i - 1] else []
    return str(rng.choice(forms))


def _rng(query: str, seed: int, kind: str) -> np.random.Generator:
    # By the text and not by its place, so that a query has one misspelling in every set.
    return np.random.default_rng([seed, zlib.crc32(f"{kind} {query}".encode())])
