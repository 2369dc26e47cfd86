"""Files of judged queries: three layouts and formats, what counts as relevant, and what is said of the rest."""

import json

import numpy as np
import polars as pl
import pytest

from eval.metrics.judged import graded_ndcg
from eval.search.judged_file import read_judged
from features.errors import DataError

JUDGED = pl.DataFrame(
    {
        "query": ["green tea", "green tea", "green tea", "bread", "bread"],
        "item_id": ["sku-00", "sku-01", "sku-20", "sku-10", "gone"],
        "rating": [3, 2, 0, 1, 3],
    }
)


def write(frame: pl.DataFrame, path):
    {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}[path.suffix](path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_judgments_are_read_from_any_table(shop, tmp_path, suffix):
    found = read_judged(write(JUDGED, tmp_path / f"judged{suffix}"), shop.catalog)
    assert found.queries == ("green tea", "bread")
    assert found.users == (None, None)
    assert found.judgments.ratings(np.array([[0, 1, 20], [10, 0, 1]])).tolist() == [[3, 2, 0], [1, 0, 0]]
    assert found.judgments.pairs.counts.tolist() == [3, 1]
    assert found.notes == ("1 judgment of items that the catalogue lacks left out, such as 'gone'",)
    assert graded_ndcg(np.array([[0, 1], [10, 3]]), found.judgments, 2).tolist() == [1, 1]


def test_without_ratings_every_row_is_relevant(shop, tmp_path):
    found = read_judged(write(JUDGED.drop("rating"), tmp_path / "judged.csv"), shop.catalog)
    assert found.judgments.relevant.counts.tolist() == [3, 1]


def test_rows_that_say_nothing_are_counted(shop, tmp_path):
    rows = [*JUDGED.cast(pl.String).rows(), ("", "sku-02", "1"), ("bread", "sku-11", "good"), ("bread", "sku-11", "-1")]
    frame = pl.DataFrame(rows, schema=["query", "item_id", "rating"], orient="row")
    found = read_judged(write(frame, tmp_path / "judged.csv"), shop.catalog)
    assert "2 rows whose rating is no number from 0 up left out" in found.notes
    assert "1 row without a query or unreadable left out" in found.notes


def patterns(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_patterns_are_searched_in_title_and_category(shop, tmp_path):
    rows = [
        {"query": "tea", "accept": "TEA small|\\|tea", "kind": "need"},
        {"query": "rye", "accept": "rye bread", "kind": "plain"},
        {"query": "nothing", "accept": "absent", "kind": "plain"},
    ]
    found = read_judged(patterns(tmp_path / "queries.jsonl", *rows), shop.catalog)
    relevant = [found.judgments.pairs.item[found.judgments.pairs.user == place].tolist() for place in range(3)]
    assert relevant == [list(range(10)), [10, 15], []]
    assert {name: members.tolist() for name, members in found.slices.items()} == {
        "need": [True, False, False],
        "plain": [False, True, True],
    }
    assert found.judged_queries == 2


@pytest.mark.parametrize(
    ("kind", "least", "most"), [("price<3", 0, 2.99), ("price<=3", 0, 3), ("price > 4.5", 4.51, 99), ("price>=4.5", 4.5, 99)]
)
def test_a_price_in_the_kind_is_asked_of_every_relevant_item(shop, tmp_path, kind, least, most):
    found = read_judged(patterns(tmp_path / "q.jsonl", {"query": "any", "accept": ".", "kind": kind}), shop.catalog)
    prices = shop.items["price"].to_numpy()
    assert found.judgments.pairs.item.tolist() == np.flatnonzero((prices >= least) & (prices <= most)).tolist()
    assert list(found.slices) == ["price"]


def test_prices_that_the_shop_derived_count_before_those_of_the_catalogue(shop, tmp_path):
    prices = np.full(len(shop.catalog), np.nan)
    prices[7] = 1.0
    found = read_judged(patterns(tmp_path / "q.jsonl", {"query": "any", "accept": ".", "kind": "price<3"}), shop.catalog, prices)
    assert found.judgments.pairs.item.tolist() == [7]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"query": "tea", "accept": "te(a"}], "which is no regular expression"),
        ([{"query": "tea"}], "has no column item_id and no column accept"),
        ([{"query": "tea", "item_id": "none"}], "none with a relevant item of this catalogue"),
        ([{"query": "tea", "item_id": "sku-00", "rating": "good"}], "no rating from 0 up, such as 'good'"),
        ([{"words": "tea"}], "query"),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line(shop, tmp_path, rows, expected):
    with pytest.raises(DataError) as caught:
        read_judged(patterns(tmp_path / "q.jsonl", *rows), shop.catalog)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(shop, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv"):
        read_judged(tmp_path / "none.csv", shop.catalog)
