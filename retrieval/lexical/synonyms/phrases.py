"""Finds the phrases of the thesaurus among the words of a query, in whatever form the words are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from retrieval.lexical.analyzer import fold
from retrieval.lexical.synonyms.concepts import ANY, MOST_WORDS, Concept
from retrieval.lexical.synonyms.query_words import LANGUAGES, SPACED, STEMMERS, Token, ordered, phrase_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LINKING = ("", "s", "n", "en", "es", "er", "e")  # between the words of a German compound
LEAST_COMPOUND, LONGEST_COMPOUND, LEAST_PART = 7, 40, 3
MOST_FORMS = 3  # of one word that are tried together with those of others


class Segment(NamedTuple):
    """A phrase of a query.

    Attributes
    ----------
    places : tuple of int
        Of its words among the tokens of the query, ascending.
    language : str
    concepts : tuple of int
    """

    places: tuple[int, ...]
    language: str
    concepts: tuple[int, ...]


@dataclass(frozen=True)
class Phrases:
    """Phrases by their words.

    Attributes
    ----------
    concepts : tuple of Concept
    """

    concepts: tuple[Concept, ...]

    @cached_property
    def by_key(self) -> dict[str, dict[tuple[str, ...], list[int]]]:
        """The concepts that have a phrase, by language and by the key of the phrase."""
        found: dict[str, dict[tuple[str, ...], list[int]]] = {language: {} for language in LANGUAGES}
        folded = self._folded()
        for number, concept in enumerate(self.concepts):
            for language, phrases in concept.words.items():
                for one in LANGUAGES if language == ANY else (language,):
                    for phrase in phrases:
                        numbers = found[one].setdefault(phrase_key(folded.get(phrase) or phrase.lower(), one), [])
                        if number not in numbers:
                            numbers.append(number)
        for phrases in found.values():
            phrases.pop((), None)
        return found

    def _folded(self) -> dict[str, str]:
        """Return the phrases that are not in ASCII, folded: all at once, since one by one it is slow."""
        cells = [cell for concept in self.concepts for cell in concept.words.values()]
        accented = [phrase for cell in cells for phrase in cell if not phrase.isascii()]
        return dict(zip(accented, fold("\n".join(accented)).split("\n"), strict=False))

    @cached_property
    def _words(self) -> dict[str, dict[str, list[str]]]:
        """The words of each language by their first letters."""
        found: dict[str, dict[str, list[str]]] = {}
        for language in SPACED:
            by_start: dict[str, list[str]] = {}
            for word in {word for key in self.by_key[language] for word in key}:
                by_start.setdefault(word[:3], []).append(word)
            found[language] = by_start
        return found

    @cached_property
    def forms(self) -> Callable[[str, str], tuple[str, ...]]:
        """Returns the words of a language's phrases that a folded word is a form of, the word itself first."""
        return lru_cache(1 << 15)(self._find_forms)

    def _find_forms(self, language: str, word: str) -> tuple[str, ...]:
        stemmer = STEMMERS[language]
        stem = stemmer.stem(word)
        near = [one for one in self._words[language].get(word[:3], ()) if one == word or one.startswith(stem[:-1])]
        return tuple(sorted((one for one in near if one == word or stemmer.stem(one) == stem), key=lambda one: (one != word, one)))

    def has_chinese(self, word: str) -> bool:
        """Return whether a Chinese phrase is in the list."""
        return (word,) in self.by_key["zh"]

    def chinese(self, tokens: Sequence[Token]) -> list[Segment]:
        """Return the Chinese phrases among tokens."""
        return [Segment((place,), "zh", tuple(self.by_key["zh"][token.word,])) for place, token in enumerate(tokens) if token.listed]

    def match(self, language: str, tokens: Sequence[Token], places: Sequence[int]) -> list[Segment]:
        """Return the phrases of a language with spaces among the tokens at some places, the longest ones first."""
        forms = [() if tokens[place].unspaced or tokens[place].listed else self.forms(language, tokens[place].word) for place in places]
        free = [bool(one) for one in forms]
        found: list[Segment] = []
        for size in range(min(MOST_WORDS, sum(free)), 0, -1):
            for start in range(len(places) - size + 1):
                window = slice(start, start + size)
                if all(free[window]) and (concepts := self._lookup(language, forms[window])):
                    free[window] = [False] * size
                    found.append(Segment(tuple(places[window]), language, concepts))
        return found

    def _lookup(self, language: str, forms: Sequence[tuple[str, ...]]) -> tuple[int, ...]:
        phrases = self.by_key[language]
        for words in product(*(one[:MOST_FORMS] for one in forms)):
            if numbers := phrases.get(ordered(words)):
                return tuple(numbers)
        return ()

    def concept_of(self, phrase: str) -> Concept | None:
        """Return the first concept that has an English phrase."""
        numbers = self._lookup("en", [self.forms("en", word) for word in phrase_key(fold(phrase), "en")])
        return self.concepts[numbers[0]] if numbers else None

    def split_compound(self, word: str) -> tuple[str, ...]:
        """Return the two words that a folded German compound joins, or the word alone."""
        if (
            not LEAST_COMPOUND <= len(word) <= LONGEST_COMPOUND
            or not word.isalpha()
            or any(self.forms(language, word) for language in SPACED)
        ):
            return (word,)
        for cut in range(LEAST_PART, len(word) - LEAST_PART + 1):
            if right := self._noun(word[cut:]):
                ends = [word[:cut].removesuffix(link) for link in _LINKING if word[:cut].endswith(link)]
                left = next((noun for end in ends if len(end) >= LEAST_PART and (noun := self._noun(end))), None)
                if left:
                    return left, right
        return (word,)

    def _noun(self, word: str) -> str | None:
        return next((form for form in self.forms("de", word) if (form,) in self.by_key["de"]), None)
