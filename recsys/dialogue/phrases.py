"""Finds the phrases by which customers say what they want: a fixed list in several languages, see phrases.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from features.reviews.folding import folded_word
from features.reviews.languages import FUNCTION_WORDS
from features.text.languages.names import ENGLISH_NAMES

FILE = "phrases.toml"
UNSPACED = "zh"
_IDEOGRAPH = re.compile(r"[\u4e00-\u9fff]")


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
    def of(cls, text: str) -> Message:
        """Fold a message."""
        return cls(text, " ".join(folded_word(text).split()))

    def find(self, key: str) -> Found | None:
        """Return the first phrase of a kind in the message, the longest of those that begin there; None without one."""
        best: tuple[int, int, Found] | None = None
        for pattern, phrase, language in _patterns(key):
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

    @property
    def language(self) -> str | None:
        """The language that its words tell; None where they do not."""
        if _IDEOGRAPH.search(self.text):
            return UNSPACED
        words = self.folded.split()
        counts = {language: sum(word in known for word in words) for language, known in _function_words().items()}
        for key in kinds():
            if found := self.find(key):
                counts[found.language] = counts.get(found.language, 0) + len(found.phrase.split())
        best = max(counts, key=lambda language: counts[language])
        return best if counts[best] > 0 and list(counts.values()).count(counts[best]) == 1 else None


@cache
def kinds() -> tuple[str, ...]:
    """Return the kinds of phrases."""
    return tuple(_content())


@cache
def _content() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(files("recsys.dialogue").joinpath(FILE).read_text(encoding="utf-8"))


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
