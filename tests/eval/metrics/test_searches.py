"""Searches of a log that failed, against what is counted by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.searches import NO_CLICK, NO_RESULTS, REFORMULATED, figures

START = datetime(2026, 1, 5, 9)
SCHEMA = {
    "timestamp": pl.Datetime("us"),
    "query": pl.String,
    "item_id": pl.String,
    "event": pl.String,
    "rank": pl.Int32,
    "user_id": pl.String,
}


def log(*rows: tuple[float, str, str | None, str, str | None]) -> pl.DataFrame:
    """Rows of minute, query, item, event and user."""
    return pl.DataFrame(
        [(START + timedelta(minutes=at), query, item, event, None, user) for at, query, item, event, user in rows], SCHEMA, orient="row"
    )


def counts(found: pl.DataFrame, *columns: str) -> dict[str, tuple[object, ...]]:
    return {row[0]: row[1:] for row in found.select("query", *columns).rows()}


def test_a_search_is_one_user_one_query_and_no_long_pause() -> None:
    found = figures(
        log(
            (0, "milk", "a", "shown", "u"),
            (0, "milk", "b", "shown", "u"),
            (20, " Milk", "b", "click", "u"),  # the same words, and the pause is short
            (45, "milk", "c", "shown", "u"),
            (90, "milk", "a", "shown", "u"),  # a second search
            (0, "milk", "a", "shown", "v"),
        )
    )
    assert found.searches == 3
    assert counts(found.queries, "searches", "users") == {"milk": (3, 2)}
    assert found.failed == {NO_RESULTS: 0, NO_CLICK: 2, REFORMULATED: 0}


def test_unknown_users_are_told_apart_by_moments() -> None:
    found = figures(
        log(
            (0, "milk", "a", "shown", None),
            (0, "milk", "b", "shown", None),
            (1, "milk", "b", "click", None),
            (2, "milk", "a", "shown", None),
        )
    )
    assert found.searches == 2
    assert found.failed == {NO_RESULTS: 0, NO_CLICK: 1, REFORMULATED: None}
    assert found.worst(REFORMULATED, 5).is_empty()


def test_no_results_no_click_and_other_words() -> None:
    found = figures(
        log(
            (0, "ot milk", None, "shown", "u"),  # nothing found, and typed again
            (1, "oat milk", "a", "shown", "u"),
            (1.5, "oat milk", "a", "purchase", "u"),
            (0, "tea", "t", "shown", "v"),
            (1, "tea", "t", "click", "v"),
            (1.5, "green tea", "t", "shown", "v"),  # after a click it is another wish
            (0, "ot milk", None, "shown", "w"),
            (3, "oat milk", "a", "shown", "w"),  # too late
        )
    )
    assert found.failed == {NO_RESULTS: 2, NO_CLICK: 4, REFORMULATED: 1}
    assert counts(found.queries, "searches", NO_RESULTS, NO_CLICK, REFORMULATED) == {
        "oat milk": (2, 0, 1, 0),
        "ot milk": (2, 2, 2, 1),
        "green tea": (1, 0, 1, 0),
        "tea": (1, 0, 0, 0),
    }
    assert counts(found.worst(NO_CLICK, 2), "failed", "share") == {"ot milk": (2, 1.0), "green tea": (1, 1.0)}
    assert counts(found.worst(NO_RESULTS, 9), "failed", "share") == {"ot milk": (2, 1.0)}
    assert counts(found.worst(REFORMULATED, 9), "next", "share") == {"ot milk": ("oat milk", 0.5)}


def test_a_log_of_queries_alone_says_nothing_of_results_and_clicks() -> None:
    found = figures(log((0, "milk", None, "shown", "u"), (1, "oat milk", None, "shown", "u")))
    assert found.failed == {NO_RESULTS: None, NO_CLICK: None, REFORMULATED: 1}
    assert found.worst(NO_RESULTS, 9).is_empty()
    assert found.worst(REFORMULATED, 9)["query"].to_list() == ["milk"]


def test_an_empty_log() -> None:
    found = figures(log())
    assert found.searches == 0
    assert found.queries.is_empty()
    assert set(found.failed) == {NO_RESULTS, NO_CLICK, REFORMULATED}
    assert all(found.worst(kind, 3).is_empty() for kind in found.failed)


ROW = st.tuples(
    st.integers(0, 60),
    st.sampled_from(["milk", "MILK ", "tea"]),
    st.sampled_from(["a", "b", None]),
    st.sampled_from(["shown", "click", "purchase"]),
    st.sampled_from(["u", "v", None]),
)


@given(st.lists(ROW, max_size=30), st.randoms())
def test_the_order_of_rows_does_not_matter_and_parts_add_up(rows: list[tuple[int, str, str | None, str, str | None]], random) -> None:
    rows = [(at, query, item, "shown" if item is None else event, user) for at, query, item, event, user in rows]
    shuffled = random.sample(rows, len(rows))
    found, again = figures(log(*rows)), figures(log(*shuffled))
    assert found.searches == again.searches == found.queries["searches"].sum()
    assert found.searches <= len(rows)
    for kind, total in found.failed.items():
        assert total is None or total == found.queries[kind].sum() <= found.searches
        assert (found.queries[kind] <= found.queries["searches"]).all()
    assert found.failed[NO_RESULTS] == again.failed[NO_RESULTS]


@pytest.mark.parametrize("gap", [29, 30, 31])
def test_where_a_search_ends(gap: int) -> None:
    found = figures(log((0, "milk", "a", "shown", "u"), (gap, "milk", "a", "shown", "u")))
    assert found.searches == (2 if gap > 30 else 1)
