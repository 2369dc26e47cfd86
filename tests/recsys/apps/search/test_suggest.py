"""Completions of what is typed, and facets of what was found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.reviews.praise import PraisedAspects
from recsys.apps.search.answers import Facet, Suggestion
from recsys.apps.search.facets import facets_of
from recsys.apps.search.suggest import Suggester

NOT_REVIEWED = PraisedAspects({})
ITEMS = pl.DataFrame(
    {
        "item_id": list("abcdef"),
        "title": ["Green tea", "Green tea", "Greek yoghurt", "Café crème", "Gone tea", "Oolong tea"],
        "brand": ["Greenfield", None, "Fage", None, "Greenfield", "acme"],
        "category": ["drinks|Green teas", "drinks|Green teas", "dairy", "drinks", "drinks", None],
        "available": [True, True, True, True, False, True],
    }
)
SALES = np.array([3.0, 4.0, 9.0, 1.0, 50.0, 2.0])


@pytest.fixture(scope="module")
def suggester() -> Suggester:
    return Suggester.of(Catalog.from_frame(ITEMS), SALES)


def test_names_that_begin_so_come_by_what_their_items_sell(suggester: Suggester) -> None:
    assert suggester.suggest("gree", 9) == [
        Suggestion("Greek yoghurt", "item", "c"),
        Suggestion("Green tea", "item", "b"),
        Suggestion("Green teas", "category"),
        Suggestion("Greenfield", "brand"),
    ]
    assert suggester.suggest("gree", 1) == [Suggestion("Greek yoghurt", "item", "c")]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("  GREEN   te", "Green tea"), ("cafe c", "Café crème"), ("CRÈ", "Café crème"), ("oolong tea", "Oolong tea"), ("FAG", "Fage")],
)
def test_case_accents_and_later_words_are_found(suggester: Suggester, typed: str, expected: str) -> None:
    assert suggester.suggest(typed, 9)[0].text == expected


def test_later_words_of_names_are_found_and_what_is_out_of_stock_is_not_offered(suggester: Suggester) -> None:
    assert [one.text for one in suggester.suggest("green", 9)] == ["Green tea", "Green teas", "Greenfield"]
    found = [one.text for one in suggester.suggest("tea", 9)]
    assert found == ["Green tea", "Green teas", "Oolong tea"], "the one that is out of stock is not offered"


@pytest.mark.parametrize("typed", ["", "  ", "zzz", "🍓", "\x00", "x" * 10_000, "title:("])
def test_what_nothing_begins_with_is_completed_by_nothing(suggester: Suggester, typed: str) -> None:
    assert suggester.suggest(typed, 9) == []


def shop_of(categories: list[str | None], brands: list[str | None], prices: list[float]) -> tuple[Any, dict[str, Any]]:
    frame = pl.DataFrame({"category": categories, "brand": brands}, schema={"category": pl.String, "brand": pl.String})
    shelves = {name: (frame[name].rank("dense").cast(pl.Int32) - 1).fill_null(-1).to_numpy() for name in frame.columns}
    return SimpleNamespace(catalog=SimpleNamespace(frame=frame), prices=np.array(prices)), shelves


def test_facets_count_the_items_that_fit() -> None:
    snapshot = shop_of(["tea"] * 6 + ["bread"] * 3 + [None], ["acme"] * 10, [1, 2, 3, 4, 5, 6, 7, 8, 9, np.nan])
    category, price = facets_of(*snapshot, NOT_REVIEWED, np.arange(10))
    assert category == Facet("category", (("tea", 6), ("bread", 3)))
    assert price == Facet("price", (("1-3", 2), ("3-5", 2), ("5-7", 2), ("7-9", 3)))
    assert facets_of(*snapshot, NOT_REVIEWED, np.arange(5)) == (), "one category, one brand and few prices narrow nothing"
    assert facets_of(*snapshot, NOT_REVIEWED, np.arange(0)) == ()
    praised = PraisedAspects({"price": np.array([1, 2, 9]), "quality": np.array([0, 1, 2, 3, 4, 7])})
    assert facets_of(*snapshot, praised, np.arange(5)) == (Facet("praised", (("price", 2),)),), "all five are praised for quality"
    assert facets_of(*snapshot, praised, np.arange(10))[-1] == Facet("praised", (("quality", 6), ("price", 3)))


def test_items_of_one_price_have_no_ranges_and_long_lists_of_names_are_cut() -> None:
    snapshot = shop_of(["tea"] * 20, [f"brand {row}" for row in range(20)], [2.5] * 20)
    (brand,) = facets_of(*snapshot, NOT_REVIEWED, np.arange(20))
    assert (brand.name, len(brand.values)) == ("brand", 10)
