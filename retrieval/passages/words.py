"""The words of passages of one language: BM25 over question, tags and answer, and the spelling of questions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.names import ANSWER, QUESTION, TAGS
from features.reviews.folding import folded
from features.reviews.languages import FUNCTION_WORDS, languages_of
from features.text.languages.names import CODES, ENGLISH_NAMES
from retrieval.lexical.analyzer import LANGUAGES, NO_STEMMING
from retrieval.lexical.catalogue_words import name_words
from retrieval.lexical.index import LexicalIndex
from retrieval.lexical.spelling import SpellChecker
from retrieval.lexical.stop_words import STOP_WORDS
from retrieval.lexical.word_counts import WordCounts

if TYPE_CHECKING:
    from retrieval.passages.config import PassageConfig


def known_languages(passages: pl.Series, languages: pl.Series) -> pl.Series:
    """Return the language of each passage, ISO 639-1: as it is given, or by its function words; empty where they do not tell."""
    guessed = languages_of(folded(passages), list(FUNCTION_WORDS)).replace_strict(CODES, default="", return_dtype=pl.String)
    return pl.select(pl.when(languages == "").then(guessed.fill_null("")).otherwise(languages)).to_series()


def analyzed_language(code: str) -> str:
    """Return the language of stemmer and stop words for an ISO 639-1 code; "none" where there is no stemmer."""
    name = ENGLISH_NAMES.get(code, NO_STEMMING)
    return name if name in LANGUAGES else NO_STEMMING


@dataclass(frozen=True)
class ReadQuestion:
    """A question as the passages of one language read it.

    Attributes
    ----------
    text : with its misspelt words mended.
    tokens : terms for BM25.
    known : share of its words that the passages, or the language's function words, have.
    """

    text: str
    tokens: tuple[str, ...]
    known: float


@dataclass(frozen=True)
class PassageWords:
    """The words of the passages of one language.

    Attributes
    ----------
    language : ISO 639-1 code; empty where it is unknown.
    rows : of the passages, int64 (m,).
    index : over them.
    spelling : mends questions by their words.
    """

    language: str
    rows: np.ndarray
    index: LexicalIndex
    spelling: SpellChecker

    @classmethod
    def build(
        cls, language: str, rows: np.ndarray, fields: pl.DataFrame, config: PassageConfig, real_words: frozenset[str] = frozenset()
    ) -> PassageWords:
        """Build the words of some passages.

        Parameters
        ----------
        rows : of these passages among all, int64 (m,).
        fields : question, tags and answer of these passages.
        real_words : words that are no misspellings, see `SpellChecker`.
        """
        lexical = config.lexical.model_copy(update={"language": analyzed_language(language)})
        index = LexicalIndex.build(fields, lexical)
        words = WordCounts.count([fields[name] for name in (QUESTION, TAGS, ANSWER)])
        return cls(language, rows, index, SpellChecker(words, index, real_words))

    def read(self, question: str) -> ReadQuestion:
        """Read a question as one of this language."""
        text = question
        if mended := self.spelling.correct(name_words(question)):
            text = f" {' '.join(name_words(question))} "
            for one in mended:
                text = text.replace(f" {one.typed} ", f" {one.read} ", 1)
            text = text.strip()
        words = name_words(text)
        known = sum(word in self._function_words or self.spelling.knows(word) for word in words)
        return ReadQuestion(text, tuple(self.index.analyzer.tokens(text)), known / max(1, len(words)))

    def shares(self, tokens: tuple[str, ...]) -> np.ndarray:
        """Return the BM25 score of each passage as a share of one that is best for every term, float32 (m,)."""
        scores, best = self.index.scores_and_best(tokens)
        return scores / np.float32(best) if best else scores

    @cached_property
    def _function_words(self) -> frozenset[str]:
        return STOP_WORDS.get(self.index.config.language, frozenset())
