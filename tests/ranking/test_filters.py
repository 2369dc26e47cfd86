"""Rules: what may be shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.behavior.item_stats import ItemStats
from features.data.catalog import Catalog
from features.data.histories import MAX_EVENTS, Histories
from features.data.interactions import Interactions
from features.errors import DataError
from features.names import PRICE
from ranking.filters import Filters

CATEGORIES = ["Grocery|Dairy|Milk", "Grocery|Dairy|Cheese", "Grocery|Bakery", "Drug GM|Soap", None, "Dairy Farm|Toys"]
PRICES = np.array([1.0, 5.0, 2.0, 3.0, np.nan, 9.0])
NOBODY = Histories.of_baskets([[]], now=0)


@pytest.fixture
def catalog() -> Catalog:
    frame = pl.DataFrame({"item_id": list("abcdef"), "title": ["x"] * 6, "category": CATEGORIES, "available": [True] * 5 + [False]})
    return Catalog.from_frame(frame)


def shown(catalog: Catalog, rules: Filters) -> str:
    return "".join(catalog.ids[replace(rules, in_stock=True).allowed(catalog, PRICES, NOBODY)])


def test_only_what_is_available_is_in_stock(catalog):
    assert shown(catalog, Filters()) == "abcde"
    assert "".join(catalog.ids[Filters().allowed(catalog, PRICES, NOBODY)]) == "abcdef"


@pytest.mark.parametrize(
    ("wanted", "items"),
    [
        (("Grocery",), "abc"),
        (("grocery|DAIRY",), "ab"),
        (("Dairy",), "ab"),
        ((" milk ",), "a"),
        (("Grocery|Dairy|Milk",), "a"),
        (("Drug GM",), "d"),
        (("Milk", "Soap"), "ad"),
        (("Toys",), ""),
    ],
)
def test_a_category_is_a_path_its_beginning_or_a_name_within(catalog, wanted, items):
    assert shown(catalog, Filters(categories=wanted)) == items


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("Diary", "no item is in category 'Diary'; did you mean 'Dairy'"),
        ("Dairy|Milk", "no item is in category 'Dairy|Milk'; did you mean 'Grocery|Dairy|Milk'"),
        ("Dai", "no item is in category 'Dai'"),
        ("xyzzy", "the catalogue has 5 categories, such as 'Dairy Farm|Toys', 'Drug GM|Soap', 'Grocery|Bakery'"),
        ("", "no item is in category ''"),
    ],
)
def test_an_unknown_category_says_which_are_close(catalog, wanted, message):
    with pytest.raises(DataError) as error:
        Filters(categories=("Milk", wanted)).allowed(catalog, PRICES, NOBODY)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_catalogue_without_categories():
    bare = Catalog.from_frame(pl.DataFrame({"item_id": ["a"], "title": ["x"]}))
    with pytest.raises(DataError, match="the catalogue has none"):
        Filters(categories=("Milk",)).allowed(bare, np.array([1.0]), NOBODY)


def test_prices_are_inclusive_and_an_unknown_one_is_left_out(catalog):
    assert shown(catalog, Filters(max_price=3.0)) == "acd"
    assert shown(catalog, Filters(min_price=3.0)) == "bd"
    assert shown(catalog, Filters(min_price=2.0, max_price=2.0)) == "c"


AMOUNTS = st.one_of(
    *(st.integers(1, 10**6).map(lambda n, places=places: Decimal(n).scaleb(-places)) for places in (2, 3)),
    st.integers(1, 10**9).map(Decimal),
)


@given(AMOUNTS, st.lists(st.one_of(st.none(), st.integers(1, 500)), min_size=1, max_size=4), st.booleans())
def test_an_item_passes_the_limit_of_its_own_price(price, quantities, listed):
    """Whether the catalogue has the price, or it was paid for any quantity."""
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": ["a"], "title": ["x"], "price": [float(price) if listed else None]}))
    events = [("u", "a", datetime(2024, 1, 1), quantity, float(price * (quantity or 1))) for quantity in quantities]
    frame = pl.DataFrame(events, schema=["user_id", "item_id", "timestamp", "quantity", "value"], orient="row", infer_schema_length=None)
    log = Interactions.from_frame(frame, catalog)
    stats = ItemStats.from_files(ItemStats.fit(log, catalog, log.end).to_files())
    prices = stats.columns[PRICE]
    assert json.loads(json.dumps(prices.tolist()), parse_float=Decimal) == [price]
    for limit in (float(price), float(price) * 3 / 3, float(str(price))):
        assert Filters(max_price=limit, min_price=limit).allowed(catalog, prices, NOBODY).tolist() == [True]
    cheaper = float(price - Decimal("0.001"))
    assert Filters(max_price=cheaper).allowed(catalog, prices, NOBODY).tolist() == [False]


@pytest.mark.parametrize(("limit", "items"), [(0.1 + 0.2, "b"), (0.1 + 0.7, "bc"), (1.98999, "bc"), (1.99, "bcd")])
def test_a_limit_that_is_a_sum_of_floats(limit, items):
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": list("abcd"), "title": ["x"] * 4}))
    prices = np.array([np.nan, 0.3, 0.8, 1.99])
    assert "".join(catalog.ids[Filters(max_price=limit).allowed(catalog, prices, NOBODY)]) == items


@pytest.mark.parametrize("prices", [{"max_price": -1.0}, {"min_price": float("nan")}, {"min_price": 3.0, "max_price": 2.0}])
def test_prices_that_cannot_be(prices):
    with pytest.raises(DataError, match="_price"):
        Filters(**prices)


def test_excluded_items_and_unknown_ones_among_them(catalog):
    assert shown(catalog, Filters(exclude=(0, 3, -1))) == "bce"


def test_only_new_depends_on_the_user(catalog):
    users = Histories.of_baskets([[0, 1, 1], [], [5]], now=0)
    allowed = Filters(new_only=True, max_price=5.0).allowed(catalog, PRICES, users)
    assert ["".join(catalog.ids[row]) for row in allowed] == ["cd", "abcd", "abcd"]


def test_what_was_looked_at_or_left_in_the_cart_is_still_new(catalog):
    users = replace(Histories.of_baskets([[0, 1, 2, 3]], now=0), event=np.array([0, 1, 2, 3], np.int8))
    assert "".join(catalog.ids[Filters(new_only=True).allowed(catalog, PRICES, users)[0]]) == "bcef"


@pytest.mark.parametrize("bought", ["purchase", "rating"])
def test_what_was_bought_before_thousands_of_views_is_not_new(catalog, bought):
    start = datetime(2024, 1, 1)
    events = [("a", bought, start), ("c", bought, start + timedelta(minutes=1))]
    events += [("b", "view", start + timedelta(hours=1, seconds=second)) for second in range(MAX_EVENTS + 200)]
    frame = pl.DataFrame(events, schema=["item_id", "event", "timestamp"], orient="row").with_columns(user_id=pl.lit("kiosk"))
    log = Interactions.from_frame(frame, catalog)
    users = Histories.of_users(log, np.array([0, -1]), log.end)
    assert users.lengths.tolist() == [MAX_EVENTS, 0]
    allowed = Filters(new_only=True).allowed(catalog, PRICES, users)
    assert ["".join(catalog.ids[row]) for row in allowed] == ["bdef", "abcdef"]


def test_the_catalogue_is_left_as_it_was(catalog):
    Filters(exclude=(0,)).allowed(catalog, PRICES, NOBODY)
    assert catalog.available.tolist() == [True] * 5 + [False]
