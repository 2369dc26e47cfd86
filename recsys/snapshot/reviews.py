"""Reads a shop's reviews for one snapshot: the sentiment of each, the aspects that it mentions, and what does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.names import ASPECT, LEFT_OUT, REVIEW, ROW, SENTENCE, SENTIMENT, SENTIMENTS, STARS, TEXT, TIMESTAMP, USER_ID
from features.reviews.authenticity import marks
from features.reviews.scored import MENTION_SCHEMA, REVIEW_SCHEMA, ScoredReviews
from features.reviews.sentences import split_sentences
from features.storage.digests import digest, of_json
from features.text.template import text_hashes

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from features.data.reviews import Reviews
    from features.reviews.aspects import AspectList
    from features.text.sentiment.model import SentimentModel, Sentiments

_READ = (*SENTIMENTS, SENTIMENT)


def read_reviews(
    reviews: Reviews, log: Interactions, model: SentimentModel, aspects: AspectList, previous: ScoredReviews
) -> tuple[ScoredReviews, tuple[str, ...]]:
    """Read reviews; texts that `previous` has from the same model and aspects are not read again.

    Parameters
    ----------
    reviews : with the user rows of `log`.

    Returns
    -------
    scored : of all reviews.
    notes : for the user: what was not read, and why.
    """
    key = of_json([digest(model.to_files()), [repr(aspect) for aspect in aspects.aspects]])
    texts = pl.DataFrame({TEXT: _digests(reviews.full_text), "words": reviews.full_text})
    distinct = texts.unique(TEXT, maintain_order=True)
    known = previous.model == key
    new = distinct.filter(~pl.col(TEXT).is_in(previous.reviews[TEXT].implode())) if known else distinct
    scores, mentions, notes = _read(new, model, aspects)
    if known:
        before = previous.reviews.select(REVIEW, TEXT, *_READ).unique(TEXT, maintain_order=True)
        told = previous.mentions.join(before.select(REVIEW, TEXT), on=REVIEW, maintain_order="left")
        scores = pl.concat([scores, before.select(scores.columns)])
        mentions = pl.concat([mentions, told.select(mentions.columns)])
    users = pl.Series(USER_ID, reviews.user_ids, dtype=pl.String)
    table = pl.DataFrame(
        {
            REVIEW: np.arange(len(reviews), dtype=np.uint32),
            "item": reviews.item,
            USER_ID: users.gather(pl.Series(reviews.user).replace({-1: None})),
            TIMESTAMP: pl.from_epoch(pl.Series(reviews.time).replace({-1: None}), "s").cast(pl.Datetime("us")),
            STARS: reviews.rating,
            ROW: reviews.row,
            TEXT: texts[TEXT],
            LEFT_OUT: marks(reviews, log),
        }
    ).join(scores, on=TEXT, how="left", maintain_order="left")
    found = table.select(REVIEW, TEXT).join(mentions, on=TEXT, how="inner", maintain_order="left")
    return ScoredReviews(_typed(table, REVIEW_SCHEMA), _typed(found, MENTION_SCHEMA), key), notes


def _read(texts: pl.DataFrame, model: SentimentModel, aspects: AspectList) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    """Return the scores of distinct texts and what they mention, both by the digest of the text, and notes."""
    read = model.read(texts["words"].to_list())
    scores = pl.concat([texts.select(TEXT), _columns(read)], how="horizontal")
    sentences = split_sentences(texts["words"])
    sentences = sentences.with_row_index("at").with_columns(pl.col("at").cast(pl.Int64))
    found = aspects.mentions(sentences[SENTENCE]).select(at=pl.col("sentence").cast(pl.Int64), **{ASPECT: pl.col("aspect")}).unique()
    told = sentences.join(found, on="at", how="left").sort("at", ASPECT)
    # Of a review that mentions nothing, the first sentence is kept, so that it can be quoted.
    nothing = pl.col(ASPECT).is_null().all().over("review") & (pl.col("at") == pl.col("at").min().over("review"))
    told = told.filter(pl.col(ASPECT).is_not_null() | nothing)
    mentions = told.select(texts[TEXT].gather(told["review"]).alias(TEXT), ASPECT, SENTENCE)
    return scores, pl.concat([mentions, _columns(model.read(told[SENTENCE].to_list()))], how="horizontal"), read.notes


def _columns(read: Sentiments) -> pl.DataFrame:
    probabilities = {name: read.probabilities[:, place] for place, name in enumerate(SENTIMENTS)}
    labels = pl.Series(read.labels).replace_strict({-1: None, **dict(enumerate(SENTIMENTS))}, return_dtype=pl.String)
    return pl.DataFrame(probabilities).fill_nan(None).with_columns(labels.alias(SENTIMENT))


def _digests(texts: pl.Series) -> pl.Series:
    hashes = text_hashes(texts)
    return pl.Series(TEXT, [row.tobytes().hex() for row in hashes], dtype=pl.String)


def _typed(table: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return table.select(pl.col(name).cast(kind) for name, kind in schema.items())
