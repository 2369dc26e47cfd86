"""Finds the phrases by which customers say what they want: a fixed list in several languages, see phrases.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

from rapidfuzz.distance import OSA

from features.reviews.folding import folded_word
from features.reviews.languages import FUNCTION_WORDS
from features.text.languages.names import ENGLISH_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "phrases.toml"
COMMON, PLACES = "common", "ordinal_words"
LEAST_MENDED = 5  # letters of a word whose typing error is mended
UNSPACED = "zh"
IDEOGRAPH = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Found:
    """A phrase in a message.

    Attributes
    ----------
    phrase : as the list has it.
    language : of the phrase.
    before, after : the folded words on either side.
    """

    phrase: str
    language: str
    before: str
    after: str


@dataclass(frozen=True)
class Message:
    """A customer's message, folded, and the phrases in it.

    Attributes
    ----------
    text : as typed.
    folded : in lower case, without accents and punctuation, one space between words.
    """

    text: str
    folded: str

    @classmethod
    def of(cls, text: str, knows: Callable[[str], bool] | None = None) -> Message:
        """Fold a message, and mend words of phrases that have one typing error.

        Parameters
        ----------
        knows : whether a word is one of the shop's, which is no misspelling of another one; None mends nothing.
        """
        words = folded_word(text).split()
        return cls(text, " ".join(words if knows is None else [_mended(word, knows) for word in words]))

    def find(self, key: str, among: str | None = None) -> Found | None:
        """Return the first phrase of a kind in the message, the longest of those that begin there; None without one.

        Parameters
        ----------
        among : the language of the phrases; None for all.
        """
        best: tuple[int, int, Found] | None = None
        for pattern, phrase, language in _patterns(key):
            if among not in (None, language):
                continue
            match = pattern.search(self.folded)
            if match and (best is None or (match.start(), -match.end()) < best[:2]):
                found = Found(phrase, language, self.folded[: match.start()].strip(), self.folded[match.end() :].strip())
                best = match.start(), -match.end(), found
        return best and best[2]

    def has(self, key: str) -> bool:
        """Whether the message holds a phrase of a kind."""
        return self.find(key) is not None

    def without(self, *keys: str) -> str:
        """Return the folded message without the phrases of some kinds."""
        rest = self.folded
        for key in keys:
            for pattern, _, _ in _patterns(key):
                rest = pattern.sub(" ", rest)
        return " ".join(rest.split())

    def content(self, *keys: str) -> str:
        """Return the words that are left without phrases of some kinds, frequent words of requests and numbers."""
        words = [word for word in self.without(*keys).split() if word not in _common() and not word.isdigit()]
        return " ".join(word for one in words if (word := _without_common_signs(one)))

    @property
    def asks(self) -> bool:
        """Whether it begins as a question of its language does."""
        return "?" in self.text or "？" in self.text or self.find("question", self.language) is not None

    @cached_property
    def language(self) -> str | None:
        """The language that its words tell; None where they do not."""
        if IDEOGRAPH.search(self.text):
            return UNSPACED
        words = self.folded.split()
        counts = {language: sum(word in known for word in words) for language, known in _function_words().items()}
        for language, known in _content()[COMMON].items():
            counts[language] = counts.get(language, 0) + sum(word in known for word in words)
        for key in kinds():
            if found := self.find(key):
                counts[found.language] = counts.get(found.language, 0) + len(found.phrase.split())
        best = max(counts, key=lambda language: counts[language])
        return best if counts[best] > 0 and list(counts.values()).count(counts[best]) == 1 else None


@cache
def places_of_words() -> dict[str, int]:
    """Return the places, from 0, that words for places name."""
    named = {word: place for words in _content()[PLACES].values() for place, word in enumerate(words)}
    return named | {str(place + 1): place for place in range(len(_content()[PLACES]["en"]))}


@cache
def kinds() -> tuple[str, ...]:
    """Return the kinds of phrases."""
    return tuple(key for key in _content() if key not in (COMMON, PLACES))


@cache
def _content() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(files("recsys.dialogue").joinpath(FILE).read_text(encoding="utf-8"))


@cache
def _common() -> frozenset[str]:
    return frozenset(word for words in _content()[COMMON].values() for word in words)


def _without_common_signs(word: str) -> str:
    """Return a word of a language without spaces between words without its frequent signs."""
    if not IDEOGRAPH.search(word):
        return word
    for sign in sorted(_content()[COMMON][UNSPACED], key=len, reverse=True):
        word = word.replace(sign, "")
    return word


@cache
def _vocabulary() -> frozenset[str]:
    phrases = (phrase for key in kinds() for some in _content()[key].values() for phrase in some)
    return frozenset(word for phrase in phrases for word in phrase.strip("^$").split()) | _common()


def _mended(word: str, knows: Callable[[str], bool]) -> str:
    """Return the one word of the phrases that a word is one edit away from, with the same first letter; else the word."""
    if len(word) < LEAST_MENDED or word in _vocabulary() or not word.isascii() or not word.isalpha() or knows(word):
        return word
    likely = (known for known in _vocabulary() if known[0] == word[0] and len(known) >= LEAST_MENDED - 1)
    near = [known for known in likely if OSA.distance(word, known, score_cutoff=1) <= 1]
    if len(near) > 1:  # a letter is left out more often than added
        near = [known for known in near if len(known) >= len(word)]
    return near[0] if len(near) == 1 else word


@cache
def _function_words() -> dict[str, frozenset[str]]:
    codes = {name: code for code, name in ENGLISH_NAMES.items()}
    return {codes[language]: frozenset(words.split()) for language, words in FUNCTION_WORDS.items()}


@cache
def _patterns(key: str) -> tuple[tuple[re.Pattern[str], str, str], ...]:
    return tuple(
        (_pattern(phrase, language), phrase.strip("^$"), language) for language, phrases in _content()[key].items() for phrase in phrases
    )


def _pattern(phrase: str, language: str) -> re.Pattern[str]:
    words = re.escape(phrase.strip("^$"))
    begin = "^" if phrase.startswith("^") else "" if language == UNSPACED else r"(?<!\w)"
    end = "$" if phrase.endswith("$") else "" if language == UNSPACED else r"(?!\w)"
    return re.compile(begin + words + end)
