"""Marks reviews that are no opinion of a customer's own: copies, repeats, and bursts of unknown authors.

Marked reviews stay in the table with the reason and are left out of all figures. Nothing is judged by what a text says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.names import COPIED, FLOOD, MANY_BY_ONE, NEWER_OF_SAME

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from features.data.reviews import Reviews

COPIED_WORDS = 6  # shorter texts ("very good product") are alike by chance
BUYERS_SHARE = 0.5  # of all reviews: from here on an author who bought nothing is odd
MOST_A_DAY = 20  # reviews that one author writes on one day
FLOOD_REVIEWS, FLOOD_TIMES = 10, 10.0  # of one item on one day, and times the item's mean day before


def marks(reviews: Reviews, log: Interactions) -> pl.Series:
    """Return the reason why a review is left out, null for one that counts.

    Parameters
    ----------
    reviews : with the user rows of `log`.
    log : by which authors are known. One who is in it nowhere and wrote nothing else may be part of a flood.
    """
    words = reviews.full_text.str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()
    table = pl.DataFrame({"user": reviews.user, "item": reviews.item, "time": reviews.time, "words": words}).with_row_index("at")
    known = pl.col("user") >= 0
    long = pl.col("words").str.count_matches(" ") >= COPIED_WORDS - 1
    day = pl.col("time").floordiv(86_400)
    buyers = pl.Series("user", log.user).unique()
    by_time = table.sort("time", "at").with_columns(
        day=day,
        copy=long & (pl.col("words").cum_count().over("words") > 1),
        newer=known & (pl.col("at").cum_count(reverse=True).over("user", "item") > 1),
        many=known & (pl.len().over("user", day.alias("day")) > MOST_A_DAY),
        buyer=pl.col("user").is_in(buyers.implode()),
    )
    # Where most authors are buyers, a crowd of others is odd. Where they are not, or nobody is named, nothing can be said.
    by_time = by_time.with_columns(
        stranger=known & ~pl.col("buyer") & (pl.len().over("user") == 1) & (pl.col("buyer").mean() >= BUYERS_SHARE)
    )
    flood = (
        by_time.filter("stranger")
        .group_by("item", "day")
        .agg(strangers=pl.len())
        .join(by_time.group_by("item").agg(reviews=pl.len(), first=pl.col("day").min(), last=pl.col("day").max()), on="item")
        .with_columns(others=(pl.col("reviews") - pl.col("strangers")) / (pl.col("last") - pl.col("first")).clip(lower_bound=1))
        .filter((pl.col("strangers") >= FLOOD_REVIEWS) & (pl.col("strangers") > FLOOD_TIMES * pl.col("others")))
        .select("item", "day", flood=pl.lit(value=True))
    )
    marked = by_time.join(flood, on=["item", "day"], how="left", maintain_order="left").sort("at")
    reason = (
        pl.when("copy")
        .then(pl.lit(COPIED))
        .when("newer")
        .then(pl.lit(NEWER_OF_SAME))
        .when("many")
        .then(pl.lit(MANY_BY_ONE))
        .when(pl.col("flood").fill_null(value=False) & pl.col("stranger"))
        .then(pl.lit(FLOOD))
    )
    return marked.select(reason.alias("left_out"))["left_out"]
