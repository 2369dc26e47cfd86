"""The words of a query, in scripts with and without spaces, and the key by which a phrase is found."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from retrieval.lexical.analyzer import Analyzer, fold
from retrieval.lexical.stop_words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SPACED = ("en", "de", "fr", "es")
LANGUAGES = (*SPACED, "zh")
STEMMERS = {"en": Analyzer("english"), "de": Analyzer("german"), "fr": Analyzer("french"), "es": Analyzer("spanish")}
FREE_ORDER = 3  # words up to which the order of a phrase does not matter
LONGEST_CHINESE = 8  # characters of a phrase

# Function words that change or name a thing: negations, and what is another word without its accents ("maïs", "té", "uñas").
_TELLING = frozenset({"sin", "ohne", "sans", "no", "not", "nicht", "pas", "kein", "keine", "can", "mais", "son", "te", "unas", "sobre"})
# What people write around the name of a thing, beside the function words.
_ASKING = {
    "en": "something anything looking buy find get show good best nice great against",
    "de": "gut gute guten gutes beste besten kaufen suche brauche mochte gegen",
    "fr": "acheter cherche voudrais veux besoin bon bonne meilleur contre l d s qu m n j t",
    "es": "comprar busco quiero necesito mejor bueno buena contra",
}
_NAMES = {"en": "english", "de": "german", "fr": "french", "es": "spanish"}
STOPS = {language: (STOP_WORDS[name] | frozenset(_ASKING[language].split())) - _TELLING for language, name in _NAMES.items()}
_CHINESE_STOPS = frozenset("的了我要想买和给个些用吗呢有与或及请")

_HAN = r"\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_MARKS = r"\u0591-\u05c7\u064b-\u0670\u0900-\u0dff\u0e31-\u0e4e\u1000-\u109f\u17b4-\u17d3"
_WORD = re.compile(
    rf"(?P<chinese>[a-z0-9]*[{_HAN}][{_HAN}a-z0-9]*)"
    r"|(?P<number>\d+(?:[.,/]\d+)*[^\W_]*)"
    rf"|(?P<word>(?:(?![{_HAN}])[^\W_]|[{_MARKS}])+)(?:'s(?![^\W_]))?"
)
_PLAIN = Analyzer("none")


class Token(NamedTuple):
    """A word of a query.

    Attributes
    ----------
    word : str
        Folded.
    text : str
        As it stands in the folded query ("men's").
    before : str
        What stands between it and the word before.
    listed : bool
        Whether it is a Chinese phrase of the thesaurus.
    unspaced : bool
    """

    word: str
    text: str
    before: str
    listed: bool = False
    unspaced: bool = False


def split_words(text: str, chinese: Callable[[str], bool]) -> list[Token]:
    """Return the words of a folded text.

    Parameters
    ----------
    text : str
    chinese : callable
        Says whether the thesaurus has a Chinese phrase: the longest ones are the words of a text without spaces.
    """
    found: list[Token] = []
    end = 0
    for match in _WORD.finditer(text):
        before, end = text[end : match.start()], match.end()
        if match["chinese"]:
            found += _cut_chinese(match[0], before, chinese)
        else:
            found.append(Token(match["word"] or match["number"], match[0], before))
    return found


def _cut_chinese(run: str, before: str, chinese: Callable[[str], bool]) -> Iterator[Token]:
    for word, listed in _sure(list(_longest_matches(run, chinese))):
        if listed or any(character not in _CHINESE_STOPS for character in word):
            yield Token(word, word, before, listed, unspaced=not word.isascii())
        before = ""


def _longest_matches(run: str, chinese: Callable[[str], bool]) -> Iterator[tuple[str, bool]]:
    """Return the phrases of a run and what lies between them."""
    place = begin = 0
    while place < len(run):
        sizes = range(min(LONGEST_CHINESE, len(run) - place), 0, -1)
        size = next((size for size in sizes if chinese(run[place : place + size])), 0)
        stop = 0 if size else run[place] in _CHINESE_STOPS
        if size or stop:
            if begin < place:
                yield run[begin:place], False
            yield run[place : place + (size or 1)], bool(size)
            begin = place + (size or 1)
        place += size or 1
    if begin < len(run):
        yield run[begin:], False


def _sure(pieces: Sequence[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """Join a lone character to unread ones beside it: it is a part of a longer word more often than not."""
    joined: list[tuple[str, bool]] = []
    for place, (piece, listed) in enumerate(pieces):
        beside = [pieces[other] for other in (place - 1, place + 1) if 0 <= other < len(pieces)]
        unread = any(not known and word not in _CHINESE_STOPS and not word.isascii() for word, known in beside)
        sure = listed and (len(piece) > 1 or not unread)
        if not sure and joined and not joined[-1][1] and piece not in _CHINESE_STOPS and joined[-1][0] not in _CHINESE_STOPS:
            joined[-1] = (joined[-1][0] + piece, False)
        else:
            joined.append((piece, sure))
    yield from joined


def content_places(tokens: Sequence[Token], language: str | None) -> list[int]:
    """Return the places of words that are no function words of a language (None: of English); of all words if there are no others."""
    stops = STOPS.get(language or "en", frozenset())
    return [place for place, token in enumerate(tokens) if token.word not in stops] or list(range(len(tokens)))


def phrase_key(phrase: str, language: str) -> tuple[str, ...]:
    """Return by what a folded phrase is found: its words without function words, sorted if there are few; empty if it has none."""
    if phrase.isalpha():
        return (phrase,)
    if language == "zh":
        return ("".join(phrase.split()),) if phrase.strip() else ()
    words = _spaced_words(phrase)
    stops = STOPS[language]
    words = [word for word in words if word not in stops] or words
    return ordered(words)


def ordered(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words in the order of a key."""
    return tuple(sorted(words)) if len(words) <= FREE_ORDER else tuple(words)


def _spaced_words(phrase: str) -> list[str]:
    plain = phrase.replace("-", " ").split()
    if "".join(plain).isalpha():
        return plain
    return [match["word"] or match[0] for match in _WORD.finditer(phrase)]


@lru_cache(1 << 15)
def words_of(phrase: str, language: str) -> tuple[str, ...]:
    """Return the folded words that a catalogue must know to have a phrase; pairs of characters where there are no spaces."""
    folded = fold(phrase)
    if not folded.isascii() and language in ("zh", ""):
        return tuple(_PLAIN.tokens(folded))
    return phrase_key(folded, language or "en")
