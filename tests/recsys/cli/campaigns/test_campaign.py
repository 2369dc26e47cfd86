"""`recsys campaign`: from offers to a plan, and from the ingested plan to what it brought."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from tests.recsys.apps.campaigns.made_up import made_shop

if TYPE_CHECKING:
    from tests.recsys.calls import Command

OFFERS = '[[offer]]\nname = "10% off"\ncost = 0.1\ndiscount = 0.5\nmargin = 5\n'


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with catalogue, log and offers."""
    shop = made_shop(150)
    log = shop.log
    rows = {
        "user_id": log.user_ids[log.user].astype(str),
        "item_id": shop.catalog.ids[log.item].astype(str),
        "timestamp": (log.time * 1_000_000).astype("datetime64[us]"),
        "value": np.nan_to_num(log.value if log.value is not None else log.price),
    }
    shop.catalog.frame.select("item_id", "title", "category").write_csv(tmp_path / "items.csv")
    pl.DataFrame(rows).write_csv(tmp_path / "log.csv")
    (tmp_path / "offers.toml").write_text(OFFERS, encoding="utf-8")
    return tmp_path


def test_from_a_plan_to_its_read_out(command: Command, files: Path) -> None:
    place = files / "workspace"
    tables = ("ingest", "--items", files / "items.csv", "--interactions", files / "log.csv")
    assert command(*tables, workspace=place).code == 0
    plan = ("campaign", "plan", "--offers", files / "offers.toml", "--budget", "40", "--holdout", "0.3", "--campaign", "spring")
    said = command(*plan, "--send-at", "2025-07-01", "--out", files / "plan.csv", workspace=place)
    assert said.code == 0, said.err
    assert "by response" in said.out
    assert "no campaign was sent before" in said.out
    kept = pl.read_csv(files / "plan.csv")
    assert kept["holdout"].sum() > 0
    assert command(*tables, "--campaigns", files / "plan.csv", workspace=place).code == 0
    found = command("campaign", "evaluate", "--campaign", "spring", "--holdout", "0.3", "--json", workspace=place)
    content = json.loads(found.out)
    assert (content["sent"], content["held"]) == (kept.height - kept["holdout"].sum(), kept["holdout"].sum())
    assert content["effects"]["spend"]["low"] < content["effects"]["spend"]["high"]
    again = command(*plan, "--json", workspace=place)
    assert "the campaign 'spring' is there already" in again.error


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--budget", "0"), "the budget is 0, expected more than 0"),
        (("--budget", "9", "--holdout", "1"), "everybody would be in the holdout"),
        (("--budget", "9", "--offers", "none.toml"), "none.toml"),
    ],
)
def test_what_is_wrong_is_one_line(command: Command, files: Path, words: tuple[str, ...], expected: str) -> None:
    place = files / "workspace"
    command("ingest", "--items", files / "items.csv", "--interactions", files / "log.csv", workspace=place)
    said = command("campaign", "plan", "--offers", files / "offers.toml", *words, workspace=place)
    assert expected in said.error


def test_evaluate_without_campaigns_says_what_to_do(command: Command, files: Path) -> None:
    place = files / "workspace"
    command("ingest", "--items", files / "items.csv", "--interactions", files / "log.csv", workspace=place)
    for words in (("campaign", "evaluate", "--campaign", "spring"), ("evaluate", "campaigns")):
        said = command(*words, workspace=place)
        assert "the shop has no campaigns" in said.error
        assert "recsys ingest --campaigns FILE" in said.error
