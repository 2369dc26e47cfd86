"""Texts and queries to terms: case, accents, units and model numbers normalised, words stemmed."""

from __future__ import annotations

import re
import threading
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import snowballstemmer

from features.errors import ConfigError
from retrieval.lexical.stop_words import STOP_WORDS
from retrieval.lexical.units import normalize_units, number, split_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_STEMMING = "none"
LANGUAGES = (*snowballstemmer.algorithms(), NO_STEMMING)
# Vowel signs and other marks of scripts that are written with them; Python's \w holds letters alone.
_MARKS = (
    r"\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
    r"\u0e31-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc\u0ec8-\u0ecd\u102b-\u103e\u17b4-\u17d3"
)
_CHUNK = re.compile(rf"[\w{_MARKS}]+(?:[-'.&+][\w{_MARKS}]+|(?<=\d),\d+)*")
# Chinese, Japanese, Thai, Lao, Burmese and Khmer have no spaces; Korean words carry their particles.
_UNSPACED = re.compile(
    r"([\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]+)"
)
_ACCENTS = re.compile(r"[\u0300-\u036f\u064b-\u0652]")
_INVISIBLE = re.compile(r"[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]")
_SPELLED = str.maketrans(
    {**dict.fromkeys("‐‑‒–—―−_", "-"), **dict.fromkeys("’‘`´ʼ′", "'"), **dict.fromkeys("“”″", '"'), **dict.fromkeys("™®©℠", " "), "⁄": "/"}
)
# NFKC would make "31/2" of "3½".
_FRACTION = re.compile(r"(?=[¼-¾⅐-⅞])")
_SEPARATOR = re.compile(r"[-'.&+]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)+")
_APOSTROPHE = re.compile(r"(?<=')\w{3,}")
_RUNS = re.compile(r"\d{3,}|[^\W\d]{3,}")
_ELISION = re.compile(r"^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|all|dell|nell|sull|dall|un)'")
_ELIDING = {"french", "italian", "catalan"}
_STEMMERS = threading.local()


def fold(text: str) -> str:
    """Return a text in lower case, without accents, invisible characters and typographic variants (NFKC)."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", _FRACTION.sub(" ", _INVISIBLE.sub("", text.translate(_SPELLED)))).casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text.translate(_SPELLED))))
    return text


@dataclass(frozen=True)
class Analyzer:
    """Splits texts into the words of the index and the terms of queries.

    Attributes
    ----------
    language : str
        Of the stemmer and the stop words, see `LANGUAGES`; "none" keeps words as they are.

    Raises
    ------
    ConfigError
        If there is no stemmer for the language.
    """

    language: str = "english"

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ConfigError(f"there is no stemmer for the language {self.language!r}: choose one of {', '.join(LANGUAGES)}")

    def tokens(self, text: str) -> list[str]:
        """Return the terms that a query looks for; its stop words only if it has nothing else."""
        chunks = list(_chunks(text))
        stops = STOP_WORDS.get(self.language, frozenset())
        telling = [chunk for chunk in chunks if chunk not in stops]
        return [term for chunk in telling or chunks for term in _query_terms(chunk, self.language)]

    def says_nothing(self, text: str) -> bool:
        """Return whether a text has stop words alone."""
        chunks = list(_chunks(text))
        return bool(chunks) and all(chunk in STOP_WORDS.get(self.language, ()) for chunk in chunks)

    def index_words(self, text: str) -> list[str]:
        """Return the words that a text is found by, not stemmed: more than those of a query, with parts and whole of "wi-fi"."""
        return [word for chunk in _chunks(text) for word in _index_words(chunk, self.language)]

    def stem(self, word: str) -> str:
        """Return the term of one folded word."""
        return _stem(word, self.language)


def _chunks(text: str) -> Iterator[str]:
    return (found[0] for found in _CHUNK.finditer(normalize_units(fold(text).replace("_", "-"))))


@lru_cache(maxsize=1 << 15)
def _query_terms(chunk: str, language: str) -> tuple[str, ...]:
    terms: list[str] = []
    for run, unspaced in _scripts(chunk):
        if unspaced:
            terms += _bigrams(run)
        elif split_quantity(run):
            terms.append(run)
        else:
            terms += [_stem(part, language) for part in _parts(run, language)]
    return tuple(terms)


@lru_cache(maxsize=1 << 17)
def _index_words(chunk: str, language: str) -> tuple[str, ...]:
    words: list[str] = []
    for run, unspaced in _scripts(chunk):
        if unspaced:
            words += [*_bigrams(run), *(character for character in run if len(run) > 1 and "\u3400" <= character <= "\u9fff")]
        elif quantity := split_quantity(run):
            words += [run, *quantity]
        else:
            words += _whole_and_parts(run, language)
    return tuple(words)


def _scripts(chunk: str) -> Iterator[tuple[str, bool]]:
    """Return the runs of a chunk, and whether a run's script has no spaces."""
    if chunk.isascii():
        yield chunk, False
        return
    for place, run in enumerate(_UNSPACED.split(chunk)):
        if run.strip("-'.&+"):
            yield run.strip("-'.&+"), bool(place % 2)


def _bigrams(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _parts(run: str, language: str) -> list[str]:
    """Return the words of a chunk, which hyphens, points and the like separate; a number stays whole."""
    if _NUMBER.fullmatch(run):
        value = number(run)
        return [value] if _NUMBER.fullmatch(value) or value.isdigit() else _SEPARATOR.split(run)
    if "'" in run:
        run = _ELISION.sub("", run) if language in _ELIDING else run
        run = re.sub(r"'s$", "s", run).replace("'", "")
    return [part for part in _SEPARATOR.split(run.replace(",", "")) if part]


def _whole_and_parts(run: str, language: str) -> list[str]:
    parts = _parts(run, language)
    words = [*parts, "".join(parts)] if len(parts) > 1 else list(parts)
    for part in parts:
        if not part.isalpha() and not part.isdigit():
            words += [found for found in _RUNS.findall(part) if found != part]
    return [*words, *_APOSTROPHE.findall(run)]


@lru_cache(maxsize=1 << 17)
def _stem(word: str, language: str) -> str:
    if language == NO_STEMMING or len(word) < 3 or not word.isalpha():
        return word
    stemmers = _STEMMERS.__dict__  # a stemmer keeps the word it works on: one for each thread
    if language not in stemmers:
        stemmers[language] = snowballstemmer.stemmer(language)
    return stemmers[language].stemWord(word)
