"""Mends misspelt words of a query against the words of the catalogue and of the search log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from retrieval.lexical.analyzer import fold
from retrieval.lexical.stop_words import STOP_WORDS
from retrieval.lexical.units import UNIT_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from retrieval.lexical.index import LexicalIndex
    from retrieval.lexical.word_counts import WordCounts

LEAST_LETTERS = 3  # shorter words are too close to each other
SHORT = 5  # words of up to so many letters are mended to frequent words alone
TWO_EDITS = 8  # letters from which a word may have two
RARE, FREQUENT = 3, 50  # a known word is mended if it is rare and a neighbour is so many times as frequent
SHARE, SHORTEST_SHARE, LEAST_COUNT = 0.0005, 0.005, 5  # of all texts, that hold a frequent word; for the shortest
EDIT_COST = 5.0  # of an edit, in natural logarithms of frequency
TOGETHER = 2.0  # what it weighs that an item holds the word together with another of the query
FIRST_LETTER, SLIP = 0.4, 0.3  # more for a wrong first letter; less for a doubled letter, a swap, a lost vowel, or a key aside
MOST_MENDED, MOST_CANDIDATES, MOST_OTHERS = 8, 8, 4  # what a query may cost
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_ALL_STOP_WORDS = frozenset().union(*STOP_WORDS.values())
_MENDABLE = re.compile(r"[^\W\d_]+")
_DOUBLED, _VOWELS = re.compile(r"(.)\1+"), re.compile(r"[aeiouy]")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")


class Correction(NamedTuple):
    """A word, or two neighbours, of a query as typed and as read."""

    typed: str
    read: str


@dataclass(frozen=True)
class SpellChecker:
    """Finds the word that a misspelt one most likely is.

    Attributes
    ----------
    vocabulary : WordCounts
    index : LexicalIndex
        Tells which words stand together in a text.
    real_words : frozenset of str
        Words that are right although the catalogue lacks them ("eat", "years"), such as those of `whole_words`. They are mended only where
        the other words of the query say so.
    """

    vocabulary: WordCounts
    index: LexicalIndex
    real_words: frozenset[str] = frozenset()

    def correct(self, words: Sequence[str]) -> list[Correction]:
        """Return the corrections of a query's words, in their order; words that are right have none."""
        folded = [fold(word) for word in words]
        if self._in_another_language(folded):
            return []
        found: list[Correction] = []
        strange, place = 0, 0
        while place < len(folded):
            word, pair = folded[place], folded[place : place + 2]
            typed, read = " ".join(words[place : place + 2]), self._joined(pair)
            if read is None:
                pair, typed = [word], words[place]
            if read is None and len(found) + strange < MOST_MENDED:
                read = self._mended(typed, [other for i, other in enumerate(folded) if i != place])
                strange += read is None and _MENDABLE.fullmatch(word) is not None and not self.knows(word)
            if read is not None:
                found.append(Correction(typed, read))
            place += len(pair)
        # Where no word is right and some are unlike any, the others are likely of another language too.
        return found if not strange or any(map(self.knows, folded)) else []

    def knows(self, word: str) -> bool:
        """Return whether the vocabulary has a folded word, or another form of it."""
        return word in self._row_of or word in UNIT_WORDS or self._of_stem(word) > 0

    def _of_stem(self, word: str) -> int:
        """Return the number of texts that hold a word or another form of it."""
        return self.index.vocabulary.get(self.index.analyzer.stem(word), 0)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.vocabulary.words)}

    def _count(self, word: str) -> int:
        row = self._row_of.get(word)
        return self._units.get(word, 0) if row is None else int(self.vocabulary.counts[row])

    @cached_property
    def _units(self) -> dict[str, int]:
        """Words of units, which the catalogue may write short, and the number of texts that hold the unit."""
        return {word: n for word, unit in UNIT_WORDS.items() if (n := self.index.vocabulary.get(unit, 0))}

    def _in_another_language(self, words: Sequence[str]) -> bool:
        """Return whether function words say that a query is in another language than the shop's: its words are no misspellings."""
        own = STOP_WORDS.get(self.index.config.language, frozenset())
        foreign = [word for word in words if word in _ALL_STOP_WORDS and word not in own and not self.knows(word)]
        return bool(foreign)

    def _mended(self, typed: str, others: Sequence[str]) -> str | None:
        word = fold(typed)
        if len(word) < LEAST_LETTERS or word in _ALL_STOP_WORDS or not _MENDABLE.fullmatch(word) or _UNSPACED.search(word):
            return None
        count, known, real = self._count(word) or self._of_stem(word), self.knows(word), word in self.real_words
        if known and (word in UNIT_WORDS or len(word) <= SHORT or (count > RARE and (real or self._count(word)))):
            return None
        candidates = [one for one in self._candidates(word, 1) if one not in others]
        if not candidates and not known and len(word) >= TWO_EDITS:
            candidates = self._candidates(word, 2)
        if word != typed.lower():  # accents are typed on purpose
            candidates = [one for one in candidates if not self._shown(one).isascii()]
        if known:
            candidates = [one for one in candidates if self._count(one) >= FREQUENT * count]
        if real and not known:
            candidates = [one for one in candidates if _is_slip(word, one) and self._in_context(one, others)]
        best = self._likeliest(word, candidates, others)
        split = None if known or real else self._split(word, together=best is not None)
        if split is not None and (best is None or OSA.distance(word, best) > 1):
            return split
        return None if best is None else self._shown(best)

    def _candidates(self, word: str, edits: int) -> list[str]:
        found: list[str] = []
        for length in range(len(word) - edits, len(word) + edits + 1):
            names = self._of_length.get(length, [])
            found += [name for name, _, _ in process.extract(word, names, scorer=OSA.distance, score_cutoff=edits, limit=None)]
        return [one for one in found if one != word and self._plausible(word, one)]

    @cached_property
    def _of_length(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for word in dict.fromkeys([*self.vocabulary.words, *self._units]):
            if len(word) > LEAST_LETTERS and _MENDABLE.fullmatch(word):
                found.setdefault(len(word), []).append(word)
        return found

    def _plausible(self, word: str, read: str) -> bool:
        """Return whether a word may be a slip for another, and not just another word that the catalogue lacks."""
        slip = _is_slip(word, read)
        if not self.real_words and word[0] != read[0] and len(word) < TWO_EDITS and not (slip or word == read[1:]):
            return word[1:] == read and word[0] in NEIGHBOURS.get(read[0], "")  # "iphone" is no phone, and "years" are no pears
        if len(word) > SHORT:
            return True
        if len(word) == LEAST_LETTERS and len(read) <= len(word):
            return False
        share = SHARE if len(word) > LEAST_LETTERS and (slip or len(word) == SHORT) else SHORTEST_SHARE
        return self._count(read) >= max(LEAST_COUNT, share * len(self.index))

    def _likeliest(self, word: str, candidates: Sequence[str], others: Sequence[str]) -> str | None:
        """Return what was meant, by frequency less the edits, in logarithms; more if texts hold it with other words of the query."""
        weights = {one: log(self._count(one) + 1) - EDIT_COST * _cost(word, one) for one in candidates}
        for one in sorted(weights, key=lambda one: (-weights[one], one))[:MOST_CANDIDATES]:
            weights[one] += TOGETHER * self._in_context(one, others)
        return max(weights, key=lambda one: (weights[one], one), default=None)

    def _in_context(self, word: str, others: Sequence[str]) -> bool:
        """Return whether a text holds a word together with any other word of the query."""
        return any(self._together(word, other) for other in [other for other in others if self.knows(other)][:MOST_OTHERS])

    def _together(self, one: str, other: str) -> int:
        """Return in how many texts two words stand together."""
        texts = [self.index.texts_with(self.index.analyzer.stem(word)) for word in (one, other)]
        return len(np.intersect1d(*texts, assume_unique=True))

    def _split(self, word: str, *, together: bool) -> str | None:
        """Return two words of the catalogue that are written as one ("toiletpaper"), if need be only such as stand together in texts."""
        best, most = None, (0, 0) if together else (-1, LEAST_COUNT)
        for cut in range(LEAST_LETTERS, len(word) - LEAST_LETTERS + 1):
            left, right = word[:cut], word[cut:]
            if left in self._row_of and right in self._row_of:
                weight = (self._together(left, right), min(self._count(left), self._count(right)))
                if weight[0] > max(most[0], 0) or (weight > most and min(cut, len(word) - cut) > LEAST_LETTERS):
                    best, most = f"{self._shown(left)} {self._shown(right)}", weight
        return best

    def _joined(self, pair: Sequence[str]) -> str | None:
        """Return the word that two neighbours are the halves of ("tooth paste"); if both are words, the index looks for all three."""
        word = "".join(pair)
        if len(pair) < 2 or word not in self._row_of or not all(_MENDABLE.fullmatch(one) for one in pair):
            return None
        return None if all(self.knows(one) for one in pair) else self._shown(word)

    def _shown(self, word: str) -> str:
        row = self._row_of.get(word)
        return word if row is None else self.vocabulary.shown[row]


def whole_words(vocabulary: Iterable[str]) -> frozenset[str]:
    """Return the words that a tokenizer's vocabulary holds whole, of WordPiece or SentencePiece."""
    pieces = list(vocabulary)
    begins = [piece[1:] for piece in pieces if piece.startswith("▁")] or [piece for piece in pieces if not piece.startswith("##")]
    return frozenset(fold(piece) for piece in begins if len(piece) >= LEAST_LETTERS and piece.isalpha())


def _cost(word: str, read: str) -> float:
    return float(OSA.distance(word, read)) - SLIP * _is_slip(word, read) + FIRST_LETTER * (word[0] != read[0])


def _is_slip(word: str, read: str) -> bool:
    """Return whether fingers slip so: letters swapped, one doubled or not, a vowel or the last letter lost, or the key beside."""
    if read[:-1] == word or sorted(word) == sorted(read) or _DOUBLED.sub(r"\1", word) == _DOUBLED.sub(r"\1", read):
        return True
    if len(word) < len(read):
        return _VOWELS.sub("", word) == _VOWELS.sub("", read)
    different = [(a, b) for a, b in zip(word, read, strict=False) if a != b]
    return len(word) == len(read) and len(different) == 1 and different[0][1] in NEIGHBOURS.get(different[0][0], "")


def _neighbours() -> Mapping[str, str]:
    places = {key: (row, column + 0.5 * row) for row, keys in enumerate(_ROWS) for column, key in enumerate(keys)}
    return {
        key: "".join(other for other, (r, c) in places.items() if other != key and abs(r - row) <= 1 and abs(c - column) <= 1)
        for key, (row, column) in places.items()
    }


NEIGHBOURS = _neighbours()
