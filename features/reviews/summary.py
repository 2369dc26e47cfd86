"""Figures of reviews by product, brand, category or the whole shop: sentiment, aspects with their trend, and quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.names import ASPECT, NEGATIVE, NEUTRAL, POSITIVE, REVIEW, SENTENCE, SENTIMENT, SENTIMENTS, STARS, TIMESTAMP

if TYPE_CHECKING:
    from datetime import datetime

    from features.reviews.scored import ScoredReviews

RECENT_DAYS, BEFORE_DAYS = 90, 365  # a trend compares the last days with those before them
LEAST_MENTIONS = 8  # on both sides of a trend
CHANCE = 0.05  # a difference that chance makes more often is no trend
QUOTES = 2  # of an aspect
QUOTE_LENGTHS = (20, 240)  # characters
PRAISED_REVIEWS, PRAISED_MENTIONS, PRAISED = 20, 10, 0.8  # reviews of an item, mentions of an aspect, and their positive share
KEY = "key"


def overall(scored: ScoredReviews, keys: pl.Series) -> pl.DataFrame:
    """Count the reviews of each key, most reviewed first: `key`, `reviews`, `rating`, `rated`, `read`, and the share of each sentiment.

    Parameters
    ----------
    keys : key of each catalogue row (n_items), such as its brand; items without one are left out.
    """
    table = scored.counted.with_columns(key=keys.gather(scored.counted["item"]))
    read = pl.col(SENTIMENT).is_not_null()
    return (
        table.drop_nulls(KEY)
        .group_by(KEY)
        .agg(
            reviews=pl.len(),
            rating=pl.col(STARS).drop_nans().mean(),
            rated=pl.col(STARS).is_not_nan().sum(),
            read=read.sum(),
            **{name: (pl.col(SENTIMENT) == name).sum() / read.sum() for name in SENTIMENTS},
        )
        .sort("reviews", KEY, descending=[True, False])
    )


def aspects(scored: ScoredReviews, keys: pl.Series, now: datetime) -> pl.DataFrame:
    """Count the mentions of each key and aspect, most mentioned first.

    A mention counts once a review: by its most telling sentence.

    Returns
    -------
    `key`, `aspect`, `mentions`, `positive`, `negative` (shares), `recent`, `before` (positive shares of the last
    `RECENT_DAYS` and the `BEFORE_DAYS` before them; null with too few mentions), `trend` ("rising", "falling", "steady", null).
    """
    table = scored.telling_mentions
    table = table.with_columns(key=keys.gather(table["item"])).drop_nulls(KEY)
    age = (pl.lit(now) - pl.col(TIMESTAMP)).dt.total_days()
    new, old = age < RECENT_DAYS, (age >= RECENT_DAYS) & (age < RECENT_DAYS + BEFORE_DAYS)
    good, bad = pl.col(SENTIMENT) == POSITIVE, pl.col(SENTIMENT) == NEGATIVE
    counts = table.group_by(KEY, ASPECT).agg(
        mentions=pl.len(),
        positive=good.mean(),
        negative=bad.mean(),
        new=new.sum(),
        new_good=(new & good).sum(),
        old=old.sum(),
        old_good=(old & good).sum(),
    )
    enough = (pl.col("new") >= LEAST_MENTIONS) & (pl.col("old") >= LEAST_MENTIONS)
    counts = counts.with_columns(
        recent=pl.when(enough).then(pl.col("new_good") / pl.col("new")),
        before=pl.when(enough).then(pl.col("old_good") / pl.col("old")),
    )
    told = counts.select(pl.col("recent").is_not_null(), "new", "new_good", "old", "old_good").iter_rows()
    trends = pl.Series([_trend(*row) if there else None for there, *row in told], dtype=pl.String)
    return (
        counts.with_columns(trend=trends)
        .drop("new", "new_good", "old", "old_good")
        .sort(KEY, "mentions", ASPECT, descending=[False, True, False])
    )


def quotes(scored: ScoredReviews, keys: pl.Series) -> pl.DataFrame:
    """Choose `QUOTES` sentences of each key and aspect, word for word, praise before complaints.

    They are the most telling ones. One that praises and one that complains stand among them, if there are any; neutral ones only fill up.
    """
    table = scored.counted_mentions
    shortest, longest = QUOTE_LENGTHS
    length = pl.col(SENTENCE).str.len_chars()
    table = table.with_columns(key=keys.gather(table["item"]), fits=length.is_between(shortest, longest))
    neutral = pl.col(SENTIMENT) == NEUTRAL
    return (
        table.drop_nulls([KEY, ASPECT, SENTIMENT])
        .sort(["fits", pl.max_horizontal(*SENTIMENTS), REVIEW], descending=[True, True, True])
        .unique([KEY, ASPECT, SENTENCE], keep="first", maintain_order=True)
        .with_columns(place=pl.int_range(pl.len()).over(KEY, ASPECT, SENTIMENT))
        .sort(neutral, "place", maintain_order=True)
        .group_by(KEY, ASPECT, maintain_order=True)
        .head(QUOTES)
        .sort(pl.col(SENTIMENT) != POSITIVE, neutral, "place", maintain_order=True)
        .drop("place")
    )


def praise(scored: ScoredReviews) -> dict[int, str]:
    """Return a clause on the aspect of each item that most reviews speak of and nearly all praise, by catalogue row.

    Items with fewer reviews than `PRAISED_REVIEWS`, or without such an aspect, are left out.
    """
    many = scored.counted.group_by("item").len().filter(pl.col("len") >= PRAISED_REVIEWS)
    best = (
        scored.praise_of_items.join(many, on="item", how="semi")
        .filter((pl.col("mentions") >= PRAISED_MENTIONS) & (pl.col("positive") >= PRAISED))
        .sort("mentions", "positive", ASPECT, descending=[True, True, False])
        .unique("item", keep="first", maintain_order=True)
    )
    told = best.select("item", "positive", "mentions", ASPECT).iter_rows()
    return {item: f"{positive:.0%} of {mentions:,} reviews on its {aspect} praise it" for item, positive, mentions, aspect in told}


def _trend(new: int, new_good: int, old: int, old_good: int) -> str:
    """Return which way the positive share went, by Fisher's exact test."""
    from scipy.stats import fisher_exact  # takes half a second to import, and answers without reviews do not need it

    if float(fisher_exact([(new_good, new - new_good), (old_good, old - old_good)])[1]) >= CHANCE:
        return "steady"
    return "rising" if new_good * old > old_good * new else "falling"
