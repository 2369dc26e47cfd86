"""Reviews that were read: the sentiment of each, the aspects it mentions, and whether it counts."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import polars as pl

from features.names import ASPECT, LEFT_OUT, POSITIVE, REVIEW, ROW, SENTENCE, SENTIMENT, SENTIMENTS, STARS, TEXT, TIMESTAMP, USER_ID

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_PROBABILITIES: dict[str, pl.DataType] = {**dict.fromkeys(SENTIMENTS, pl.Float32()), SENTIMENT: pl.String()}
REVIEW_SCHEMA: dict[str, pl.DataType] = {
    REVIEW: pl.UInt32(),
    "item": pl.Int32(),
    USER_ID: pl.String(),
    TIMESTAMP: pl.Datetime("us"),
    STARS: pl.Float32(),
    ROW: pl.Int64(),
    TEXT: pl.String(),
    **_PROBABILITIES,
    LEFT_OUT: pl.String(),
}
MENTION_SCHEMA: dict[str, pl.DataType] = {REVIEW: pl.UInt32(), ASPECT: pl.String(), SENTENCE: pl.String(), **_PROBABILITIES}
SENTENCE_SCHEMA: dict[str, pl.DataType] = {REVIEW: pl.UInt32(), SENTENCE: pl.String()}


@dataclass(frozen=True, eq=False)
class ScoredReviews:
    """What was read in the reviews of a catalogue.

    Attributes
    ----------
    reviews : one row a review, ascending in time: `REVIEW_SCHEMA`. Probabilities and sentiment are null where the text says
        nothing that the encoder reads; TEXT is a digest of the text; the time is null where it is unknown.
    mentions : one row for each sentence of a review and aspect that it mentions: `MENTION_SCHEMA`. A review that mentions none
        has its first sentence with the aspect null.
    model : digest of the models and the list of aspects that they were read with.
    others : sentences that mention no aspect and are not among `mentions`, in the order of the reviews: `SENTENCE_SCHEMA`. Their
        sentiment is not read; questions about products are answered by them.
    """

    reviews: pl.DataFrame
    mentions: pl.DataFrame
    model: str = ""
    others: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SENTENCE_SCHEMA))

    @classmethod
    def empty(cls) -> Self:
        """Return those of a shop without reviews."""
        return cls(pl.DataFrame(schema=REVIEW_SCHEMA), pl.DataFrame(schema=MENTION_SCHEMA))

    def __len__(self) -> int:
        return len(self.reviews)

    @cached_property
    def counted(self) -> pl.DataFrame:
        """Reviews that are not left out."""
        return self.reviews.filter(pl.col(LEFT_OUT).is_null())

    @cached_property
    def counted_mentions(self) -> pl.DataFrame:
        """Mentions in reviews that are not left out, with the item, time, row and author of the review."""
        of_review = self.counted.select(REVIEW, "item", TIMESTAMP, ROW, USER_ID)
        return self.mentions.join(of_review, on=REVIEW, how="inner", maintain_order="left")

    @cached_property
    def counted_sentences(self) -> pl.DataFrame:
        """Sentences of reviews that are not left out, with the item, and the sentiment of those that were read; ascending in time."""
        told = self.mentions.select(REVIEW, SENTENCE, SENTIMENT).unique([REVIEW, SENTENCE], maintain_order=True)
        both = pl.concat([told, self.others.with_columns(pl.lit(None, pl.String).alias(SENTIMENT))])
        return both.join(self.counted.select(REVIEW, "item"), on=REVIEW, how="inner").sort(REVIEW, maintain_order=True)

    @cached_property
    def telling_mentions(self) -> pl.DataFrame:
        """One of the counted mentions of each review and aspect that it names: that of the surest sentence which was read."""
        sure = pl.max_horizontal(*SENTIMENTS)
        surest = self.counted_mentions.sort(sure, descending=True, nulls_last=True)
        return surest.unique([REVIEW, ASPECT], keep="first", maintain_order=True).drop_nulls([ASPECT, SENTIMENT])

    @cached_property
    def praise_of_items(self) -> pl.DataFrame:
        """How each item is spoken of: `item`, `aspect`, `mentions`, and `positive`, the share of these that praise."""
        good = pl.col(SENTIMENT) == POSITIVE
        return self.telling_mentions.group_by("item", ASPECT).agg(mentions=pl.len(), positive=good.mean())

    def without_users(self, user_ids: Collection[str]) -> Self:
        """Remove the reviews of some authors."""
        gone = pl.col(USER_ID).is_in(list(user_ids)).fill_null(value=False)
        kept = self.reviews.filter(~gone)
        mentions, others = (
            table.join(kept.select(REVIEW), on=REVIEW, how="semi", maintain_order="left") for table in (self.mentions, self.others)
        )
        return replace(self, reviews=kept, mentions=mentions, others=others)

    def to_files(self) -> dict[str, bytes]:
        """Return the tables as Parquet; no file of a shop without reviews."""
        if not len(self):
            return {}
        tables = {"reviews.parquet": self.reviews, "mentions.parquet": self.mentions, "sentences.parquet": self.others}
        return {"model.txt": self.model.encode()} | {name: _parquet(table) for name, table in tables.items()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read the files that `to_files` wrote."""
        if "reviews.parquet" not in files:
            return cls.empty()
        tables = {name: pl.read_parquet(io.BytesIO(files[f"{name}.parquet"])) for name in ("reviews", "mentions")}
        read = cls(**tables, model=bytes(files["model.txt"]).decode())
        if "sentences.parquet" not in files:  # a bundle of an earlier version
            return read
        return replace(read, others=pl.read_parquet(io.BytesIO(files["sentences.parquet"])))


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()
