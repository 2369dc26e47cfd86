"""The file of offers: both forms say the same, and what is wrong is one line."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from features.data.catalog import Catalog
from features.errors import DataError
from recsys.apps.campaigns.planning.offers import Offer, read_offers

CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": ["i1", "i2"], "title": "x", "category": ["Drinks|Tea", "Bread"]}))
TOML = """
[[offer]]
name = "10% off"
category = "Tea"
cost = 0.1
discount = 1
margin = 4

[[offer]]
name = "mug"
item_id = "i2"
margin = 2.5
"""
CSV = "name,item_id,category,cost,discount,margin\n10% off,,Tea,0.1,1,4\nmug,i2,,,,2.5\n"


@pytest.mark.parametrize(("name", "text"), [("o.toml", TOML), ("o.csv", CSV), ("bom.csv", "\ufeff" + CSV)])
def test_both_forms_give_the_same_offers(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_offers(path, CATALOG) == [Offer("10% off", None, "Tea", 0.1, 1.0, 4.0), Offer("mug", "i2", None, 0.0, 0.0, 2.5)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("o.toml", "", "has no offers"),
        ("o.toml", "", "write a table [[offer]]"),
        ("o.csv", "name,margin\n", "has no offers"),
        ("o.csv", "", "write a row with name, margin and cost"),
        ("o.csv", "name;margin;cost\na;1,50;0,10\n", "the columns are 'name;margin;cost', expected commas between them"),
        ("o.csv", "name\tmargin\na\t1\n", "expected commas between them"),
        ("o.csv", "name,margin,cost\na,1,50,0,10\n", "offer 1 has more values than columns ('0, 10' is left over)"),
        ("o.toml", '[[offer]]\nname = "a"\nmargin = true', "margin is True, expected an amount"),
        ("o.toml", "[[offer]]\nmargin = 1", "offer 1 has no name"),
        ("o.toml", '[[offer]]\nname = "a"', "has no margin"),
        ("o.toml", '[[offer]]\nname = "a"\nmargin = 1\ncost = -0.5', "cost is -0.5, expected 0 or more"),
        ("o.csv", "name,margin,discount\na,1,-2\n", "discount is -2, expected 0 or more"),
        ("o.csv", "name,margin\na,free\n", "margin is 'free', expected an amount"),
        ("o.csv", "name,margin\na,nan\n", "margin is 'nan', expected an amount"),
        ("o.csv", "name,margin,item_id\na,1,i9\n", "item 'i9' is not in the catalogue"),
        ("o.csv", "name,margin,category\na,1,Coffe\n", "no item is in category 'Coffe'"),
        ("o.csv", "name,margin,item_id,category\na,1,i1,Tea\n", "for an item and for a category at once"),
        ("o.csv", "name,margin\na,1\na,2\n", "2 offers of the name 'a'"),
        ("o.csv", "name,margn\na,1\n", "unknown key 'margn'"),
        ("o.toml", "[offers]\nname = 1", "expected tables [[offer]]"),
        ("o.toml", 'offer = "a"', "is not a list of tables"),
        ("o.toml", "[[offer", "cannot be read"),
        ("o.json", "{}", "expected a file that ends in .toml or .csv"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, name: str, text: str, expected: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_offers(path, CATALOG)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml"):
        read_offers(tmp_path / "none.toml", CATALOG)
