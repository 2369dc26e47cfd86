"""Reads a shop's reviews for one snapshot: the sentiment of each, the aspects that it mentions, and what does not count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.names import ASPECT, LEFT_OUT, REVIEW, ROW, SENTENCE, SENTIMENT, SENTIMENTS, STARS, TEXT, TIMESTAMP, USER_ID
from features.reviews.authenticity import marks
from features.reviews.scored import MENTION_SCHEMA, REVIEW_SCHEMA, SENTENCE_SCHEMA, ScoredReviews
from features.reviews.sentences import split_sentences
from features.storage.digests import digest, of_json
from features.text.template import text_hashes

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from features.data.reviews import Reviews
    from features.reviews.aspects import AspectList
    from features.text.sentiment.model import SentimentModel, Sentiments
    from ranking.cross_encoder.aspect_polarity import AspectPolarity

_READ = (*SENTIMENTS, SENTIMENT)
_KEPT = "all sentences"  # what is kept of a review: an earlier version kept those that mention an aspect


@dataclass(frozen=True)
class _ReadTexts:
    """Scores of distinct texts, what they mention, and their other sentences, each by the digest of its text; and notes."""

    scores: pl.DataFrame
    mentions: pl.DataFrame
    others: pl.DataFrame
    notes: tuple[str, ...] = ()

    def with_known(self, previous: ScoredReviews) -> _ReadTexts:
        """Add what was read before."""
        before = previous.reviews.select(REVIEW, TEXT, *_READ).unique(TEXT, maintain_order=True)
        known = [
            table.join(before.select(REVIEW, TEXT), on=REVIEW, maintain_order="left").select(own.columns)
            for table, own in ((previous.mentions, self.mentions), (previous.others, self.others))
        ]
        mentions, others = (pl.concat([own, table]) for own, table in zip((self.mentions, self.others), known, strict=True))
        return _ReadTexts(pl.concat([self.scores, before.select(self.scores.columns)]), mentions, others, self.notes)


def read_reviews(
    reviews: Reviews,
    log: Interactions,
    model: SentimentModel,
    aspects: AspectList,
    previous: ScoredReviews,
    polarity: AspectPolarity | None = None,
) -> tuple[ScoredReviews, tuple[str, ...]]:
    """Read reviews; texts that `previous` has from the same models and aspects are not read again.

    Parameters
    ----------
    reviews : with the user rows of `log`.
    polarity : tells the sentiment of a mention; without it, a mention has that of its sentence.

    Returns
    -------
    scored : of all reviews.
    notes : for the user: what was not read, and why.
    """
    read_by = [digest(model.to_files()), [repr(aspect) for aspect in aspects.aspects], _KEPT]
    key = of_json(read_by if polarity is None else [*read_by, polarity.digest])
    texts = pl.DataFrame({TEXT: _digests(reviews.full_text), "words": reviews.full_text})
    distinct = texts.unique(TEXT, maintain_order=True)
    known = previous.model == key
    new = distinct.filter(~pl.col(TEXT).is_in(previous.reviews[TEXT].implode())) if known else distinct
    read = _read(new, model, aspects, polarity)
    if known:
        read = read.with_known(previous)
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
    ).join(read.scores, on=TEXT, how="left", maintain_order="left")
    found, others = (
        table.select(REVIEW, TEXT).join(of_texts, on=TEXT, how="inner", maintain_order="left") for of_texts in (read.mentions, read.others)
    )
    scored = ScoredReviews(_typed(table, REVIEW_SCHEMA), _typed(found, MENTION_SCHEMA), key, _typed(others, SENTENCE_SCHEMA))
    return scored, read.notes


def _read(texts: pl.DataFrame, model: SentimentModel, aspects: AspectList, polarity: AspectPolarity | None) -> _ReadTexts:
    """Read distinct texts."""
    read = model.read(texts["words"].to_list())
    scores = pl.concat([texts.select(TEXT), _columns(read)], how="horizontal")
    sentences = split_sentences(texts["words"])
    sentences = sentences.with_row_index("at").with_columns(pl.col("at").cast(pl.Int64))
    found = aspects.mentions(sentences[SENTENCE]).select("begin", "end", at=pl.col("sentence"), **{ASPECT: pl.col("aspect")})
    found = found.unique(["at", ASPECT], keep="first", maintain_order=True)
    told = sentences.drop("begin").join(found, on="at", how="left").sort("at", ASPECT)
    # Of a review that mentions nothing, the first sentence is kept, so that it can be quoted.
    nothing = pl.col(ASPECT).is_null().all().over("review") & (pl.col("at") == pl.col("at").min().over("review"))
    told = told.with_columns(kept=pl.col(ASPECT).is_not_null() | nothing)
    others, told = told.filter(~pl.col("kept")), told.filter("kept")
    unread = others.select(texts[TEXT].gather(others["review"]).alias(TEXT), SENTENCE)
    mentions = told.select(texts[TEXT].gather(told["review"]).alias(TEXT), ASPECT, SENTENCE)
    of_sentences = model.read(told[SENTENCE].to_list())
    of_mentions = of_sentences if polarity is None else _with_polarity(of_sentences, told, sentences[SENTENCE], polarity)
    return _ReadTexts(scores, pl.concat([mentions, _columns(of_mentions)], how="horizontal"), unread, read.notes)


def _with_polarity(read: Sentiments, told: pl.DataFrame, sentences: pl.Series, polarity: AspectPolarity) -> Sentiments:
    """Return the sentiment of mentions of aspects instead of their sentences'; a sentence that is not read stays so."""
    rows = np.flatnonzero(told[ASPECT].is_not_null().to_numpy() & (read.labels >= 0))
    probabilities, labels = read.probabilities.copy(), read.labels.copy()
    probabilities[rows] = polarity.probabilities(sentences, told[rows].select("begin", "end", sentence="at"))
    labels[rows] = probabilities[rows].argmax(axis=1)
    return replace(read, probabilities=probabilities, labels=labels)


def _columns(read: Sentiments) -> pl.DataFrame:
    probabilities = {name: read.probabilities[:, place] for place, name in enumerate(SENTIMENTS)}
    labels = pl.Series(read.labels).replace_strict({-1: None, **dict(enumerate(SENTIMENTS))}, return_dtype=pl.String)
    return pl.DataFrame(probabilities).fill_nan(None).with_columns(labels.alias(SENTIMENT))


def _digests(texts: pl.Series) -> pl.Series:
    hashes = text_hashes(texts)
    return pl.Series(TEXT, [row.tobytes().hex() for row in hashes], dtype=pl.String)


def _typed(table: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return table.select(pl.col(name).cast(kind) for name, kind in schema.items())
