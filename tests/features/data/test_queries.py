"""The search log over integer rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.queries import NONE, QUERY_COLUMNS, Queries
from features.errors import DataError
from features.names import SEARCH_EVENTS

START = datetime(2026, 1, 1)
CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": ["A", "B"], "title": ["Apple", "Bread"]}))


def frame(*rows: tuple[object, ...]) -> pl.DataFrame:
    """Rows of minutes after the start, query, item, event, rank, user."""
    values = [(START + timedelta(minutes=float(str(minutes))), *rest) for minutes, *rest in rows]
    return pl.DataFrame(values, schema=dict(QUERY_COLUMNS), orient="row")


ROWS = (
    (2, "tea", "B", "click", 2, "u1"),
    (0, "Tea", None, "shown", None, None),
    (1, "tea", "A", "shown", 1, "u1"),
    (1, "tea", "B", "shown", 2, "u1"),
    (5, "tea", "A", "shown", 1, "searcher"),
    (6, "tea", "Z", "shown", 1, "u1"),
)


def test_ids_are_rows_from_here_on() -> None:
    queries = Queries.of(frame(*ROWS), CATALOG, np.array(["u1", "u2"], dtype=object))
    assert queries.texts.tolist() == ["Tea", "tea"], "as they were typed"
    assert queries.user_ids.tolist() == ["u1", "u2", "searcher"], "users of the log keep their rows"
    assert queries.user.tolist() == [NONE, 0, 0, 0, 2]
    assert queries.item.tolist() == [NONE, 0, 1, 1, 0], "an item outside the catalogue is left out"
    assert [SEARCH_EVENTS[code] for code in queries.event] == ["shown", "shown", "shown", "click", "shown"]
    assert queries.rank.tolist() == [0, 1, 2, 2, 1]
    assert (queries.time - queries.time[0]).tolist() == [0, 60, 60, 120, 300]


def test_the_first_two_columns_are_enough() -> None:
    queries = Queries.of(frame(*ROWS).select("timestamp", "query"), CATALOG)
    assert (queries.item == NONE).all()
    assert (queries.user == NONE).all()
    assert len(queries) == len(ROWS)
    with pytest.raises(DataError, match=r"the search log lacks \['query'\]"):
        Queries.of(frame(*ROWS).drop("query"), CATALOG)


def test_an_empty_log_is_one() -> None:
    queries = Queries.of(frame(), CATALOG)
    assert (len(queries), queries.counts().height, len(queries.between(0, 9))) == (0, 0, 0)


@pytest.mark.parametrize(("start", "end", "rows"), [(None, None, 5), (60, None, 4), (None, 60, 1), (60, 120, 2), (61, 61, 0), (120, 60, 0)])
def test_a_cut_holds_its_start_and_not_its_end(start: int | None, end: int | None, rows: int) -> None:
    queries = Queries.of(frame(*ROWS), CATALOG)
    first = int(queries.time[0])
    cut = queries.between(*(None if bound is None else first + bound for bound in (start, end)))
    assert len(cut) == rows
    assert cut.texts is queries.texts, "rows keep their meaning"
    assert (cut.time >= first + (start or 0)).all()


def test_distinct_queries_are_counted() -> None:
    counts = Queries.of(frame(*ROWS, (7, "oat", "A", "purchase", None, "u1"), (7, "oat", "A", "cart", None, "u1")), CATALOG).counts()
    assert counts.columns == ["query", "searches", "users", *SEARCH_EVENTS, "empty"]
    assert counts.rows() == [
        ("tea", 2, 2, 3, 1, 0, 0, 0),
        ("Tea", 1, 0, 1, 0, 0, 0, 1),
        ("oat", 1, 1, 0, 0, 1, 1, 0),
    ]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("query", 2, "query of the search log runs from 2 to 2, expected 0 to 1"),
        ("user", -2, "user of the search log runs from -2 to -2"),
        ("item", 2, "item of the search log runs from 2 to 2, expected -1 to 1"),
        ("event", 4, "event of the search log runs from 4 to 4"),
        ("rank", -1, "a rank of the search log is -1"),
        ("item", NONE, "has no item and an event other than shown"),
    ],
)
def test_what_is_no_search_log_is_refused(column: str, value: int, said: str) -> None:
    queries = Queries.of(frame(*ROWS), CATALOG)
    with pytest.raises(DataError, match=said):
        replace(queries, **{column: np.full_like(getattr(queries, column), value)})


def test_columns_of_other_lengths_types_and_orders_are_refused() -> None:
    queries = Queries.of(frame(*ROWS), CATALOG)
    with pytest.raises(DataError, match="expected int32"):
        replace(queries, item=queries.item.astype(np.int64))
    with pytest.raises(DataError, match="rank of the search log is int32"):
        replace(queries, rank=queries.rank[1:])
    with pytest.raises(DataError, match="not sorted by time"):
        replace(queries, time=queries.time[::-1].copy())
    with pytest.raises(DataError, match="has the event 'wobble'"):
        Queries.of(frame((1, "tea", "A", "wobble", 1, "u1")), CATALOG)


@given(st.permutations(ROWS))
def test_the_same_rows_in_any_order_are_the_same_log(rows: list[tuple[object, ...]]) -> None:
    one, other = (Queries.of(frame(*some), CATALOG, ["u2"]) for some in (ROWS, rows))
    for name in ("texts", "user_ids", "query", "user", "item", "time", "event", "rank"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
