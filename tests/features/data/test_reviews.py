"""Reviews over integer rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.reviews import NO_TIME, NONE, REVIEW_COLUMNS, Reviews
from features.errors import DataError

START = datetime(2026, 1, 1)
CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": ["A", "B"], "title": ["Apple", "Bread"]}))


def frame(*rows: tuple[object, ...]) -> pl.DataFrame:
    """Rows of item, text, rating, title, days after the start (None: no time), user, row."""
    values = [(*row[:4], None if row[4] is None else START + timedelta(days=float(str(row[4]))), *row[5:]) for row in rows]
    return pl.DataFrame(values, schema=dict(REVIEW_COLUMNS), orient="row")


ROWS = (
    ("B", "Stale.", 1.0, "Never again!", 2, "u1", 2),
    ("A", "Crisp and sweet", 5.0, None, 0, "writer", 3),
    ("A", None, 4.5, None, None, None, 4),
    ("Z", "Of no item", 3.0, None, 1, "u1", 5),
    ("A", "Good", None, "good", 1, "u2", 6),
)


def test_ids_are_rows_from_here_on() -> None:
    reviews = Reviews.of(frame(*ROWS), CATALOG, np.array(["u2", "u1"], dtype=object))
    assert reviews.row.tolist() == [4, 3, 6, 2], "by time, without one first; an item outside the catalogue is left out"
    assert reviews.user_ids.tolist() == ["u2", "u1", "writer"], "users of the log keep their rows"
    assert reviews.user.tolist() == [NONE, 2, 0, 1]
    assert reviews.item.tolist() == [0, 0, 0, 1]
    assert reviews.time[0] == NO_TIME
    assert (reviews.time[1:] - reviews.time[1]).tolist() == [0, 86_400, 172_800]
    np.testing.assert_array_equal(reviews.rating, np.array([4.5, 5, np.nan, 1], dtype=np.float32))
    assert reviews.text.to_list() == ["", "Crisp and sweet", "Good", "Stale."]
    assert reviews.title.to_list() == ["", "", "good", "Never again!"]


@pytest.mark.parametrize("columns", [("item_id", "text"), ("item_id", "rating")])
def test_an_item_and_a_text_or_a_rating_are_enough(columns: tuple[str, str]) -> None:
    reviews = Reviews.of(frame(*ROWS).select(columns), CATALOG)
    assert len(reviews) == 4
    assert (reviews.user == NONE).all()
    assert (reviews.time == NO_TIME).all()
    assert (reviews.row == 0).all()


@pytest.mark.parametrize("columns", [("item_id", "title"), ("text", "rating"), ("timestamp", "user_id")])
def test_less_is_refused(columns: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="the reviews lack item_id, or text and rating"):
        Reviews.of(frame(*ROWS).select(columns), CATALOG)


def test_no_reviews_are_reviews() -> None:
    reviews = Reviews.of(frame(), CATALOG)
    assert (len(reviews), len(reviews.full_text), len(reviews.between(0, 9))) == (0, 0, 0)


@pytest.mark.parametrize(
    ("title", "text", "whole"),
    [
        ("", "", ""),
        ("Great", "", "Great"),
        ("", "Works.", "Works."),
        ("Great", "It works.", "Great. It works."),
        ("Great!", "It works.", "Great! It works."),
        ("真好。", "很喜欢", "真好。 很喜欢"),
        ("Great (really)", "It works.", "Great (really). It works."),
        ("It works", "It works and works.", "It works and works."),
        ("It works…", "It works and works.", "It works and works."),
        (" Great ", "\nIt works.\n", "Great. It works."),
    ],
)
def test_title_and_text_are_one_text(title: str, text: str, whole: str) -> None:
    reviews = Reviews.of(frame(("A", text, 5.0, title, 0, None, 1)), CATALOG)
    assert reviews.full_text.to_list() == [whole]


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [(None, None, [4, 3, 6, 2]), (0, None, [3, 6, 2]), (None, 1, [3]), (None, 9, [3, 6, 2]), (1, 2, [6]), (2, 1, []), (-99_999, 1, [3])],
)
def test_a_cut_holds_its_start_and_not_its_end_and_leaves_out_what_has_no_time(start: int | None, end: int | None, rows: list[int]) -> None:
    reviews = Reviews.of(frame(*ROWS), CATALOG)
    first = int(reviews.time[1])
    cut = reviews.between(*(None if bound is None else first + bound * 86_400 for bound in (start, end)))
    assert cut.row.tolist() == rows
    assert len(cut.text) == len(cut.title) == len(rows)


def test_a_mask_selects() -> None:
    reviews = Reviews.of(frame(*ROWS), CATALOG)
    some = reviews.where(reviews.rating > 4)
    assert some.row.tolist() == [4, 3]
    assert some.text.to_list() == ["", "Crisp and sweet"]
    assert some.user_ids is reviews.user_ids, "rows keep their meaning"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rating": np.array([0, 5, 5, 5], dtype=np.float32)}, "ratings of the reviews run from 0 to 5, expected 1 to 5"),
        ({"rating": np.array([1, 5, 10, 5], dtype=np.float32)}, "ratings of the reviews run from 1 to 10"),
        ({"item": np.array([0, 1, 2, 0], dtype=np.int32)}, "item of the reviews runs from 0 to 2, expected 0 to 1"),
        ({"item": np.array([0, 1, -1, 0], dtype=np.int32)}, "item of the reviews runs from -1 to 1"),
        ({"user": np.array([0, 1, 9, 0], dtype=np.int32)}, "user of the reviews runs from 0 to 9"),
        ({"user": np.array([0, 1, 1, 0])}, "user of the reviews is int64"),
        ({"time": np.array([9, 8, 7, 6])}, "not sorted by time"),
        ({"time": np.array([-2, 8, 9, 9])}, "not sorted by time"),
        ({"text": pl.Series(["a"])}, "text of the reviews is 1 of String"),
        ({"title": pl.Series(["a", None, "b", "c"])}, "1 of them null"),
    ],
)
def test_what_is_no_review_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(Reviews.of(frame(*ROWS), CATALOG), **change)


@given(st.permutations(ROWS))
def test_the_order_of_the_file_does_not_matter(rows: list[tuple[object, ...]]) -> None:
    assert Reviews.of(frame(*rows), CATALOG).digest == Reviews.of(frame(*ROWS), CATALOG).digest


@pytest.mark.parametrize("place", range(7))
def test_the_digest_sees_each_column(place: int) -> None:
    changed = list(ROWS[0])
    changed[place] = ["A", "Fresh.", 2.0, "Again!", 3, "u3", 9][place]
    assert Reviews.of(frame(tuple(changed), *ROWS[1:]), CATALOG).digest != Reviews.of(frame(*ROWS), CATALOG).digest
