"""Proposes new terms for the aspects from the shop's reviews, for a person to accept.

The list of aspects stays as it is until somebody writes a proposal into it, so that figures compare from month to month.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from features.ingest.values.personal_data import KINDS
from features.names import REVIEW, SENTENCE
from features.reviews.folding import folded
from features.reviews.languages import FUNCTION_WORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from features.reviews.aspects import AspectList

SCHEMA = {"term": pl.String, "aspect": pl.String, "similarity": pl.Float64, "reviews": pl.Int64, "example": pl.Int64}
QUOTE = 60  # characters of a good example
CANDIDATES = 2000  # the most frequent are compared with the aspects
FEWEST, LEAST = 20, 0.35  # reviews that have a proposed term, and its cosine to the nearest aspect
_COMMON = frozenset(files("features.reviews").joinpath("common_words.txt").read_text(encoding="utf-8").split())
_MASKED = rf"\[(?:{'|'.join(KINDS)})\]"  # what an ingest puts in the place of personal data
_STOP = _COMMON | {word for words in FUNCTION_WORDS.values() for word in words.split()}


class Encoder(Protocol):
    """What of a text encoder is needed."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts into vectors of unit norm, float32 (n, dim)."""
        ...


@dataclass(frozen=True, eq=False)
class Proposals:
    """Proposed terms, and how many were to choose from.

    Attributes
    ----------
    terms : pl.DataFrame
        `term`, `aspect`, `similarity`, `reviews` (how many have it) and `example` (row in the sentences of a short one), by
        aspect in the list's order, the best first.
    frequent : int
        Words and pairs of words that stand in enough reviews and that no aspect has.
    """

    terms: pl.DataFrame
    frequent: int


def propose_terms(
    sentences: pl.DataFrame, aspects: AspectList, encoder: Encoder, fewest: int = FEWEST, least: float = LEAST, most: int = 5
) -> Proposals:
    """Propose frequent words and pairs of words that no aspect has, each for the aspect whose terms are nearest.

    Parameters
    ----------
    sentences : pl.DataFrame
        As `features.reviews.sentences.split_sentences` gives them: `review` and `sentence`.
    fewest : int
        Reviews that a term must stand in: one that repeats itself makes no term.
    least : float
        Cosine to the nearest aspect, at least.
    most : int
        Proposals of an aspect, at most: those of the highest cosine times the logarithm of their count stay.

    Returns
    -------
    Proposals
        The same sentences and list give the same. Copied reviews count each time: leave those out before.
    """
    found = _candidates(sentences, aspects, fewest)
    if found.is_empty():
        return Proposals(pl.DataFrame(schema=SCHEMA), 0)
    vectors = encoder.encode(found["term"].to_list())
    similar = vectors @ _centres(aspects, encoder).T  # (terms, aspects)
    nearest = similar.argmax(axis=1)
    terms = (
        found.with_columns(
            place=pl.Series(nearest, dtype=pl.Int64),
            aspect=pl.Series([aspects.names[i] for i in nearest], dtype=pl.String),
            similarity=pl.Series(similar[np.arange(len(nearest)), nearest].round(3), dtype=pl.Float64),
        )
        .filter(pl.col("similarity") >= least)
        .sort("place", pl.col("similarity") * pl.col("reviews").log(), "term", descending=[False, True, False])
        .group_by("place", maintain_order=True)
        .head(most)
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )
    return Proposals(terms, len(found))


def as_toml(terms: pl.DataFrame, own: Collection[str] | None) -> str:
    """Return `Proposals.terms` as lines for the shop's file of aspects, see `features.reviews.aspects.AspectList.of_file`.

    Parameters
    ----------
    own : names of the aspects in the shop's file, whose tables exist and get the terms by hand; None for a shop without a file.
    """
    lines = ["extends = true"] if own is None else []
    for (name,), table in terms.group_by("aspect", maintain_order=True):
        found = [f"name = {_quoted(str(name))}", f"terms = [{', '.join(map(_quoted, table['term']))}]"]
        if own and name in own:
            found = [f"# The file has the aspect {_quoted(str(name))}: add to its terms", f"# {found[1]}"]
        else:
            found = ["[[aspect]]", *found]
        lines += ["", *found] if lines else found
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # basic strings of TOML have the escapes of JSON


def _centres(aspects: AspectList, encoder: Encoder) -> np.ndarray:
    """Return the mean direction of each aspect's name, English terms and examples, float32 (aspects, dim)."""
    texts, owner = [], []
    for place, aspect in enumerate(aspects.aspects):
        own = [aspect.name, *(term.text for term in aspect.terms if term.language == "english" or term.everywhere), *aspect.examples]
        texts += own
        owner += [place] * len(own)
    vectors = encoder.encode(texts)
    sums = np.zeros((len(aspects.aspects), vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, np.array(owner), vectors)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def _candidates(sentences: pl.DataFrame, aspects: AspectList, fewest: int) -> pl.DataFrame:
    """Return words and pairs of words that stand in at least `fewest` reviews and in no term, the most frequent first."""
    words = (
        sentences.select(REVIEW, sentence=pl.int_range(pl.len()))
        .with_columns(text=folded(sentences[SENTENCE].str.replace_all(_MASKED, " 0 ")))
        .with_columns(word=pl.col("text").str.split(" "), length=pl.col("text").str.len_chars().cast(pl.Int64))
        .drop("text")
        .explode("word")
        .filter(pl.col("word") != "")
    )
    following = pl.col("word").shift(-1).over("sentence")
    usable = pl.col("word").is_in(list(_STOP)).not_() & (pl.col("word").str.len_chars() > 2) & ~pl.col("word").str.contains(r"\d")
    words = words.with_columns(ok=usable).with_columns(
        two=pl.when("ok", pl.col("ok").shift(-1).over("sentence")).then(pl.concat_str("word", following, separator=" "))
    )
    singles = words.filter("ok").select(REVIEW, "sentence", "length", term="word")
    pairs = words.drop_nulls("two").select(REVIEW, "sentence", "length", term="two")
    counts = (
        pl.concat([singles, pairs])
        .group_by("term")
        .agg(reviews=pl.col(REVIEW).n_unique(), example=pl.col("sentence").sort_by((pl.col("length") - QUOTE).abs(), "sentence").first())
        .filter(pl.col("reviews") >= fewest)
        .sort("reviews", "term", descending=[True, False])
    )
    known = aspects.mentions(counts["term"])["sentence"].unique()
    return counts.with_row_index().filter(~pl.col("index").is_in(known.to_list())).drop("index").head(CANDIDATES)
