"""Pairs of texts: which belong together, which are held out, and which must not be learned as wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.interactions import Interactions
from retrieval.pretraining.pairs import RelatedTexts, catalogue_pairs, held_out_texts, pairs_together, review_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

IDS = [f"i{place:02}" for place in range(12)]
NONE = np.zeros(0, dtype=np.int64)


def log_of(rows: Sequence[tuple[str, int, float]], event: str = "purchase") -> Interactions:
    """A log of user, item and day."""
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": IDS, "title": IDS}))
    events = [
        {"user_id": user, "item_id": IDS[item], "timestamp": datetime(2026, 1, 1) + timedelta(days=day), "event": event}
        for user, item, day in rows
    ]
    return Interactions.from_frame(pl.DataFrame(events), catalog)


def together(log: Interactions, days: float = 7.0, most: int = 1_000, seed: int = 0) -> tuple[set[tuple[int, ...]], np.ndarray]:
    pairs, keys = pairs_together(log, days, most, np.random.default_rng(seed))
    return {tuple(sorted(row)) for row in pairs.owner.tolist()}, keys


def test_titles_are_paired_with_categories_and_descriptions() -> None:
    items = pl.DataFrame(
        {
            "title": [" green tea ", "soap", "rye bread", "x"],
            "category": ["drinks| tea", None, "bakery", "bakery"],
            "description": ["from Japan", "soap", "", "a long one"],
        }
    )
    found = {pairs.kind: pairs for pairs in catalogue_pairs(items)}
    category, description = found["title and category"], found["title and description"]
    assert category.parts is not None
    assert [side.to_list() for side in category.parts] == [["green tea", "rye bread"], ["tea, drinks", "bakery"]]
    assert category.owner.tolist() == [[0, 0], [2, 2]]
    assert description.owner.tolist() == [[0, 0]]  # a description that is the title teaches nothing
    assert not catalogue_pairs(items.with_columns(category=pl.lit(None, pl.String), description=pl.lit("")))


def test_sentences_of_reviews_are_paired_with_the_title_of_their_item() -> None:
    pairs = review_pairs(pl.DataFrame({"title": ["tea", "soap"]}), np.array([1, 0, 1]), pl.Series(["smells good", "", "soft hands"]))
    assert pairs.parts is not None
    assert [side.to_list() for side in pairs.parts] == [["soap", "soap"], ["smells good", "soft hands"]]
    assert pairs.owner.tolist() == [[1, 1], [1, 1]]


def test_bought_together_is_one_customer_within_days() -> None:
    rows = [("a", 0, 0), ("a", 1, 0), ("a", 2, 5), ("a", 3, 30), ("b", 4, 0), ("c", 5, 0)]
    assert together(log_of(rows))[0] == {(0, 1), (0, 2), (1, 2)}
    assert together(log_of(rows), days=0)[0] == {(0, 1)}
    assert together(log_of(rows), days=40)[0] == {(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)}


def test_views_are_no_purchases_and_an_item_is_not_bought_with_itself() -> None:
    assert together(log_of([("a", 0, 0), ("a", 1, 0)], "view"))[0] == set()
    assert together(log_of([("a", 0, 0), ("a", 0, 1)]))[0] == set()


def test_within_an_order_the_rows_of_the_catalogue_say_nothing() -> None:
    """Every pair of a large order is as likely, whatever the order of the ids."""
    log = log_of([("a", item, 0) for item in range(12)])
    counts = np.zeros((12, 12))
    for seed in range(200):
        for one, other in together(log, seed=seed)[0]:
            counts[one, other] += 1
    share = counts[np.triu_indices(12, 1)] / 200
    assert share.min() > 0.25  # 30 of 66 pairs are near each other in a random order: .45 each
    assert share.max() < 0.65


def test_what_is_often_bought_together_for_its_sales_is_drawn_first() -> None:
    rows = [(f"u{user}", item, 0) for user in range(30) for item in (0, 1)]  # always together
    rows += [(f"v{user}", item, 0) for user in range(30) for item in (2, 3 + user % 9)]  # 2 is in every basket
    drawn = [together(log_of(rows), most=1, seed=seed)[0] for seed in range(60)]
    assert sum(pairs == {(0, 1)} for pairs in drawn) > 15  # a tenth of the pairs by chance
    pairs, keys = together(log_of(rows), most=1)
    assert len(pairs) == 1
    assert len(keys) == 2 * 10  # all pairs, both ways, whatever was drawn


def test_every_tenth_text_is_held_out_whatever_the_order_of_the_rows() -> None:
    held = held_out_texts(1_000, 0)
    assert held.sum() == 100
    assert not np.array_equal(held, held_out_texts(1_000, 1))
    assert np.array_equal(held, held_out_texts(1_000, 0))


def test_texts_of_one_category_and_what_was_bought_together_are_no_negatives() -> None:
    known = RelatedTexts.of(np.array([*[0] * 2, *[1] * 15, -1, -1, 2]), np.array([17 * 20 + 19, 19 * 20 + 17]))
    assert known.mask(np.array([0]), np.arange(20)).nonzero()[1].tolist() == [0, 1]
    assert known.mask(np.array([5]), np.arange(20)).nonzero()[1].tolist() == [5]  # three quarters of the shop are no category
    assert known.mask(np.array([17]), np.arange(20)).nonzero()[1].tolist() == [17, 19]
    assert known.mask(np.array([18]), np.arange(20)).nonzero()[1].tolist() == [18]


@given(data=st.data(), n=st.integers(2, 30))
def test_a_text_is_its_own_positive_and_belonging_together_goes_both_ways(data: Any, n: int) -> None:
    category = np.array(data.draw(st.lists(st.integers(-1, 4), min_size=n, max_size=n)))
    pairs = np.array(data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=9)), dtype=np.int64).reshape(
        -1, 2
    )
    keys = np.unique(np.concatenate([pairs @ [n, 1], pairs @ [1, n]])) if len(pairs) else NONE
    mask = RelatedTexts.of(category, keys).mask(np.arange(n), np.arange(n))
    assert mask.diagonal().all()
    assert np.array_equal(mask, mask.T)


@pytest.mark.parametrize("most", [1, 3, 100])
def test_a_sample_is_of_the_pairs(most: int) -> None:
    pairs = pairs_together(log_of([("a", item, 0) for item in range(6)]), 7, 100, np.random.default_rng(0))[0]
    some = pairs.at_most(most, np.random.default_rng(0))
    assert len(some) == min(most, len(pairs))
    assert {tuple(row) for row in some.owner.tolist()} <= {tuple(row) for row in pairs.owner.tolist()}


def test_a_log_over_texts_knows_no_items() -> None:
    log = replace(log_of([("a", 0, 0), ("a", 1, 0)]), n_items=100)
    assert together(log)[1].tolist() == [1, 100]
