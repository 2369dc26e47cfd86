"""The words of a language that the checker knows: connecting words, words of one meaning, negations, conditions and bounds."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

LANGUAGES = {"en": "english", "de": "german", "fr": "french", "es": "spanish", "zh": None}  # with their stemmers
UNSPACED = {"zh"}  # languages without spaces between words


@dataclass(frozen=True)
class Lexicon:
    """One language's words, as `words/*.toml` has them.

    Attributes
    ----------
    language : str
        Two letters.
    safe : frozenset of str
        Stems of words that say nothing of their own.
    negators, never, yes, future, harmless, one : frozenset of str
        Words, folded.
    polite : frozenset of str
        Stems of words that a sentence may consist of that adds nothing: "I am sorry", "here is what I found".
    openers, joints, requests : re.Pattern
        How such a sentence begins, what joins two sentences without a stop, and what asks without a question mark.
    groups : dict of str to frozenset of int
        Stem -> numbers of the groups of one meaning that it is in.
    opposites : dict of str to str
        Word -> what it denies: "unsure" -> "sure".
    phrases, bounds, dates, after : dict of str to str
        Phrase, folded -> class; bounds count before a number or a date, `dates` before a date alone, `after` after either.
    """

    language: str
    safe: frozenset[str]
    negators: frozenset[str]
    never: frozenset[str]
    yes: frozenset[str]
    future: frozenset[str]
    harmless: frozenset[str]
    one: frozenset[str]
    polite: frozenset[str]
    openers: re.Pattern[str]
    joints: re.Pattern[str]
    requests: re.Pattern[str]
    groups: dict[str, frozenset[int]]
    phrases: dict[str, str]
    bounds: dict[str, str]
    dates: dict[str, str]
    after: dict[str, str]
    opposites: dict[str, str]

    @property
    def spaced(self) -> bool:
        """Whether words are separated by spaces."""
        return self.language not in UNSPACED

    @cached_property
    def phrase_pattern(self) -> re.Pattern[str]:
        """Finds phrases, the longest first."""
        return any_of(self.phrases, self.spaced)

    @cached_property
    def longest(self) -> int:
        """Characters of the longest word."""
        return max(map(len, (*self.safe, *self.negators, *self.groups)))

    def same(self, one: str, others: frozenset[str] | set[str]) -> bool:
        """Return whether a stem, or one of its meaning, is among others."""
        if one in others:
            return True
        groups = self.groups.get(one, frozenset())
        return bool(groups) and any(groups & self.groups.get(other, frozenset()) for other in others)


def any_of(phrases: dict[str, str], spaced: bool) -> re.Pattern[str]:
    """Return a pattern of any of the phrases, the longest first; one that finds nothing without phrases."""
    words = sorted(map(re.escape, phrases), key=len, reverse=True)
    edge = r"(?<!\w)(?:%s)(?!\w)" if spaced else "(?:%s)"
    return re.compile(edge % "|".join(words)) if words else re.compile(r"(?!)")


def fold(text: str) -> str:
    """Return a text of the same length in lower case without accents, with one kind of apostrophe and space."""
    return "".join(_folded(character) for character in text)


@cache
def _folded(character: str) -> str:
    if character in "’ʼ`´":
        return "'"
    if character.isspace() and character != "\n":
        return " "
    base = unicodedata.normalize("NFKD", character)[0]
    lower = base.lower()
    return lower if len(lower) == 1 else character


@cache
def lexicon_of(language: str) -> Lexicon | None:
    """Return a language's words; None if the checker does not know the language."""
    if language not in LANGUAGES:
        return None
    path = files("recsys.wording.checking").joinpath("words", f"{language}.toml")
    table = tomllib.loads(path.read_text(encoding="utf-8"))

    def words(name: str) -> frozenset[str]:
        return frozenset(fold(table.get(name, "")).split())

    def by_phrase(name: str) -> dict[str, str]:
        return {fold(phrase): kind for kind, phrases in table.get(name, {}).items() for phrase in phrases}

    groups: dict[str, set[int]] = {}
    for number, line in enumerate(table["synonyms"]):
        for word in line.split():
            groups.setdefault(stem(word, language), set()).add(number)
    return Lexicon(
        language=language,
        safe=frozenset(stem(word, language) for word in table["safe"].split()),
        negators=words("negators"),
        never=words("never"),
        yes=words("yes"),
        future=words("future"),
        harmless=words("harmless"),
        one=words("one"),
        polite=frozenset(stem(word, language) for word in table["polite"].split()),
        openers=re.compile("|".join(map(fold, table["openers"]))),
        joints=re.compile(fold(table["joints"])),
        requests=re.compile(fold(table["requests"])),
        groups={word: frozenset(numbers) for word, numbers in groups.items()},
        phrases=by_phrase("phrases"),
        bounds=by_phrase("bounds"),
        dates=by_phrase("dates"),
        after=by_phrase("after"),
        opposites={fold(word): fold(denied) for word, denied in table.get("opposites", {}).items()},
    )


@cache
def stem(word: str, language: str) -> str:
    """Return the stem of a word without accents."""
    name = LANGUAGES.get(language)
    return _stemmer(name).stemWord(fold(word)) if name else fold(word)


@cache
def _stemmer(name: str) -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer(name)
