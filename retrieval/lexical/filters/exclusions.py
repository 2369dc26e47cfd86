"""What a query does not want: "chocolate -nuts", "shampoo without sulfates", "milk not soy".

A word with a leading minus is never looked for. "without sugar" is also what packets say, so such a phrase excludes nothing where a title
of what is asked for has it ("no sugar", "sugar free"): those items are wanted, and these are their words.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.lexical.analyzer import fold
from retrieval.lexical.fields import REVIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from retrieval.lexical.index import LexicalIndex

_WORD = r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*"
_MINUS = re.compile(rf"(?<!\S)[-−–](?:\"(?P<quoted>[^\"]+)\"|(?P<word>{_WORD}))(?!\S)")
_NEGATED = r"(?:without|w/o|no|not|ohne|sin|sans|senza|sem|zonder)"
_OR = r"\s*(?:,|\b(?:or|and|nor|oder|und|ou|et|o|y|e|of|en)\b)\s*"
# After a word: "no more tears" and "sin city" at the beginning are names.
_PHRASE = re.compile(rf"(?<=\S)\s+(?:but\s+)?{_NEGATED}\s+(?:added\s+|any\s+)?(?P<words>{_WORD}(?:{_OR}{_WORD})*)", re.IGNORECASE)
_PAIR = re.compile(rf"\s+{_WORD}")


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
        counts = self.index.counts
        held = counts.counts[(texts[:, None] * len(fields) + own).ravel()]
        rows = np.repeat(np.arange(held.shape[0]), np.diff(held.indptr)) // len(own)
        of_term = np.array([counts.terms[row] == term for row in counts.term_of[held.indices]], dtype=bool)
        return texts[np.unique(rows[of_term])]

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
        end = found.end()
        *others, last = re.split(_OR, found["words"])
        longer = _PAIR.match(text, end)
        if longer and texts.beside(pair := last + longer[0]):  # "without peanut butter"
            last, end = pair, longer.end()
        things = tuple(one for one in (*others, last) if len(texts.holding(one)))
        if things and not _said(text[: found.start()] + text[end:], things, texts):
            yield Excluded(things, found.start(), end)


def _said(rest: str, things: tuple[str, ...], texts: TitledTexts) -> bool:
    """Return whether a title says that it is without one of these, among those of what is asked for if any are."""
    fitting = texts.index.holding_all(texts.index.analyzer.tokens(_MINUS.sub("", rest)))
    said = [texts.saying_without(one) for one in things]
    return any((fitting[some].any() if fitting.any() else len(some) > 0) for some in said)
