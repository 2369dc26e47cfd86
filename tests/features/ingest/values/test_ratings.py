"""Ratings on any scale become ratings from 1 to 5."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.ingest.values.ratings import Ratings


def read(*values: str | None, own: tuple[float, float] | None = None) -> tuple[list[float | None], tuple[str, ...]]:
    """Return the ratings of a column, and the notes on it."""
    table = pl.LazyFrame({"raw.rating": pl.Series(values, dtype=pl.String)}).with_row_index("row", offset=1)
    ratings = Ratings.of(table, own)
    return table.select(found=ratings.read()).collect()["found"].to_list(), ratings.notes


@pytest.mark.parametrize(
    ("values", "found", "scale"),
    [
        (("1", "5", "3", "4"), [1, 5, 3, 4], "1 to 5:"),
        (("1.0", "4.5", "5.0"), [1, 4.5, 5], "1 to 5:"),
        (("4,5", "5", "1"), [4.5, 5, 1], "1 to 5:"),
        (("0", "5", "2.5", "1"), [1, 5, 3, 1.8], "0 to 5 (3.75 is 4 of 5)"),
        (("0.5", "5", "2.75"), [1, 5, 3], "0.5 to 5 (3.88 is 4 of 5)"),
        (("1", "10", "5.5"), [1, 5, 3], "1 to 10 (7.75 is 4 of 5)"),
        (("0", "10", "5"), [1, 5, 3], "0 to 10 (7.5 is 4 of 5)"),
        (("0", "100", "80"), [1, 5, 4.2], "0 to 100 (75 is 4 of 5)"),
        (("85", "92", "100"), [4.4, 4.68, 5], "0 to 100"),
        (("9", "14", "20"), [2.8, 3.8, 5], "0 to 20"),
        (("0", "1", "1"), [1, 5, 5], "0 to 1"),
        (("4 out of 5", "2/5", "5 of 5 stars"), [4, 2, 5], "1 to 5:"),
        (("8/10", "1 / 10", "10 von 10"), [4.1111111111, 1, 5], "1 to 10"),
        (("★★★★☆", "★★★", "★★★½"), [4, 3, 3.5], "1 to 5:"),
        (("⭐⭐⭐⭐⭐", "⭐", "✩✩✩✩✩"), [5, 1.8, 1], "0 to 5"),
        (("80%", "100%", "0 %"), [4.2, 5, 1], "0 to 100"),
        (("5 stars", "1 star", "3 Sterne"), [5, 1, 3], "1 to 5:"),
        (("up", "\U0001f44e", "yes"), [5, 1, 5], "0 to 1"),
        (("1", "1", "1"), [1, 1, 1], "1 to 5:"),
        (("7", "8/10", "3/5"), [3.6666666667, 4.1111111111, 3], "1 to 5 and 1 to 10"),
    ],
)
def test_a_scale_is_read_from_the_whole_column_and_said(values: tuple[str, ...], found: list[float], scale: str) -> None:
    ratings, notes = read(*values)
    assert ratings == found
    assert f"rating is read on a scale of {scale}" in " ".join(notes)
    assert "source.reviews_scale" in " ".join(notes)


@pytest.mark.parametrize("word", ["N/A", "", "-", "null", "NaN"])
def test_a_word_for_nothing_is_no_rating(word: str) -> None:
    assert read("5", word, None, "1") == ([5, None, None, 1], read("5", "1")[1])
    assert read(word, None) == ([None, None], ())


@pytest.mark.parametrize("odd", ["awful", "6/", "-1", "1e999", "5 apples"])
def test_what_is_no_rating_is_told_and_unknown(odd: str) -> None:
    ratings, notes = read("5", "1", odd, "3")
    assert ratings == [5, 1, None, 3]
    assert f"note: 1 value of rating is no rating on that scale ({odd!r}, row 3): unknown" in notes


def test_a_mistyped_rating_does_not_change_the_scale() -> None:
    ratings, notes = read(*["5", "4"] * 1_000, "55")
    assert set(ratings) == {5, 4, None}
    assert any("'55', row 2,001" in note for note in notes)


def test_frequent_zeros_are_no_ratings_and_rare_ones_the_lowest() -> None:
    ratings, notes = read(*["0"] * 10, *["5"] * 10, "1")
    assert ratings == [None] * 10 + [5] * 10 + [1]
    assert "note: 10 ratings of 0 are read as reviews without a rating" in notes
    ratings, notes = read("0", *["5", "4"] * 200)
    assert set(ratings) == {1, 4, 5}
    assert "note: 1 rating of 0 counts as 1, the lowest of the scale" in notes


@pytest.mark.parametrize(
    ("own", "found"), [((1, 7), [5, 3, 1]), ((0, 10), [3.8, 2.6, 1.4]), ((1.0, 10.0), [3.6666666667, 2.3333333333, 1])]
)
def test_the_shop_may_say_the_scale(own: tuple[float, float], found: list[float]) -> None:
    assert read("7", "4", "1", own=own)[0] == found


@given(st.sampled_from([(5, "{}"), (5, "{}/5"), (5, "{} out of 5"), (5, "{},0"), (10, "{}"), (10, "{}/10"), (5, "{}.0 stars")]))
def test_any_spelling_of_the_same_stars_gives_the_same_rating(form: tuple[int, str]) -> None:
    top, spelling = form
    plain = read(*(str(value) for value in range(1, top + 1)))[0]
    assert read(*(spelling.format(value) for value in range(1, top + 1)))[0] == plain
    assert (plain[0], plain[-1]) == (1, 5)
