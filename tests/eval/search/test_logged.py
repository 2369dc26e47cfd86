"""Queries of the search log after a cut: who searched, and what the clicks and purchases say."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from eval.search.logged import logged_queries
from features.data.queries import Queries
from features.errors import DataError

START = datetime(2024, 3, 1)
CUT = int(pl.Series([START + timedelta(days=10)]).dt.epoch("s")[0])

# day, query, item, event, rank, user
ROWS = [
    (1, "tea", "sku-00", "shown", 1, "u1"),
    (2, "tea", "sku-00", "shown", 1, "u2"),
    (3, "rye", "sku-10", "shown", 1, None),
    (11, "tea", "sku-00", "shown", 1, "u1"),
    (11, "tea", "sku-00", "click", 1, "u1"),
    (11, "tea", "sku-01", "click", 2, "u1"),
    (11, "tea", "sku-01", "purchase", 2, "u1"),
    (12, "tea", "sku-02", "click", 3, "u2"),
    (12, "rye", "sku-10", "click", 1, None),
    (12, "rye", "sku-10", "click", 1, None),
    (12, "rye", "sku-11", "cart", 2, None),
    (13, "rye", "sku-11", "click", 2, None),
    (13, "soap", "sku-20", "shown", 1, "u9"),
    (13, "soap", None, "shown", None, "u9"),
]


@pytest.fixture
def log(shop):
    columns = ["day", "query", "item_id", "event", "rank", "user_id"]
    frame = pl.DataFrame(ROWS, schema=columns, orient="row").with_columns(
        timestamp=pl.lit(START) + pl.duration(days="day", seconds=pl.int_range(pl.len()))
    )
    return Queries.of(frame, shop.catalog, shop.log.user_ids)


def judged(found):
    judgments = found.judgments
    rows = zip(judgments.pairs.user.tolist(), judgments.pairs.item.tolist(), judgments.rating.tolist(), strict=True)
    out = {(query, user): {} for query, user in zip(found.queries, found.users, strict=True)}
    for place, item, rating in rows:
        out[found.queries[place], found.users[place]][item] = rating
    return out


def test_a_search_is_a_query_of_a_user_or_of_the_unknown_of_a_day(log):
    found = logged_queries(log, CUT)
    assert sorted(zip(found.queries, found.users, strict=True), key=str) == [("rye", None), ("rye", None), ("tea", "u1"), ("tea", "u2")]
    tea = judged(found)
    assert tea["tea", "u1"] == {0: 1 / 2, 1: 3}  # 1 is clicked and bought: two rows, the most
    assert tea["tea", "u2"] == {2: 1}
    per_search = [found.judgments.pairs.item[found.judgments.pairs.user == place].tolist() for place in range(4)]
    assert sorted(per_search) == [[0, 1], [2], [10, 11], [11]]


def test_a_stray_choice_counts_by_its_share(log):
    found = logged_queries(log, CUT)
    both = next(place for place in range(4) if (found.judgments.pairs.user == place).sum() == 2 and found.queries[place] == "rye")
    ratings = found.judgments.rating[found.judgments.pairs.user == both]
    assert ratings.tolist() == [1, 2 / 2]


def test_slices_are_by_what_was_searched_before_and_by_who_is_known(log):
    found = logged_queries(log, CUT, known={"u1"})
    assert {query for query, head in zip(found.queries, found.slices["head"], strict=True) if head} == {"tea"}
    assert [user for user, is_known in zip(found.users, found.slices["known user"], strict=True) if is_known] == ["u1"]


def test_at_most_so_many_are_drawn(log):
    found = logged_queries(log, CUT, most=2, seed=1)
    assert len(found) == 2
    assert found.judged_queries == 2
    assert np.isfinite(found.judgments.rating).all()


def test_a_log_without_choices_after_the_cut_is_refused(log):
    with pytest.raises(DataError, match="no click or purchase"):
        logged_queries(log, CUT + 4 * 86_400)
