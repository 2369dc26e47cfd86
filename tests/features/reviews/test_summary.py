"""Figures of reviews, beside counts by hand."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from features.reviews import summary
from tests.features.reviews.made_up import DAY_0, scored_of

ITEMS = pl.Series(["a", "b", "c"])
ROWS = [
    ("u1", "a", 1, 5, "Good quality. Delivery was bad."),
    ("u2", "a", 2, 1, "The quality is bad. Good quality of the box, though."),
    ("u3", "a", 3, 3, "So-so quality."),
    ("u4", "b", 4, None, "Good price"),
    ("u5", "b", 5, 4, "Xyz"),
]


def test_shares_and_ratings_are_of_what_was_read_and_rated() -> None:
    table = summary.overall(scored_of(ROWS), ITEMS).to_dicts()
    assert [(row["key"], row["reviews"], row["rated"], row["read"]) for row in table] == [("a", 3, 3, 3), ("b", 2, 1, 1)]
    assert table[0]["rating"] == 3
    assert [table[0][name] for name in ("negative", "neutral", "positive")] == pytest.approx([2 / 3, 1 / 3, 0])
    assert table[1]["positive"] == 1


def test_a_review_counts_once_for_an_aspect() -> None:
    found = summary.aspects(scored_of(ROWS), ITEMS, DAY_0 + timedelta(days=9)).filter(key="a")
    table = {row["aspect"]: row for row in found.to_dicts()}
    assert table["quality"]["mentions"] == 3
    assert table["delivery"]["negative"] == 1
    assert table["quality"]["trend"] is None, "too few mentions"


@pytest.mark.parametrize(("now", "trend"), [("bad", "falling"), ("good", "rising"), (None, "steady")])
def test_a_trend_is_told_only_beyond_chance(now: str | None, trend: str) -> None:
    before = {"bad": "good", "good": "bad", None: "good"}[now]
    rows = [(f"o{n}", "a", n, None, f"{before} quality, {n}") for n in range(summary.LEAST_MENTIONS)]
    rows += [(f"n{n}", "a", 200 + n, None, f"{now or 'good'} quality, again {n}") for n in range(summary.LEAST_MENTIONS)]
    (row,) = summary.aspects(scored_of(rows), ITEMS, DAY_0 + timedelta(days=220)).filter(aspect="quality").to_dicts()
    assert row["trend"] == trend
    assert {row["recent"], row["before"]} == ({0.0, 1.0} if now else {1.0})


def test_quotes_are_word_for_word_one_of_each_kind() -> None:
    table = summary.quotes(scored_of(ROWS), ITEMS).filter(key="a", aspect="quality")
    said = dict(table.select("sentiment", "sentence").iter_rows())
    assert said["negative"] == "The quality is bad."
    assert said["positive"] in ROWS[0][4] + ROWS[1][4]
    assert set(said) == {"negative", "positive"}
    assert table["row"].to_list() != [0, 0]


def test_an_aspect_that_is_only_praised_has_two_quotes_from_two_sentences() -> None:
    rows = [
        ("u1", "a", 1, 5, "Really good quality here."),
        ("u2", "a", 2, 5, "Good quality."),
        ("u3", "a", 3, 5, "Really good quality here."),
    ]
    table = summary.quotes(scored_of(rows), ITEMS)
    assert table["sentence"].to_list() == ["Really good quality here.", "Good quality."]
    assert summary.quotes(scored_of([*rows, ("u4", "a", 4, 1, "Bad quality.")]), ITEMS)["sentiment"].to_list() == ["positive", "negative"]
    middling = [("u1", "a", 1, 3, "So-so quality all in all."), ("u2", "a", 2, 1, "Bad quality in the end.")]
    assert summary.quotes(scored_of(middling), ITEMS)["sentiment"].to_list() == ["negative", "neutral"]


def test_items_without_a_key_are_left_out() -> None:
    keys = pl.Series(["x", None, None])
    scored = scored_of(ROWS)
    assert summary.overall(scored, keys)["key"].to_list() == ["x"]
    assert set(summary.quotes(scored, keys)["key"]) == {"x"}
