"""Words of shops' service: what a question or a help page is about, whichever words it has, and the same in English words.

service_words.csv has one concept a line: words and phrases for it in English and German, its best English name first. It is made for what
customers ask a shop (delivery, payment, returns, account), not for products: those have `retrieval.lexical.synonyms.thesaurus`.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from features.text.languages.names import ENGLISH_NAMES
from retrieval.lexical.analyzer import Analyzer, fold
from retrieval.lexical.stop_words import STOP_WORDS
from retrieval.passages.product_evidence import rarity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENGLISH, GERMAN = "en", "de"
LANGUAGES = (ENGLISH, GERMAN)
CONCEPT_WORD = 0.5  # what a word of the list says about the language of a text, where a function word says 1
LEAST_PART, LEAST_COMPOUND = 4, 7  # letters of a part of a compound, and of a compound
MOST_OF_A_WORD = 3  # concepts that are said in English
_NEGATIONS = frozenset({"nicht", "kein", "keine", "keinen", "nie"})
_WORD = re.compile(r"[^\W_]+")
_ANALYZERS = {code: Analyzer(ENGLISH_NAMES[code]) for code in LANGUAGES}
_FUNCTION_WORDS = {code: STOP_WORDS[ENGLISH_NAMES[code]] for code in LANGUAGES}


class ReadService(NamedTuple):
    """A text as the list reads it.

    Attributes
    ----------
    concepts : numbers of those that it names.
    english : the text in English words, as far as they are known.
    """

    concepts: frozenset[int]
    english: str


@dataclass(frozen=True)
class ServiceWords:
    """Concepts, each with its phrases by language."""

    concepts: tuple[dict[str, tuple[str, ...]], ...]

    @classmethod
    @cache
    def packaged(cls) -> ServiceWords:
        """Return the rows of service_words.csv."""
        text = files("retrieval.passages").joinpath("service_words.csv").read_text(encoding="utf-8")
        rows = csv.DictReader(io.StringIO(text), delimiter=";", quoting=csv.QUOTE_NONE)
        return cls(tuple({language: tuple(row[language].split("|")) for language in LANGUAGES} for row in rows))

    @cached_property
    def _keys(self) -> dict[str, dict[tuple[str, ...], tuple[int, ...]]]:
        """The concepts of each phrase, which is a key of stems, by language."""
        found: dict[str, dict[tuple[str, ...], tuple[int, ...]]] = {language: {} for language in LANGUAGES}
        for number, concept in enumerate(self.concepts):
            for language, phrases in concept.items():
                for phrase in phrases:
                    key = _stems(_words(phrase), language)
                    found[language][key] = tuple(dict.fromkeys((*found[language].get(key, ()), number)))
        return found

    @cached_property
    def _longest(self) -> int:
        return max((len(key) for keys in self._keys.values() for key in keys), default=1)

    @cached_property
    def _parts(self) -> dict[str, tuple[int, ...]]:
        """German words that may be part of a compound."""
        return {key[0]: numbers for key, numbers in self._keys[GERMAN].items() if len(key) == 1 and len(key[0]) >= LEAST_PART}

    def read(self, text: str, language: str = "") -> ReadService:
        """Read a text.

        Parameters
        ----------
        language : ISO 639-1 code; "" for the one that its words tell. A text in a language that the list lacks names nothing.
        """
        language = language or self._language(text)
        if language not in LANGUAGES:
            return ReadService(frozenset(), text)
        runs = self._runs(_words(text), language)
        concepts = frozenset(number for _, numbers in runs for number in numbers)
        return ReadService(concepts, text if language == ENGLISH else " ".join(self._english(runs)))

    def _language(self, text: str) -> str:
        words = _words(text)

        def told(language: str) -> float:
            listed = sum(stem in self._keys[language] for stem in ((one,) for one in _stems(words, language)))
            return sum(word in _FUNCTION_WORDS[language] for word in words) + CONCEPT_WORD * listed

        return max(LANGUAGES, key=told)

    def _runs(self, words: Sequence[str], language: str) -> list[tuple[Sequence[str], tuple[int, ...]]]:
        """Return runs of words, the longest phrases first, with the concepts that they name."""
        stems, keys = _stems(words, language), self._keys[language]
        runs: list[tuple[Sequence[str], tuple[int, ...]]] = []
        place = 0
        while place < len(words):
            sizes = range(min(self._longest, len(words) - place), 0, -1)
            size = next((size for size in sizes if stems[place : place + size] in keys), 0)
            numbers = keys[stems[place : place + size]] if size else self._of_compound(words[place], stems[place], language)
            runs.append((words[place : place + max(1, size)], numbers))
            place += max(1, size)
        return runs

    def _of_compound(self, word: str, stem: str, language: str) -> tuple[int, ...]:
        if language != GERMAN or len(stem) < LEAST_COMPOUND or word in _FUNCTION_WORDS[GERMAN]:
            return ()
        parts = [
            numbers for part, numbers in self._parts.items() if len(part) < len(stem) - 2 and (stem.startswith(part) or stem.endswith(part))
        ]
        return tuple(sorted({number for numbers in parts for number in numbers}))

    def _english(self, runs: Iterable[tuple[Sequence[str], tuple[int, ...]]]) -> Iterable[str]:
        for words, numbers in runs:
            if numbers:
                yield from (self.concepts[number][ENGLISH][0] for number in numbers[:MOST_OF_A_WORD])
            elif _NEGATIONS.intersection(words):
                yield "not"
            else:
                yield from (word for word in words if word not in _FUNCTION_WORDS[GERMAN])


@dataclass(frozen=True)
class ConceptIndex:
    """The concepts of n passages.

    Attributes
    ----------
    asked : of question and tags, weighted by their rarity and of unit norm, float32 (n, concepts).
    held : whether question, tags or answer name a concept, float32 (n, concepts).
    rarity : float32 (concepts,).
    """

    asked: np.ndarray
    held: np.ndarray
    rarity: np.ndarray

    @classmethod
    def build(cls, asked: Sequence[frozenset[int]], answers: Sequence[frozenset[int]], concepts: int) -> ConceptIndex:
        """Build the index of n passages from the concepts of question with tags, and of the answer."""
        of_asked, held = (np.zeros((len(asked), concepts), dtype=np.float32) for _ in range(2))
        for row, (one, answer) in enumerate(zip(asked, answers, strict=True)):
            of_asked[row, list(one)] = 1
            held[row, list(one | answer)] = 1
        rare = np.array([rarity(int(count), len(asked)) for count in of_asked.sum(axis=0)], dtype=np.float32)
        weighted = of_asked * rare
        return cls(weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-9), held, rare)

    def evidence(self, concepts: frozenset[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return of each passage the cosine with a question's concepts, and the share of them that it names, float32 (n,) each."""
        weights = np.zeros(len(self.rarity), dtype=np.float32)
        weights[list(concepts)] = self.rarity[list(concepts)]
        total = max(float(weights.sum()), 1e-9)
        return self.asked @ weights / max(float(np.linalg.norm(weights)), 1e-9), self.held @ weights / total


def _words(text: str) -> list[str]:
    return _WORD.findall(fold(text))


def _stems(words: Iterable[str], language: str) -> tuple[str, ...]:
    return tuple(map(_ANALYZERS[language].stem, words))
