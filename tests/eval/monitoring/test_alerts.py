from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.monitoring.alerts import Alert, AuthorShare, day_counts, with_authors
from eval.monitoring.surge_watch import SurgeWatch
from eval.simulation.review_stream import Burst, mentions

FIRST = date(2026, 1, 5)
SCHEMA = {"series": pl.String, "day": pl.Date, "author": pl.String, "negative": pl.Boolean}
ALERT = Alert("mug", "raised", FIRST, FIRST + timedelta(1), 0.1, 0.3, 9, 30, 400.0)


def rows(*values):
    return pl.DataFrame(list(values), schema=SCHEMA, orient="row")


@pytest.mark.parametrize(
    ("reviews", "negatives", "total"),
    [
        ([("ann", True), ("ann", True), ("ann", False), ("bob", False)], 1, 2),
        ([(None, True), (None, True), (None, False)], 2, 3),
        ([("ann", False), ("unknown 0", True), (None, True)], 2, 3),
    ],
)
def test_an_author_counts_once_a_day(reviews, negatives, total):
    counts = day_counts(rows(*(("mug", FIRST, author, negative) for author, negative in reviews)))
    assert counts.rows() == [(FIRST, "mug", negatives, total)]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from(["x", "y", "z", None]), st.booleans()), max_size=30))
def test_counts_are_in_order_and_possible(reviews):
    counts = day_counts(rows(*((series, FIRST + timedelta(day), author, negative) for series, day, author, negative in reviews)))
    assert counts.sort("day", "series").equals(counts)
    assert ((counts["negatives"] >= 0) & (counts["negatives"] <= counts["total"])).all()
    assert counts["total"].sum() <= len(reviews)


@pytest.mark.parametrize(
    ("authors", "few"),
    [
        (["a"] * 4 + ["b"] * 4 + ["c"], True),
        ([f"author {number}" for number in range(9)], False),
        (["a", "b", "c"], False),
        ([None] * 9, False),
    ],
)
def test_a_surge_by_few_authors_is_said_to_be_one(authors, few):
    table = rows(*(("mug", FIRST + timedelta(number), author, True) for number, author in enumerate(authors)))
    found = with_authors(ALERT, table, FIRST + timedelta(20)).few_authors
    assert found
    assert found.few is few
    assert found.negatives == len(authors)


def test_reviews_before_the_surge_after_it_of_others_and_positive_ones_are_no_part_of_it():
    table = rows(
        ("mug", FIRST - timedelta(1), "ann", True),
        ("mug", FIRST, "bob", True),
        ("mug", FIRST, "cid", False),
        ("cup", FIRST, "dan", True),
        ("mug", FIRST + timedelta(3), "eve", True),
    )
    assert with_authors(ALERT, table, FIRST + timedelta(2)).few_authors == AuthorShare(1, 1, 1, False)


def test_an_alert_survives_json():
    for alert in (ALERT, with_authors(ALERT, rows(("mug", FIRST, "ann", True)), FIRST)):
        assert Alert.from_json(alert.to_json()) == alert


@pytest.mark.parametrize(
    ("burst", "few"), [(Burst("mug", 100, 5, authors=3, each=30), False), (Burst("mug", 100, 7, authors=30, each=1), False)]
)
def test_thirty_reviews_a_day_by_three_authors_are_three(burst, few):
    totals = np.full((110, 1), 100)
    table = mentions(np.full((110, 1), 10), totals, ["mug"], np.random.default_rng(0), burst)
    counts = day_counts(table.with_columns(pl.lit(FIRST) + pl.duration(days="day").alias("day")))
    assert counts["total"].max() == 100 + burst.authors


def test_a_burst_by_few_authors_is_found_and_said_to_be_one():
    rng = np.random.default_rng(1)
    totals = np.full((120, 1), 10)
    table = mentions(rng.binomial(totals, 0.05), totals, ["mug"], rng, Burst("mug", 100, 7, authors=3, each=4))
    table = table.with_columns((pl.lit(FIRST) + pl.duration(days="day")).alias("day"))
    watch, found = SurgeWatch(), []
    for (day,), counts in day_counts(table).group_by("day", maintain_order=True):
        found += [with_authors(alert, table, day) for alert in watch.update(day, counts) if alert.event == "raised"]
    (alert,) = found
    assert FIRST + timedelta(100) <= alert.raised < FIRST + timedelta(107)
    assert alert.few_authors.few
