"""Failed searches by topic, against what is counted by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from eval.metrics.search_topics import FailedSearches, by_topic
from eval.metrics.searches import failed_searches, figures

SCHEMA = {
    "timestamp": pl.Datetime("us"),
    "query": pl.String,
    "item_id": pl.String,
    "event": pl.String,
    "user_id": pl.String,
}
TOPICS = {"quiet fan": ["fans", "noise"], "fan": ["fans"], "tent": ["none"]}


def log(*rows: tuple[float, str, str | None, str | None, str | None]) -> pl.DataFrame:
    """Rows of minute, query, item, event and user."""
    return pl.DataFrame([(datetime(2026, 1, 5) + timedelta(minutes=at), *rest) for at, *rest in rows], SCHEMA, orient="row")


def sorted_by_topic(table: pl.DataFrame, most: int = 10) -> FailedSearches:
    def topics_of(queries: object) -> dict[str, pl.DataFrame]:
        rows = [(query, topic) for query in queries for topic in TOPICS.get(query, [])]  # type: ignore[attr-defined]
        return {"kind": pl.DataFrame(rows, {"query": pl.String, "topic": pl.String}, orient="row")}

    return by_topic(failed_searches(table), topics_of, most)


LOG = log(
    (0, "Quiet fan", "a", "shown", "u"),  # put in other words a minute later
    (1, "fan", "a", "shown", "u"),
    (1, "fan", "a", "click", "u"),  # found
    (500, "quiet fan", "a", "shown", "u"),
    (0, "fan", "a", "shown", "v"),
    (9, "tent", None, None, "v"),
    (9, "tent", None, None, "w"),
    (9, "tent", None, None, None),
)


def test_a_topic_has_the_failed_searches_of_its_queries() -> None:
    found = sorted_by_topic(LOG)
    assert (found.searches, found.failed, found.sorted_in, found.queries) == (7, 6, 6, 3)
    assert found.topics["kind"].rows() == [
        ("fans", 3, 0, 1, 2, 2, ["quiet fan", "fan"]),
        ("none", 3, 3, 0, 2, 1, ["tent"]),
        ("noise", 2, 0, 1, 1, 1, ["quiet fan"]),
    ]


def test_only_the_queries_that_failed_most_often_are_sorted() -> None:
    found = sorted_by_topic(LOG, most=1)
    assert (found.failed, found.sorted_in, found.queries) == (6, 3, 1)
    assert found.topics["kind"]["topic"].to_list() == ["none"]
    assert found.to_dict()["sorted"] == 3


def test_the_counts_are_those_of_the_figures() -> None:
    whole = figures(LOG)
    table = sorted_by_topic(LOG).topics["kind"].filter(pl.col("topic") != "noise")
    assert {name: table[name].sum() for name in ("no_results", "reformulated")} == {
        name: whole.failed[name] for name in ("no_results", "reformulated")
    }


@pytest.mark.parametrize(
    ("rows", "failed", "unknown"),
    [
        ([(0, "fan", "a", "shown", "u"), (1, "tent", "a", "shown", "u")], 1, None),  # without an event, no click says nothing
        ([(0, "fan", "a", "shown", None), (0, "fan", "a", "click", None), (9, "fan", "a", "shown", None)], 1, "reformulated"),
        ([(0, "fan", None, None, None)], 0, "no_results"),  # no list is in the log
    ],
)
def test_what_the_log_cannot_say_does_not_count_as_failed(
    rows: list[tuple[float, str, str | None, str | None, str | None]], failed: int, unknown: str | None
) -> None:
    found = sorted_by_topic(log(*rows))
    assert found.failed == failed
    assert found.topics["kind"].height == min(failed, 1)
    if failed and unknown:
        assert found.topics["kind"][unknown].to_list() == [None]


def test_a_log_without_failures_has_no_topics() -> None:
    found = sorted_by_topic(log((0, "fan", "a", "click", "u")))
    assert (found.searches, found.failed, found.topics["kind"].height) == (1, 0, 0)
