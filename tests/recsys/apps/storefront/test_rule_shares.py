"""The share of places that rules have taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from recsys.apps.storefront.rule_shares import rule_shares
from recsys.workspace.served_pages import Impression, ServedPage, ShownItem
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = pl.DataFrame(
    {
        "rule": ["pin", None, None, "boost", "pin", None, None, None],
        "row": ["popular"] * 4 + ["for_you"] * 3 + [None],
        "position": [1, 2, 3, 4, 1, 2, 3, 1],
    }
)


def test_shares_are_of_the_places_of_a_row() -> None:
    found = rule_shares(SHOWN)
    assert found.select("rule", "row", "places").rows() == [("pin", "for_you", 1), ("boost", "popular", 1), ("pin", "popular", 1)]
    assert found["share"].to_list() == pytest.approx([1 / 3, 1 / 4, 1 / 4])
    assert found["share_top"].to_list() == pytest.approx([1 / 3, 0, 1 / 3])
    assert found["mean_position"].to_list() == [1, 4, 1]


def test_rules_in_force_that_took_no_place_are_said() -> None:
    found = rule_shares(SHOWN, {"pin": "pin", "weeks": "campaign"})
    assert found.filter(rule="weeks").select("row", "places", "share").rows() == [(None, 0, 0.0)]
    assert len(found.filter(rule="pin")) == 2


def test_no_impressions_give_no_shares() -> None:
    assert rule_shares(SHOWN.clear()).is_empty()
    assert rule_shares(SHOWN.clear(), {"weeks": "campaign"})["rule"].to_list() == ["weeks"]


def test_a_list_without_a_row_counts_by_itself() -> None:
    found = rule_shares(pl.DataFrame({"rule": ["a", None], "row": pl.Series([None, None], dtype=pl.String), "position": [1, 2]}))
    assert found.select("rule", "row", "share").rows() == [("a", None, 0.5)]


def test_the_command_reads_the_impressions_of_the_service(tmp_path: Path, command: Any) -> None:
    said = command("rules", "share", workspace=tmp_path)
    assert said.code == 1
    assert "nothing was shown yet" in said.err
    items = (ShownItem("a", rule="now"), ShownItem("b"), ShownItem("c"), ShownItem("d"))
    page = ServedPage("p", "home", 1_780_000_000, (Impression("i", "popular", items),))
    Workspace(tmp_path).impressions.add_served([page])
    (tmp_path / "merchandising.toml").write_text('[[pin]]\nname = "later"\nitem = "x"\nposition = 1\n', encoding="utf-8")
    found = json.loads(command("rules", "share", "--json", workspace=tmp_path).out)
    assert found["places"] == 4
    assert [(one["rule"], one["share"], one["share_top"]) for one in found["rules"]] == [
        ("now", 0.25, pytest.approx(1 / 3)),
        ("later", 0, 0),
    ]
    said = command("rules", "share", workspace=tmp_path).out
    assert "4 places were shown" in said
    assert "later" in said
    assert "nothing was shown yet" in command("rules", "share", "--since", "2100-01-01", workspace=tmp_path).err
