"""Which filters of a query's words are dropped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.data.histories import Histories
from recsys.apps.search.present import label
from recsys.apps.search.word_filters import meeting, relaxed
from retrieval.lexical.query import QueryFilter


def mask(text: str) -> np.ndarray:
    return np.array([letter == "1" for letter in text])


@pytest.mark.parametrize(
    ("each", "allowed", "fitting", "dropped", "left"),
    [
        (["1100", "0110"], "1111", "1111", [], "0100"),
        (["1100", "0011"], "1111", "1111", [1], "1100"),
        (["0011", "1111"], "1111", "1100", [0], "1111"),  # the last would not help
        (["0011", "0001"], "1111", "1100", [0, 1], "1111"),
        (["1100", "0011", "0011"], "1111", "1100", [1, 2], "1100"),
        (["0011", "0110", "1101"], "1111", "1000", [0, 1], "1101"),  # the last is met
        (["1000", "0100", "0010", "0001", "0101"], "1111", "1111", [0, 2, 3], "0100"),
        (["1100", "0110", "0011"], "1111", "1111", [2], "0100"),  # of as many, the last goes
        (["0110"], "1111", "0000", [], "0110"),  # no item has the words: any will do
        (["0110"], "1011", "0100", [], "0010"),  # nor does one that is allowed
        (["0110"], "0000", "1111", [], "0000"),
        ([], "1010", "1111", [], "1010"),
    ],
)
def test_as_few_as_leave_something(each: list[str], allowed: str, fitting: str, dropped: list[int], left: str) -> None:
    found, mask_left = relaxed([mask(one) for one in each], mask(allowed), mask(fitting))
    assert (found, mask_left.tolist()) == (dropped, mask(left).tolist())


def test_a_category_of_the_words_is_its_own_paths_and_no_others_of_its_name() -> None:
    paths = ["Milk", "Food|Milk", "Milk|Oat", None, "Food|Tea"]
    items = pl.DataFrame({"item_id": list("abcde"), "title": list("abcde"), "category": paths}, schema_overrides={"category": pl.String})
    snapshot: Any = SimpleNamespace(catalog=Catalog.from_frame(items), prices=np.ones(5))
    texts: Any = None
    found = meeting(snapshot, QueryFilter("category", ("Milk", "Food|Tea"), "in it"), Histories.of_baskets([[]], 0), texts)
    assert found.tolist() == [True, False, False, False, True]


def test_many_filters_cost_no_more_than_their_number() -> None:
    dropped, _ = relaxed([mask("01")] * 60, mask("11"), mask("10"))
    assert dropped == list(range(60))


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (("Grocery|Soup",), "in Soup"),
        (("Grocery|Bread", "Grocery|Milk", "Grocery|Tea", "Grocery|Wine"), "in Grocery"),
        (("Grocery|Soup", "Deli|Soup"), "in Soup"),
        (("Food|Milk", "Food|Dairy|Milk"), "in Milk"),
        (("Grocery|Tea", "Grocery|Drinks|Tea", "Grocery|Drinks|Tea|Green"), "in Tea"),
        (("Deli|Soups", "Grocery|Soup", "Grocery|Soup mix", "Frozen|Soup bowls"), "in Soups, Soup, Soup mix, …"),
    ],
)
def test_a_filter_of_a_department_has_its_name(paths: tuple[str, ...], said: str) -> None:
    assert label(QueryFilter("category", paths, "in it")) == said
