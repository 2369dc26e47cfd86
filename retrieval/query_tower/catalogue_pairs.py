"""Queries made of a catalogue's own texts, for a shop without a search log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from features.names import BRAND, DESCRIPTION, TITLE
from retrieval.lexical.fields import LEAF
from retrieval.lexical.units import is_unit
from retrieval.query_tower.pairs import FROM_CATALOGUE, QueryPairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from retrieval.lexical.index import LexicalIndex

MOST_PAIRS = 6_000
LONGEST_PIECE = 4  # words
SENTENCE_WORDS = 12
LONG_WORD = 5  # letters from which a word is misspelt
NOISE = {"order": 0.15, "letter": 0.15, "plural": 0.15}  # how often a query has it


def pairs_of_catalogue(fields: pl.DataFrame, lexical: LexicalIndex, seed: int, most: int = MOST_PAIRS) -> QueryPairs | None:
    """Make queries of texts; None if no text has words.

    Parameters
    ----------
    fields : of the distinct texts, from `retrieval.lexical.fields`.
    most : pairs.
    """
    rng = np.random.default_rng([seed, 87])
    columns = {name: fields[name].to_list() if name in fields.columns else [""] * len(fields) for name in (TITLE, BRAND, LEAF, DESCRIPTION)}
    a_text = max(1, min(4, most // max(len(fields), 1)))
    rows = []
    for text in np.repeat(rng.permutation(len(fields)), a_text)[:most].tolist():
        meant = _query({name: column[text] for name, column in columns.items()}, rng)
        if meant:
            rows.append((" ".join(with_noise(meant, rng)), " ".join(meant), text))
    return QueryPairs.of(rows, np.ones(len(rows)), lexical, FROM_CATALOGUE) if rows else None


def without_sizes(text: str) -> list[str]:
    """Return the words of a text, folded; numbers, units and single letters are left out."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return [word for word in words if not any(map(str.isdigit, word)) and not is_unit(word) and (len(word) > 1 or not word.isascii())]


def _query(text: dict[str, str], rng: np.random.Generator) -> list[str]:
    """Draw one of: a piece of the title, brand and words, product type and words, the first sentence of the description."""
    title = without_sizes(text[TITLE])
    kind = rng.integers(4)
    if kind == 1 and text[BRAND]:
        brand = without_sizes(text[BRAND])
        return brand + piece([word for word in title if word not in brand], rng, 2)
    if kind == 2 and text[LEAF]:
        leaf = without_sizes(text[LEAF])
        return leaf + (piece([word for word in title if word not in leaf], rng, 1) if rng.random() < 0.5 else [])
    if kind == 3 and text[DESCRIPTION]:
        return without_sizes(re.split(r"[.!?\n]", text[DESCRIPTION], maxsplit=1)[0])[:SENTENCE_WORDS]
    return piece(title, rng, LONGEST_PIECE)


def piece(words: Sequence[str], rng: np.random.Generator, longest: int) -> list[str]:
    """Return 1 to `longest` words that stand together."""
    if not words:
        return []
    size = int(rng.integers(1, min(longest, len(words)) + 1))
    start = int(rng.integers(len(words) - size + 1))
    return list(words[start : start + size])


def with_noise(words: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Type words as customers do: in another order, with a letter swapped, in the plural or the singular, each now and then."""
    typed = list(words)
    if rng.random() < NOISE["order"]:
        typed = [typed[i] for i in rng.permutation(len(typed))]
    place = int(rng.integers(len(typed)))
    word = typed[place]
    if word.isascii() and word.isalpha() and len(word) >= LONG_WORD:
        if rng.random() < NOISE["letter"]:
            at = int(rng.integers(1, len(word) - 1))
            word = word[:at] + word[at + 1] + word[at] + word[at + 2 :] if rng.random() < 0.5 else word[:at] + word[at + 1 :]
        elif rng.random() < NOISE["plural"]:
            word = word[:-1] if word.endswith("s") else f"{word}s"
    typed[place] = word
    return typed
