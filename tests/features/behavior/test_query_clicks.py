"""What the search log says of a query and an item: counted by hand, by place, and without those who are gone."""

from __future__ import annotations

import numpy as np
import pytest

from features.behavior.click_propensities import ClickPropensities
from features.behavior.query_clicks import PRIOR, QueryClicks
from features.data.queries import Queries
from features.names import SEARCH_EVENTS

SHOWN, CLICK, CART, PURCHASE = range(len(SEARCH_EVENTS))
TEXTS = ["green tea", "ok", "tea green", "zzz"]
# Query, item, rank, event; item -1 is an empty list.
ROWS = [
    (0, 3, 1, SHOWN),
    (0, 5, 4, SHOWN),
    (0, 5, 4, CLICK),
    (2, 3, 1, SHOWN),
    (2, 3, 1, CLICK),
    (2, 3, 1, PURCHASE),
    (1, 3, 2, CART),
    (3, -1, 0, SHOWN),
]


def log_of(rows: list[tuple[int, int, int, int]] = ROWS) -> Queries:
    query, item, rank, event = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    columns = {
        "query": query.astype(np.int32),
        "item": item.astype(np.int32),
        "rank": rank.astype(np.int32),
        "event": event.astype(np.int8),
    }
    users = {"user": np.full(n, -1, dtype=np.int32), "time": np.arange(n, dtype=np.int64)}
    return Queries(np.array(TEXTS, dtype=object), np.array([], dtype=object), **columns, **users, n_items=9)


def key_of(text: str) -> str:
    return "" if text == "ok" else " ".join(sorted(text.split()))


def of(clicks: QueryClicks, key: str) -> dict[int, float]:
    return dict(zip(*(column.tolist() for column in clicks.of(key)), strict=True))


def test_wordings_of_a_query_are_counted_together():
    clicks = QueryClicks.count(log_of(), key_of, debiased=False)
    assert clicks.keys.tolist() == ["green tea"], "not the one that is left out, nor one that nothing was shown for"
    assert of(clicks, "green tea") == pytest.approx({3: (1 + 3) / (2 + PRIOR), 5: 1 / (1 + PRIOR)})


def test_a_click_counts_by_how_seldom_its_place_is_looked_at():
    log = log_of()
    weights = ClickPropensities.estimate(log).weights(np.array([1, 4]))
    assert weights[1] > weights[0]
    expected = {3: 4 * weights[0] / (2 + PRIOR), 5: weights[1] / (1 + PRIOR)}
    assert of(QueryClicks.count(log, key_of), "green tea") == pytest.approx(expected, rel=1e-5)


def test_what_was_chosen_without_being_shown_counts_as_shown_once():
    clicks = QueryClicks.count(log_of(), lambda text: text, debiased=False)
    assert of(clicks, "ok") == pytest.approx({3: 2 / (1 + PRIOR)})


def test_a_part_of_a_log_has_the_level_of_the_whole():
    whole = QueryClicks.count(log_of([row for row in ROWS for _ in range(2)]), lambda text: text, debiased=False)
    half = QueryClicks.count(log_of(), lambda text: text, debiased=False, share=0.5)
    assert half.value == pytest.approx(whole.value)


def test_values_of_candidates():
    clicks = QueryClicks.count(log_of(), key_of, debiased=False)
    rows = np.array([[5, 8, 3, -1], [5, 8, 3, -1]])
    values = clicks.values(["green tea", "unheard of"], rows)
    assert values.dtype == np.float32
    assert values[0] == pytest.approx([1 / (1 + PRIOR), 0, 4 / (2 + PRIOR), 0])
    assert not values[1].any()
    assert not QueryClicks.empty().values(["green tea"], rows[:1]).any()


@pytest.mark.parametrize("clicks", [QueryClicks.empty(), QueryClicks.count(log_of(), key_of)], ids=["empty", "counted"])
def test_they_come_back_from_their_files(clicks: QueryClicks):
    files = clicks.to_files()
    again = QueryClicks.from_files(files)
    assert again.to_files() == files
    assert again.keys.tolist() == clicks.keys.tolist()
    for key in clicks.keys:
        assert of(again, key) == of(clicks, key)


def test_a_query_whose_rows_are_gone_is_not_named():
    log = log_of()
    left = QueryClicks.count(log.where(log.query == 1), lambda text: text)
    assert left.keys.tolist() == ["ok"]
    assert b"green" not in b"".join(left.to_files().values())
    assert QueryClicks.count(log.where(log.query == 3), key_of).to_files() == QueryClicks.empty().to_files()
