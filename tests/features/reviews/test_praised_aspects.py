"""What reviews praise of an item: only with enough reviews, enough mentions, and hardly a complaint."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from features.reviews.scored import MENTION_SCHEMA, REVIEW_SCHEMA, ScoredReviews
from features.reviews.summary import praise


def scored(n: int, told: dict[str, tuple[int, int]], left_out: int = 0) -> ScoredReviews:
    """n reviews of item 7: the first of them praise or criticise each aspect, so many times each."""
    reviews = [(i, 7, datetime(2024, 1, 1), "copied" if i < left_out else None) for i in range(n)]
    mentions = [
        (i, aspect, f"sentence {i}", *((0.1, 0.1, 0.8, "positive") if i < good else (0.8, 0.1, 0.1, "negative")))
        for aspect, (good, bad) in told.items()
        for i in range(good + bad)
    ]
    columns = ["review", "aspect", "sentence", "negative", "neutral", "positive", "sentiment"]
    table = pl.DataFrame(reviews, ["review", "item", "timestamp", "left_out"], orient="row")
    table = table.with_columns(pl.lit(None, kind).alias(name) for name, kind in REVIEW_SCHEMA.items() if name not in table.columns)
    found = pl.DataFrame(mentions, columns, orient="row")
    return ScoredReviews(
        table.select(pl.col(name).cast(kind) for name, kind in REVIEW_SCHEMA.items()),
        found.select(pl.col(name).cast(kind) for name, kind in MENTION_SCHEMA.items()),
    )


@pytest.mark.parametrize(
    ("n", "told", "clause"),
    [
        (20, {"quality": (13, 2)}, "87% of 15 reviews on its quality praise it"),
        (1500, {"price": (1200, 0), "quality": (1100, 300)}, "100% of 1,200 reviews on its price praise it"),
        (20, {"quality": (10, 0), "price": (11, 1)}, "92% of 12 reviews on its price praise it"),
        (20, {"quality": (8, 2)}, "80% of 10 reviews on its quality praise it"),
        (19, {"quality": (15, 0)}, None),
        (20, {"quality": (9, 0)}, None),
        (20, {"quality": (11, 3)}, None),
    ],
)
def test_an_aspect_is_praised_by_many(n: int, told: dict[str, tuple[int, int]], clause: str | None) -> None:
    assert praise(scored(n, told)) == ({} if clause is None else {7: clause})


def test_reviews_that_do_not_count_are_not_counted() -> None:
    assert praise(scored(25, {"quality": (15, 0)}, left_out=5)) == {7: "100% of 10 reviews on its quality praise it"}
    assert praise(scored(25, {"quality": (15, 0)}, left_out=6)) == {}


def test_a_shop_without_reviews_has_none() -> None:
    assert praise(ScoredReviews.empty()) == {}
