"""The blocklist: what its rules exclude, the warning for names that match nothing, and that a broken file stops all answers."""

import logging

import polars as pl
import pytest

from features.data.catalog import Catalog
from features.errors import ConfigError
from ranking.blocklist import Blocklist


@pytest.fixture
def catalog():
    rows = [
        ("a", "Grocery|Tea", "Acme", True),
        ("b", "Tobacco|Cigarettes", "Nord", True),
        ("c", "Tobacco|Pipes", " acme", True),
        ("d", None, None, False),
    ]
    frame = pl.DataFrame(rows, schema=["item_id", "category", "brand", "available"], orient="row")
    return Catalog.from_frame(frame.with_columns(title=pl.col("item_id")))


def shown(catalog, **rules):
    return "".join(catalog.ids[Blocklist(**rules).allowed(catalog)])


def test_each_rule_blocks_what_it_names(catalog):
    assert shown(catalog) == "abcd"
    assert shown(catalog, categories=("tobacco",)) == "ad"
    assert shown(catalog, categories=("Pipes",)) == "abd"
    assert shown(catalog, brands=("ACME",)) == "bd"
    assert shown(catalog, items=("d", "a")) == "bc"
    assert shown(catalog, unavailable=True) == "abc"
    assert shown(catalog, categories=("Tobacco",), items=("a",), unavailable=True) == ""


def test_a_name_without_items_is_logged_and_the_other_rules_hold(catalog, caplog):
    with caplog.at_level(logging.WARNING):
        assert shown(catalog, categories=("Tobaco", "Tea"), brands=("Nobody",), items=("x",)) == "bcd"
    assert "'Tobaco'; did you mean 'Tobacco'" in caplog.text
    assert "no item is of brand 'Nobody'" in caplog.text
    assert "item 'x' is not in the catalogue" in caplog.text


def test_no_file_blocks_nothing(tmp_path):
    assert Blocklist.read(tmp_path / "rules.toml") == Blocklist()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('category = ["x"]', "its keys are categories, brands, items, unavailable"),
        ("categories = 3", "categories"),
        ("categories = [", "not readable as TOML"),
        ('unavailable = "perhaps"', "unavailable"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, text, said):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Blocklist.read(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
