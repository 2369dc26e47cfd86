"""Finds mentions of aspects in sentences with one automaton over folded words."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import snowballstemmer

from features.reviews.folding import folded, folded_word
from features.reviews.languages import FUNCTION_WORDS, common_languages, languages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

UNSPACED = "chinese"  # words without spaces between them are found inside others
ALL_LANGUAGES = "all"
LANGUAGES = (*snowballstemmer.algorithms(), UNSPACED)
SCHEMA = {"sentence": pl.Int64, "aspect": pl.String, "term": pl.String, "begin": pl.Int64, "end": pl.Int64}
MOST_FORMS = 200  # of a term: the product of the forms of its words
_SAME_START = 3  # characters that a word shares with its inflected forms


@dataclass(frozen=True)
class Term:
    """A word or phrase that names an aspect.

    Attributes
    ----------
    text : str
        As the list has it.
    language : str
        Of the stemmer, or "chinese".
    exact : bool
        Whether only this form is found, and no other of the same stem.
    everywhere : bool
        Whether it counts in sentences of all languages.
    """

    text: str
    language: str
    exact: bool = False
    everywhere: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The folded words."""
        return tuple(folded_word(self.text).split())


def find_mentions(sentences: pl.Series, terms: Sequence[tuple[str, Term]]) -> pl.DataFrame:
    """Return the mentions of terms, each given with the name of its aspect.

    Returns
    -------
    pl.DataFrame
        `sentence` (row in `sentences`), `aspect`, `term` (as the list has it), `begin` and `end` (characters in the
        sentence), in the order of the texts. Of mentions that overlap, the one that begins first, then the longest, stays.
    """
    texts = folded(sentences)
    patterns = _patterns(texts, terms)
    if patterns.is_empty() or texts.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    padded = " " + texts + " "
    spoken = languages_of(texts, sorted({term.language for _, term in terms}))
    common = common_languages(spoken)
    wanted = patterns["pattern"].unique(maintain_order=True).to_list()
    found = (
        pl.DataFrame({"sentence": pl.int_range(len(texts), eager=True), "text": padded, "spoken": spoken})
        .with_columns(
            place=pl.col("text").str.find_many(wanted, overlapping=True), pattern=pl.col("text").str.extract_many(wanted, overlapping=True)
        )
        .filter(pl.col("place").list.len() > 0)
        .explode("place", "pattern")
        .join(patterns, on="pattern", how="inner")
        .filter(_counts(common))
        .with_columns(begin=_characters(pl.col("text"), pl.col("place")) - pl.col("pattern").str.starts_with(" ").not_().cast(pl.Int64))
        .with_columns(end=pl.col("begin") + pl.col("pattern").str.strip_chars(" ").str.len_chars().cast(pl.Int64))
        .sort("sentence", "begin", "end", "order", descending=[False, False, True, False])
    )
    before = pl.col("end").cum_max().shift(1).over("sentence").fill_null(0)
    return found.filter(pl.col("begin") >= before).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def _counts(common: Sequence[str]) -> pl.Expr:
    """Whether a term counts in its sentence, which may be too short to tell its language: then any common one may be it."""
    language, spoken = pl.col("language"), pl.col("spoken")
    unrestricted = language.is_in([UNSPACED, ALL_LANGUAGES]) | ~language.is_in(list(FUNCTION_WORDS))
    return unrestricted | (language == spoken).fill_null(False) | (spoken.is_null() & language.is_in(list(common)))


def _characters(text: pl.Expr, place: pl.Expr) -> pl.Expr:
    """Return how many characters stand before a byte of the padded text."""
    head = text.cast(pl.Binary).bin.slice(0, place).cast(pl.String).str.len_chars()
    return pl.when(text.str.len_bytes() == text.str.len_chars()).then(place).otherwise(head).cast(pl.Int64)


def _patterns(texts: pl.Series, terms: Sequence[tuple[str, Term]]) -> pl.DataFrame:
    """Return the surface forms to look for, each once a language, with aspect, term and the term's order in the list."""
    forms = _forms(texts, {(word, term.language) for _, term in terms if not term.exact for word in term.words})
    rows: dict[tuple[str, str], tuple[str, str, int]] = {}
    for order, (aspect, term) in enumerate(terms):
        language = ALL_LANGUAGES if term.everywhere else term.language
        for pattern in _spellings(term, forms):
            rows.setdefault((pattern, language), (aspect, term.text, order))
    kinds = {"pattern": pl.String, "language": pl.String, "aspect": pl.String, "term": pl.String, "order": pl.Int64}
    return pl.DataFrame([(*key, *about) for key, about in rows.items()], schema=kinds, orient="row")


def _spellings(term: Term, forms: Mapping[tuple[str, str], list[str]]) -> Iterator[str]:
    if term.language == UNSPACED:
        yield "".join(term.words)
        return
    options = [[word] if term.exact else forms[word, term.language] for word in term.words]
    for words in itertools.islice(itertools.product(*options), MOST_FORMS):
        yield f" {' '.join(words)} "


def _forms(texts: pl.Series, words: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """Return, for each word of a language, itself and the words of the texts with the same stem."""
    of_stem: dict[tuple[str, str], list[tuple[str, str]]] = {}
    stemmers = {language: _stemmer(language) for _, language in words}
    for word, language in sorted(words):
        of_stem.setdefault((stemmers[language](word), language), []).append((word, language))
    forms = {(word, language): [word] for group in of_stem.values() for word, language in group}
    languages = sorted({language for _, language in forms if language != UNSPACED})
    starts = {word[:_SAME_START] for word, _ in forms}
    distinct = texts.str.split(" ").explode().unique().drop_nulls()
    similar = distinct.filter(distinct.str.slice(0, _SAME_START).is_in(list(starts))).sort()
    for word in similar:
        for language in languages:
            for known in of_stem.get((stemmers[language](word), language), ()):
                if word != known[0]:
                    forms[known].append(word)
    return forms


def _stemmer(language: str) -> Callable[[str], str]:
    return str if language == UNSPACED else snowballstemmer.stemmer(language).stemWord
