"""Other ways to write a query's terms, of which a text may hold any: "wifi" for "wi-fi", "gal" for "gallon", "frzn" for "frozen"."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from math import log1p
from typing import TYPE_CHECKING

import numpy as np

from retrieval.lexical.units import split_quantity, unit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_VOWELS = re.compile(r"[aeiouy]")
_DOUBLED = re.compile(r"(.)\1+")
LEAST_SKELETON, LEAST_PART, LONGEST = 3, 3, 40  # letters

Way = tuple[tuple[str, ...], float]  # terms, and the weight of their scores


@dataclass(frozen=True)
class QueryTerms:
    """Ways to write terms, among those that the catalogue has.

    Attributes
    ----------
    n_texts : int
    vocabulary : mapping of str to int
        Number of texts that hold each term.
    texts_with : callable
        Returns the texts that hold a term, ascending.
    """

    n_texts: int
    vocabulary: Mapping[str, int]
    texts_with: Callable[[str], np.ndarray]

    def ways(self, tokens: Sequence[str]) -> list[list[Way]]:
        """Return, for each distinct term of a query, the ways to write it.

        A way weighs at most as much as the typed one: a rare abbreviation would otherwise count more than the word.
        """
        distinct = list(dict.fromkeys(tokens))
        found: list[list[Way]] = []
        place = 0
        while place < len(distinct):
            pair = distinct[place : place + 2]
            if len(pair) == 2 and "".join(pair) in self.vocabulary:
                found.append(self._weighted(tuple(pair), [("".join(pair),)]))
                place += 2
            else:
                found.append(self._weighted((pair[0],), self._others(pair[0])))
                place += 1
        return found

    def _weighted(self, typed: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> list[Way]:
        most = self._rarity(typed)
        known = [way for way in others if all(term in self.vocabulary for term in way)]
        return [(typed, 1.0), *((way, min(1.0, most / self._rarity(way)) if most else 1.0) for way in known)]

    def _rarity(self, terms: Sequence[str]) -> float:
        """Return the sum of the inverse document frequencies of terms; an unknown term has none."""
        counts = [self.vocabulary[term] for term in terms if term in self.vocabulary]
        return sum(log1p((self.n_texts - count + 0.5) / (count + 0.5)) for count in counts)

    def _others(self, token: str) -> list[tuple[str, ...]]:
        others: list[tuple[str, ...]] = []
        if quantity := split_quantity(token):
            others.append(quantity[:1])
        elif unit := unit_of(token):
            others.append((unit,))
        skeleton = _skeleton(token)
        if skeleton and token.isalpha() and not _VOWELS.search(token):
            others += [(word,) for word in [self._full_words.get(skeleton)] if word]
        others += [(short,) for short in self._abbreviations.get(skeleton, ()) if short != token]
        return others + self._split(token)

    def _split(self, token: str) -> list[tuple[str, ...]]:
        """Return the two words that a compound joins, if they stand in the same texts more often than the compound does."""
        if not token.isalpha() or not 2 * LEAST_PART <= len(token) <= LONGEST:
            return []
        least = max(self.vocabulary.get(token, 0), 1)
        best: tuple[str, ...] = ()
        for cut in range(LEAST_PART, len(token) - LEAST_PART + 1):
            left, right = token[:cut], token[cut:]
            if min(self.vocabulary.get(left, 0), self.vocabulary.get(right, 0)) > least:
                together = len(np.intersect1d(self.texts_with(left), self.texts_with(right), assume_unique=True))
                if together > least:
                    least, best = together, (left, right)
        return [best] if best else []

    @cached_property
    def _abbreviations(self) -> dict[str, list[str]]:
        """Terms without vowels ("frzn") by their consonants, of which a longer word may have the same ("frozen")."""
        found: dict[str, list[str]] = defaultdict(list)
        for term in self.vocabulary:
            if len(term) >= LEAST_SKELETON and term.isalpha() and term.isascii() and not _VOWELS.search(term):
                found[_skeleton(term)].append(term)
        return found

    @cached_property
    def _full_words(self) -> dict[str, str]:
        """The most frequent term with vowels for the consonants of each abbreviation."""
        found: dict[str, str] = {}
        for term, count in self.vocabulary.items():
            skeleton = _skeleton(term)
            if skeleton in self._abbreviations and _VOWELS.search(term) and count > self.vocabulary.get(found.get(skeleton, ""), 0):
                found[skeleton] = term
        return found


def _skeleton(term: str) -> str:
    return _DOUBLED.sub(r"\1", term[:1] + _VOWELS.sub("", term[1:]).replace("ck", "k")) if len(term) >= LEAST_SKELETON else ""
