"""Failed searches by the category that the search finds for their words, and by the aspects that they mention."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from features.errors import DataError
from features.reviews.aspects import AspectList
from recsys.apps.search.pipeline import Search
from recsys.apps.search.topics import NOT_SOLD, search_topics
from recsys.recommend import open


@pytest.fixture(scope="module")
def search(ready: Any) -> Search:
    return Search(open.open_recommender(ready.workspace))


def log(*queries: str) -> pl.DataFrame:
    """A log in which customers search, are shown an item and click nothing, but for one."""
    rows = [(datetime(2026, 1, 5) + timedelta(hours=at), query, "sku-01", "shown", f"u{at}") for at, query in enumerate(queries)]
    rows.append((datetime(2026, 1, 4), "milk", "sku-01", "click", "u"))
    return pl.DataFrame(rows, schema=["timestamp", "query", "item_id", "event", "user_id"], orient="row")


def test_a_query_is_of_the_category_that_the_search_finds(search: Search) -> None:
    frame = search.recommender.snapshot.catalog.frame
    queries = [f"cheap {frame['title'][row]}" for row in (0, 9, 19)]
    found = search_topics(search, AspectList.packaged(), log(*queries, "qwzx", "qwzx", "sku-10", "under 5 dollars"))
    topics = {row["topic"]: row for row in found.topics["categories"].to_dicts()}
    assert (found.failed, found.queries) == (7, 6)
    for row, query in zip((0, 9, 19), queries, strict=True):
        assert query.lower() in topics[frame["category"][row]]["examples"]
    assert "sku-10" in topics[frame["category"][int(search.recommender.snapshot.catalog.rows(["sku-10"])[0])]]["examples"]
    assert (topics[NOT_SOLD]["failed"], topics[NOT_SOLD]["users"], topics[NOT_SOLD]["examples"]) == (2, 2, ["qwzx"])
    assert not any("under 5 dollars" in row["examples"] for row in topics.values()), "a price alone is of no category"


def test_queries_that_are_all_in_a_script_that_the_encoder_does_not_read_are_of_what_is_not_sold(search: Search) -> None:
    found = search_topics(search, AspectList.packaged(), log("你好"))
    assert found.topics["categories"].select("topic", "failed", "examples").rows() == [(NOT_SOLD, 1, ["你好"])]


def test_a_category_does_not_depend_on_the_stock(search: Search) -> None:
    frame = search.recommender.snapshot.catalog.frame
    row = int(search.recommender.snapshot.catalog.rows(["sku-12"])[0])
    assert not frame["available"][row]
    found = search_topics(search, AspectList.packaged(), log(frame["title"][row]))
    assert found.topics["categories"]["topic"].to_list() == [frame["category"][row]]


@pytest.mark.parametrize("query", ["quiet vacuum", "noisy blender", "long battery life"])
def test_aspects_are_those_of_the_list(search: Search, query: str) -> None:
    found = search_topics(search, AspectList.packaged(), log(query, "rye bread"))
    assert found.topics["aspects"].select("topic", "failed", "examples").rows() == [("performance", 1, [query])]


def test_the_topics_are_the_same_in_each_run(search: Search) -> None:
    table = log(*(f"{word} tea" for word in ("quiet", "green", "cheap", "good quality", "qwzx")))
    first, second = (
        search_topics(search, AspectList.packaged(), some) for some in (table, table.sample(fraction=1.0, shuffle=True, seed=1))
    )
    assert first.to_dict() == second.to_dict()


def test_a_shop_without_a_search_log_is_told_how_to_get_one(search: Search) -> None:
    with pytest.raises(DataError, match=r"no search log: .*recsys ingest --queries FILE"):
        search_topics(search, AspectList.packaged(), None)
