"""Splits reviews into sentences."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import polars as pl
import sentencex

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 240  # characters of a sentence: about what the encoder reads, and a quote that can be shown
SCHEMA = {"review": pl.Int64, "sentence": pl.String, "begin": pl.Int64}
_LINE = re.compile(r"[^\r\n\u2028\u2029]+")
# sentencex wants a space after a full stop; hurried customers leave it out: "bad strap.Would buy again".
_GLUED = re.compile(r"(?<=[a-z]{2}[.!?])(?=[A-Z][a-z]*[ '])|(?<=[…!?！？])(?=[\u3400-\u9fff])")
_PAUSE = re.compile(r".*[,;:，；：、](?=.)|.*\s(?=\S)", re.DOTALL)


def split_sentences(texts: pl.Series, language: str = "en") -> pl.DataFrame:
    """Split reviews into sentences; a line break ends a sentence, too.

    Parameters
    ----------
    texts : pl.Series of str
        Reviews; an empty or missing one has no sentence.
    language : str
        Two-letter code, for abbreviations such as "z.B."; marks of all scripts are known in any language.

    Returns
    -------
    pl.DataFrame
        A row for each sentence, in order: `review` (row in `texts`), `sentence` (verbatim, without outer white space) and
        `begin` (its first character in the review). A sentence longer than `LONGEST` characters is cut at a pause.
    """
    rows, sentences, begins = [], [], []
    for row, text in enumerate(texts):
        for begin, end in _spans(text, language) if text else ():
            rows.append(row)
            sentences.append(text[begin:end])
            begins.append(begin)
    return pl.DataFrame({"review": rows, "sentence": sentences, "begin": begins}, schema=SCHEMA)


def _spans(text: str, language: str) -> Iterator[tuple[int, int]]:
    for line in _LINE.finditer(text):
        for part in sentencex.get_sentence_boundaries(language, line[0]):
            start, stop = line.start() + part["start_index"], line.start() + part["end_index"]
            cuts = [start, *(start + found.start() for found in _GLUED.finditer(text[start:stop])), stop]
            for begin, end in itertools.pairwise(cuts):
                yield from _trimmed(text, begin, end)


def _trimmed(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the span without outer white space, in pieces of `LONGEST` characters at most."""
    while begin < end and text[begin].isspace():
        begin += 1
    while begin < end and text[end - 1].isspace():
        end -= 1
    while end - begin > LONGEST:
        pause = _PAUSE.match(text, begin, begin + LONGEST)
        cut = pause.end() if pause else begin + LONGEST
        yield from _trimmed(text, begin, cut)
        begin = cut
        while begin < end and text[begin].isspace():
            begin += 1
    if begin < end:
        yield begin, end
