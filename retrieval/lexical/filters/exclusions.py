"""What a query does not want: "chocolate -nuts", "shampoo without sulfates", "milk not soy".

A word with a leading minus is never looked for. "without sugar" is also what packets say, so such a phrase excludes nothing where a title
of what is asked for has it ("no sugar", "sugar free"): those items are wanted, and these are their words.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from retrieval.lexical.analyzer import fold
from retrieval.lexical.fields import REVIEWS
from retrieval.lexical.stop_words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from retrieval.lexical.index import LexicalIndex

_WORD = r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*"
_MINUS = re.compile(rf"(?<!\S)[-−–](?:\"(?P<quoted>[^\"]+)\"|(?P<word>{_WORD}))(?!\S)")
_LANGUAGE_OF = {
    **dict.fromkeys(("without", "w/o", "no", "not"), "english"),
    "ohne": "german",
    "sin": "spanish",
    "sans": "french",
    "senza": "italian",
    "sem": "portuguese",
    "zonder": "dutch",
}
_NEGATED = rf"(?:{'|'.join(_LANGUAGE_OF)})"
# "without a hood", "not for kids"
_LEADING = r"(?:(?:added|any|an?|the|for|from|in|with|eine?[nmr]?|f[uü]r|para|pour|per|voor|een|une?|una|uno|um|uma)\s+){0,2}"
# After a word: "no more tears" and "sin city" at the beginning are names.
_PHRASE = re.compile(
    rf"(?<=\S)\s+(?P<but>(?:but|and|n?or|und|oder|y|et|e|en)\s+)?(?P<negation>{_NEGATED})\s+{_LEADING}(?={_WORD})", re.IGNORECASE
)
_OR = r"\s*(?:,\s*|\b)(?P<or>or|nor|oder|ou|o|of)\s+"
_UNNAMED_OR = _OR.replace("?P<or>", "?:")
# Commas join only what ends in "or", and "and" joins nothing: "jacket without hood, black" and "without hood and black" ask for black.
_LIST = re.compile(rf"{_WORD}(?:(?:\s*,\s*{_WORD})*{_UNNAMED_OR}{_WORD})*", re.IGNORECASE)
_NEXT = re.compile(rf"(?:{_OR}|\s*,\s*|)(?P<word>{_WORD})", re.IGNORECASE)
_PAIR = re.compile(rf"\s+(?P<word>{_WORD})")
_NO_THINGS = {*_LANGUAGE_OF, "but", "just", "less", "more", "only", "so", "than", "too", "very"}


@dataclass(frozen=True)
class TitledTexts:
    """The texts of an index with their titles, in which words stand beside each other.

    Attributes
    ----------
    index : LexicalIndex
    titles : pl.Series of String
        Of each text.
    """

    index: LexicalIndex
    titles: pl.Series

    def holding(self, words: str) -> np.ndarray:
        """Return the texts that hold all of some words other than in their reviews, ascending; none without a word."""
        found: np.ndarray | None = None
        for term in self.index.analyzer.tokens(words):
            texts = self._in_catalogue(term, self.index.texts_with(term))
            found = texts if found is None else np.intersect1d(found, texts, assume_unique=True)
        return np.zeros(0, dtype=np.int32) if found is None else found

    def _in_catalogue(self, term: str, texts: np.ndarray) -> np.ndarray:
        """Return those of texts that hold a term in a field of the catalogue: what customers praise is no ingredient."""
        fields = list(self.index.config.weights)
        if REVIEWS not in fields or not len(texts):
            return texts
        own = np.array([place for place, name in enumerate(fields) if name != REVIEWS])
        counts, reviews = self.index.counts, texts * len(fields) + fields.index(REVIEWS)
        reviewed = counts.counts.indptr[reviews] < counts.counts.indptr[reviews + 1]
        sure, texts = texts[~reviewed], texts[reviewed]
        held = counts.counts[(texts[:, None] * len(fields) + own).ravel()]
        found = np.flatnonzero(counts.term_of[held.indices] == bisect_left(counts.terms, term))
        rows = (np.searchsorted(held.indptr, found, side="right") - 1) // len(own)
        return np.union1d(sure, texts[np.unique(rows)])

    def remembering(self) -> TitledTexts:
        """Return the same for one query, in which a word is looked up once."""
        return _Remembering(self.index, self.titles)

    def saying_without(self, words: str) -> np.ndarray:
        """Return the texts that say that they are without something, such as "no sugar" or "sugar-free" in a title, or "zuckerfrei"."""
        said = self._titled(words, lambda thing: rf"\b(?:{_NEGATED}|zero)[\s-]+(?:added[\s-]+)?{thing}|{thing}[\s-]*free\b")
        terms, compound = self.index.terms, f"{fold(words).strip()}frei"
        joined = [self.index.texts_with(term) for term in terms[bisect_left(terms, compound) : bisect_right(terms, f"{compound}\uffff")]]
        return np.unique(np.concatenate([said, *joined]))

    def beside(self, words: str) -> bool:
        """Return whether a title has some words beside each other."""
        return len(self._titled(words, lambda thing: rf"\b{thing}")) > 0

    def _titled(self, words: str, pattern_of: Callable[[str], str]) -> np.ndarray:
        """Return the texts with a word of each stem whose titles match a pattern of them in a row."""
        texts = self.holding(words)
        stems = [self.index.analyzer.stem(word).rstrip("iy") for word in re.split(r"[\s-]+", fold(words).strip())]
        pattern = re.compile(pattern_of(r"[\s-]+".join(rf"{re.escape(stem)}\w*" for stem in stems)))
        matches = [bool(pattern.search(fold(title or ""))) for title in self.titles.gather(texts).to_list()]
        return texts[np.array(matches, dtype=bool)]


@dataclass(frozen=True)
class _Remembering(TitledTexts):
    @cached_property
    def _known(self) -> dict[str, np.ndarray]:
        return {}

    def holding(self, words: str) -> np.ndarray:
        """Return what `TitledTexts.holding` returns, found once."""
        key = fold(words)
        if key not in self._known:
            self._known[key] = super().holding(words)
        return self._known[key]


@dataclass(frozen=True)
class Excluded:
    """Words that a query does not want.

    Attributes
    ----------
    words : tuple of str
        Each thing of "without nuts or milk".
    begin, end : int
        Where the phrase stands in the text.
    minus : bool
        Whether it is a word with a minus, which can mean nothing else.
    """

    words: tuple[str, ...]
    begin: int
    end: int
    minus: bool = False


def excluded(text: str, texts: TitledTexts) -> list[Excluded]:
    """Return what a query does not want, in the order of its words; never an exception."""
    texts = texts.remembering()
    return sorted([*_with_minus(text, texts), *_phrases(text, texts)], key=lambda one: one.begin)


def _with_minus(text: str, texts: TitledTexts) -> Iterator[Excluded]:
    for found in _MINUS.finditer(text):
        word = found["quoted"] or found["word"]
        before = text[: found.start()].split()[-1:]
        joined = texts.index.analyzer.stem(fold("".join([*before, word])).replace("-", ""))
        if not before or joined not in texts.index.vocabulary:  # "coca -cola" is Coca-Cola
            yield Excluded((word,), *found.span(), minus=True)


def _phrases(text: str, texts: TitledTexts) -> Iterator[Excluded]:
    """Return what stands after "without" and its like, where the catalogue has it, and no title of what is asked for says the same."""
    for found in _PHRASE.finditer(text):
        negation = fold(found["negation"])
        stops = _stops(negation, texts.index.analyzer.language)
        before = text[: found.start()].rsplit(maxsplit=1)[-1]
        if negation == "not" and not found["but"] and fold(before) in stops:  # "forget me not"
            continue
        named, end = _list(text, found.end(), stops, of_is_or=negation == "zonder")
        longer = _PAIR.match(text, end)
        if named and longer and fold(longer["word"]) not in stops and texts.beside(pair := named[-1] + longer[0]):
            named[-1], end = pair, longer.end()  # "without peanut butter"
        things = tuple(one for one in named if len(texts.holding(one)))
        if things and not _said(text[: found.start()] + text[end:], things, texts):
            yield Excluded(things, found.start(), end)


@lru_cache
def _stops(negation: str, language: str) -> frozenset[str]:
    """Return words that are no things, in the language of "without" and in that of the catalogue."""
    return frozenset().union(_NO_THINGS, STOP_WORDS[_LANGUAGE_OF.get(negation, "english")], STOP_WORDS.get(language, ()))


def _list(text: str, begin: int, stops: frozenset[str], *, of_is_or: bool) -> tuple[list[str], int]:
    """Return the things of a list such as "nuts, milk or soy" up to a word that is none, and where they end."""
    things: list[str] = []
    end, whole = begin, _LIST.match(text, begin)
    while whole and end < whole.end() and (found := _NEXT.match(text, end, whole.end())):
        if fold(found["word"]) in stops or ((found["or"] or "").lower() == "of" and not of_is_or):
            break
        things.append(found["word"])
        end = found.end()
    return things, end


def _said(rest: str, things: tuple[str, ...], texts: TitledTexts) -> bool:
    """Return whether a title says that it is without one of these, among those of what is asked for if any are."""
    fitting = texts.index.holding_all(texts.index.analyzer.tokens(_MINUS.sub("", rest)))
    said = [texts.saying_without(one) for one in things]
    return any((fitting[some].any() if fitting.any() else len(some) > 0) for some in said)
