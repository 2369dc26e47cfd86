"""Rules over a catalogue: which items each is about, what contradicts, and what does nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.errors import ConfigError
from ranking.blocklist import Blocklist
from ranking.merchandising.conflicts import check, notes
from ranking.merchandising.facts import Merchandising
from ranking.merchandising.place import Place
from ranking.merchandising.rules import MerchandisingRules

NOW = datetime(2026, 12, 5, 12, tzinfo=UTC)
CATALOG = Catalog.from_frame(
    pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d", "e"],
            "title": ["Tea", "Tea", "Mug", "Mug", "Jam"],
            "brand": ["Acme", "acme ", "Nord", None, "Nord"],
            "category": ["drinks|tea", "drinks|tea", "kitchen", "kitchen", "food"],
            "group_id": ["g", "g", None, None, None],
            "attributes": ["Seller: One; size: 3", "seller: two", "seller:one", None, "size: 3"],
            "margin": [1.0, 2.0, None, None, -1.0],
            "stock": [100.0, 0.0, None, 10.0, 7.0],
        }
    )
)
PRICES = np.array([4.0, 4.0, 10.0, np.nan, 3.0])


def facts(**rules: Any) -> Merchandising:
    return Merchandising(MerchandisingRules.model_validate(rules), CATALOG, PRICES, np.array([10.0, 10.0, 1.0, 1.0, 0.0]), CATALOG.stock)


@pytest.mark.parametrize(
    ("selection", "items"),
    [
        ({"items": ["c", "nobody"]}, "c"),
        ({"brands": ["ACME"]}, "ab"),
        ({"categories": ["tea"]}, "ab"),
        ({"categories": ["drinks", "food"]}, "abe"),
        ({"categories": ["nowhere"]}, ""),
        ({"groups": ["g"]}, "ab"),
        ({"attributes": ["seller: one"]}, "ac"),
        ({"attributes": ["SELLER:two", "size: 3"]}, "abe"),
        ({"min_margin": 1.5}, "b"),
        ({"max_margin": 0}, "e"),
        ({"max_stock": 7}, "be"),
        ({"min_stock": 8}, "ad"),
        ({"brands": ["acme"], "min_stock": 1}, "a"),
    ],
)
def test_what_a_rule_is_about(selection: dict[str, Any], items: str) -> None:
    mask = facts(boost=[{"name": "x", "factor": 2, **selection}]).masks["x"]
    assert "".join(CATALOG.ids[mask]) == items


@pytest.mark.parametrize(
    ("limit", "codes"),
    [
        ({"by": "brand"}, [0, 0, 1, -1, 1]),
        ({"by": "category"}, [0, 0, 2, 2, 1]),
        ({"by": "group"}, [0, 0, -1, -1, -1]),
        ({"by": "attribute:seller"}, [0, 1, 0, -1, -1]),
        ({"by": "brand", "value": "nord"}, [-1, -1, 0, -1, 0]),
        ({"by": "category", "value": "drinks"}, [0, 0, -1, -1, -1]),
        ({"by": "category", "value": "Tea"}, [0, 0, -1, -1, -1]),
    ],
)
def test_what_a_limit_counts(limit: dict[str, Any], codes: list[int]) -> None:
    found = facts(limit=[{"name": "x", "most": 1, **limit}]).codes["x"]
    same = [[codes[i] == codes[j] for i in range(5)] for j in range(5)]
    assert (found < 0).tolist() == [code < 0 for code in codes]
    assert [[bool(found[i] == found[j]) for i in range(5)] for j in range(5)] == same


def test_profit_counts_margins_and_a_share_where_they_are_unknown() -> None:
    value = facts(objective={"by": "expected_profit", "margin": 0.5}).value
    assert value is not None
    assert value.tolist() == [1.0, 2.0, 5.0, 1.5, -1.0], "an item without price has the median margin"


def test_stock_that_lasts_long_counts_for_more() -> None:
    value = facts(objective={"stock_pressure": 0.5, "cover_days": 140}).value
    assert value is not None
    # 100 pieces at 10 a month last 280 days, twice as long; 10 at 1 a month as well; 7 without a sale count as one a month: 196 days.
    assert value.tolist() == pytest.approx([1.5, 1.0, 1.0, 1.5, 1.2])
    assert facts().value is None


PIN = {"name": "p", "item": "a", "position": 1}
OTHER = {"name": "q", "item": "c", "position": 1}


@pytest.mark.parametrize(
    ("rules", "blocked", "said"),
    [
        ({"pin": [PIN, OTHER]}, {}, "pins 'p' and 'q' both take position 1 of every list at overlapping times: move one of them"),
        (
            {"pin": [PIN | {"where": {"pages": ["home"]}}, OTHER | {"where": {"rows": ["popular"]}}]},
            {},
            "pins 'p' and 'q' both take position 1 of home and popular",
        ),
        ({"pin": [PIN, OTHER | {"item": "a", "position": 2}]}, {}, "pins 'p' and 'q' put 'a' at positions 1 and 2"),
        ({"pin": [PIN]}, {"items": ("a",)}, "pin 'p' shows 'a', which rules.toml (items: 'a') bars: remove one of them"),
        ({"pin": [PIN]}, {"brands": ("Nord", "Acme")}, "which rules.toml (brands: 'Acme') bars"),
        ({"pin": [PIN]}, {"categories": ("drinks",)}, "which rules.toml (categories: 'drinks') bars"),
        ({"campaign": [{"name": "k", "brands": ["acme"]}]}, {"brands": ("acme",)}, "campaign 'k' has no item that may be shown"),
        (
            {"pin": [PIN, {"name": "q", "item": "b", "position": 2}], "limit": [{"name": "l", "by": "brand", "most": 1, "first": 5}]},
            {},
            "pins 'p' and 'q' put 2 of one brand where limit 'l' allows 1: remove one of them",
        ),
        (
            {"pin": [PIN], "limit": [{"name": "l", "by": "brand", "value": "acme", "most": 0}]},
            {},
            "pin 'p' puts 1 of one brand where limit 'l'",
        ),
        (
            {
                "boost": [{"name": "up", "factor": 2, "brands": ["acme"]}],
                "bury": [{"name": "down", "categories": ["tea"]}],
            },
            {},
            "boost 'up' and bury 'down' are about the same 2 items at overlapping times",
        ),
        (
            {"campaign": [{"name": "k", "brands": ["acme"], "at_least": 2}], "limit": [{"name": "l", "by": "brand", "most": 1}]},
            {},
            "campaign 'k' asks for 2 places where limit 'l' allows 1 of its items",
        ),
    ],
)
def test_contradictions_are_refused_in_one_line_that_names_both(rules: dict[str, Any], blocked: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        check(facts(**rules), Blocklist(**blocked))
    assert said in str(error.value)
    assert str(error.value).startswith("merchandising.toml: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rules", "blocked"),
    [
        ({"pin": [PIN | {"to": "2026-12-01"}, OTHER | {"from": "2026-12-02"}]}, {}),
        ({"pin": [PIN | {"where": {"pages": ["home"]}}, OTHER | {"where": {"pages": ["basket"]}}]}, {}),
        ({"pin": [PIN, OTHER | {"position": 2}]}, {"unavailable": True, "items": ("b",)}),
        ({"pin": [PIN, {"name": "q", "item": "b", "position": 6}], "limit": [{"name": "l", "by": "brand", "most": 1, "first": 5}]}, {}),
        ({"boost": [{"name": "up", "factor": 2, "brands": ["acme"]}], "bury": [{"name": "down", "items": ["a"]}]}, {}),
        ({"pin": [PIN | {"item": "gone"}]}, {}),
        ({"campaign": [{"name": "k", "brands": ["acme"]}]}, {"items": ("a",)}),
    ],
)
def test_rules_that_do_not_contradict(rules: dict[str, Any], blocked: dict[str, Any]) -> None:
    check(facts(**rules), Blocklist(**blocked))


def test_two_contradictions_are_counted() -> None:
    with pytest.raises(ConfigError, match=r"\(and 2 more\)"):
        check(facts(pin=[PIN, OTHER, {"name": "r", "item": "e", "position": 1}]), Blocklist())


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"pin": [PIN | {"item": "gone"}]}, "note: pin 'p' changes nothing: item 'gone' is not in the catalogue of 5 items"),
        (
            {"boost": [{"name": "b", "factor": 2, "brands": ["x"]}]},
            "note: 'b' changes nothing: no item of the catalogue meets its conditions",
        ),
        ({"limit": [{"name": "l", "by": "brand", "value": "x", "most": 1}]}, "no item of the catalogue has the brand 'x'"),
        ({"limit": [{"name": "l", "by": "attribute:colour", "most": 1}]}, "no item of the catalogue has the attribute:colour"),
        ({"limit": [{"name": "l", "by": "brand", "most": 1}]}, "note: limit 'l' leaves 3 items for the first 5 places: lists end there"),
        ({"pin": [PIN | {"to": "2026-12-01"}]}, "note: pin 'p' ended on 2026-12-02 00:00: it changes nothing any more"),
        ({"objective": {"by": "expected_profit"}}, "note: the margin of 2 of 5 items is unknown, and counts as the median of the others"),
    ],
)
def test_rules_that_do_nothing_are_said(rules: dict[str, Any], said: str) -> None:
    assert any(said in note for note in notes(facts(**rules), NOW))
    assert not notes(facts(pin=[PIN]), NOW)


def test_the_rules_of_a_place_and_a_moment() -> None:
    merchandising = facts(
        pin=[PIN | {"where": {"pages": ["home"]}, "days": ["sat"]}],
        limit=[{"name": "l", "by": "brand", "most": 1, "where": {"pages": ["search"]}}],
        campaign=[{"name": "k", "brands": ["acme"]}],
    )
    home = merchandising.at(Place("home", "popular"), NOW)
    assert (home.pins, len(home.limits), len(home.campaigns)) == ({1: (0, "p")}, 0, 1)
    assert home.wanted.tolist() == [0, 1]
    sunday = merchandising.at(Place("search"), datetime(2026, 12, 6, 12, tzinfo=UTC))
    assert (sunday.pins, len(sunday.limits)) == ({}, 1)
    assert not facts(pin=[PIN | {"days": ["sun"]}]).at(Place(), NOW)
