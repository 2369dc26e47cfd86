"""Which texts a classifier has no opinion on: those without a word, and those in a language that it does not read.

Scripts that the vocabulary only spells are found as in `features.text.coverage`. A language in Latin letters is told by its pieces: an
English vocabulary takes 1.0 to 1.3 pieces a word to write English, and 1.4 to 2.5 to write German, Spanish or Polish. Words that the
classifier's own training saw count as read, whatever their language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from features.text.coverage import ADVICE, SHOWN, UNKNOWN, unread_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer


BLOCK = 5_000  # texts that are tokenized together: 100,000 would take a gigabyte
PIECES, LEAST_WORDS = 1.4, 5
KNOWN = 0.6  # share of words seen in training from which on a text is read
_WORD = re.compile(r"\w+|[^\w\s]")


class KnownWords(Protocol):
    """The words that training saw."""

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Return the share of each text's words that training saw, float64 (n,)."""
        ...


@dataclass(frozen=True)
class Unread:
    """The texts that are not read.

    Attributes
    ----------
    empty : no letter at all: empty, emoji only, punctuation, bool (n,).
    foreign : a language that is not read, bool (n,).
    example : the first such text.
    """

    empty: np.ndarray
    foreign: np.ndarray
    example: str = ""

    @property
    def rows(self) -> np.ndarray:
        """Which texts are not read, bool (n,)."""
        return self.empty | self.foreign

    def notes(self, what: str, lack: str) -> tuple[str, ...]:
        """Return what to tell the user, if anything: of what kind the texts are, and what they do not get."""
        many, of = len(self.empty), []
        if count := int(self.empty.sum()):
            of.append(f"note: {count:,} of {many:,} {what} have no words (empty, or emoji only): they get {lack}")
        if count := int(self.foreign.sum()):
            some = f"note: {count:,} of {many:,} {what} are in a language that the text encoder does not read"
            of.append(f"{some} (e.g. {self.example[:SHOWN]!r}): they get {lack}; {ADVICE}")
        return tuple(of)


def find_unread(texts: Sequence[str], tokenizer: Tokenizer, words: KnownWords | None) -> Unread:
    """Return which texts are not read.

    Parameters
    ----------
    words : which count as read; None where there is none.
    """
    column = pl.Series(texts, dtype=pl.String)
    empty = ~column.str.contains(r"\p{L}").to_numpy()
    suspect = unread_texts(tokenizer, column).to_numpy() | _foreign_pieces(texts, tokenizer)
    foreign = suspect & ~empty
    if words is not None and foreign.any():
        rows = np.flatnonzero(foreign)
        foreign[rows] = words.known([texts[int(i)] for i in rows]) < KNOWN
    return Unread(empty, foreign, texts[int(foreign.argmax())] if foreign.any() else "")


def _foreign_pieces(texts: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """Return which texts take many pieces a word, or none that is known, bool (n,).

    They are judged by the part that the tokenizer does not truncate.
    """
    unknown = {tokenizer.token_to_id(name) for name in UNKNOWN}
    without = np.zeros(len(texts), dtype=bool)
    pieces = np.zeros(len(texts), dtype=np.int64)
    words = np.zeros(len(texts), dtype=np.int64)
    for start in range(0, len(texts), BLOCK):
        for row, encoding in enumerate(tokenizer.encode_batch(list(texts[start : start + BLOCK]), add_special_tokens=False), start):
            if encoding.ids:
                pieces[row] = len(encoding.ids)
                words[row] = len(_WORD.findall(texts[row][: encoding.offsets[-1][1]]))
                without[row] = unknown.issuperset(encoding.ids)
    return without | (words >= LEAST_WORDS) & (pieces >= PIECES * words)
