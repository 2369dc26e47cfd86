"""Perturbed catalogues: what changes, what stays, and that they are alike for alike texts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from eval.robustness.perturbations import (
    DESCRIPTION_LEFT,
    PERTURBATIONS,
    misspell_titles,
    perturbations,
    rename_brands,
    reorder_parts,
)
from features.data.catalog import Catalog

ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d", "e"],
        "title": ["Kitchen Aid mixer red", "KITCHEN towel", "Mountain tea by Kitchen", "Mountain tea by Kitchen", "Kitchenette"],
        "brand": ["Kitchen Aid", "Kitchen", "Kitchen", "Kitchen", None],
        "category": ["home|mixers|hand mixers", "home|towels", "food|drinks|tea", "food|drinks|tea", None],
        "description": ["A mixer that has " + "many good words " * 10, None, "short", "short", ""],
        "attributes": ["colour: red; watts: 500", None, None, None, "colour: blue"],
    }
)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_a_brand_has_one_new_name_in_its_column_and_in_titles():
    changed = rename_brands(ITEMS, rng())
    aid, kitchen = changed["brand"][0], changed["brand"][1]
    assert aid != kitchen
    assert {aid, kitchen}.isdisjoint({"Kitchen Aid", "Kitchen"})
    assert changed["brand"].to_list() == [aid, kitchen, kitchen, kitchen, None]
    assert changed["title"].to_list() == [
        f"{aid} mixer red",
        f"{kitchen} towel",
        f"Mountain tea by {kitchen}",
        f"Mountain tea by {kitchen}",
        "Kitchenette",
    ]


def test_no_two_of_many_brands_get_one_name():
    frame = pl.DataFrame({"title": [f"thing {i}" for i in range(3000)], "brand": [f"brand {i}" for i in range(3000)]})
    assert rename_brands(frame, rng())["brand"].n_unique() == 3000


def test_a_catalogue_without_brands_keeps_its_titles():
    frame = ITEMS.with_columns(brand=pl.lit(None, pl.String))
    assert rename_brands(frame, rng()).equals(frame)


def test_typos_change_one_letter_of_some_long_words_and_the_same_title_alike():
    frame = pl.DataFrame({"title": ["strong mountain coffee 500g of tea"] * 2 + [f"word{'x' * i} plain" for i in range(200)]})
    changed = misspell_titles(frame, rng())["title"].to_list()
    assert changed[0] == changed[1]
    for before, after in zip(frame["title"].to_list(), changed, strict=True):
        for word, typed in zip(before.split(), after.split(), strict=True):
            assert abs(len(word) - len(typed)) <= 1
            assert word == typed or len(word) >= 4
            assert word[0] == typed[0]
    share = np.mean([before != after for before, after in zip(frame["title"].to_list(), changed, strict=True)])
    assert 0.2 < share < 0.7


def test_parts_keep_their_values_in_another_order():
    long = pl.DataFrame({"category": [f"a{i}|b{i}|c{i}|d{i}" for i in range(20)], "attributes": [f"x: {i}; y: 1; z: 2" for i in range(20)]})
    changed = reorder_parts(long, rng())
    for column, separator in (("category", "|"), ("attributes", "; ")):
        pairs = list(zip(long[column].to_list(), changed[column].to_list(), strict=True))
        assert all(sorted(before.split(separator)) == sorted(after.split(separator)) for before, after in pairs)
        assert any(before != after for before, after in pairs)


@pytest.mark.parametrize("seed", [0, 3])
def test_all_of_them_keep_the_items_say_what_changed_and_can_be_repeated(seed):
    catalog = Catalog.from_frame(ITEMS)
    first, again = perturbations(catalog, seed), perturbations(catalog, seed)
    assert [one.name for one in first] == list(PERTURBATIONS)
    for one, other in zip(first, again, strict=True):
        assert one.catalog.frame.equals(other.catalog.frame)
        assert one.catalog.ids.tolist() == catalog.ids.tolist()
        rows = one.catalog.frame
        assert rows["title"][2] == rows["title"][3]
    by_name = {one.name: one for one in first}
    assert by_name["brands renamed"].changed == 0.8
    assert by_name["descriptions cut"].changed == 0.2
    assert by_name["descriptions cut"].catalog.frame["description"].str.len_chars().max() == DESCRIPTION_LEFT


def test_a_catalogue_of_titles_alone_is_only_misspelt():
    catalog = Catalog.from_frame(
        pl.DataFrame({"item_id": [str(i) for i in range(50)], "title": [f"mountain coffee {i}" for i in range(50)]})
    )
    assert [one.name for one in perturbations(catalog) if one.changed] == ["typos in titles"]
