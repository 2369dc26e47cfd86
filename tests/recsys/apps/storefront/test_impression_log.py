"""The log of impressions: off-policy evaluation recovers what a simulated shop would have earned, and places are told from items."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from features.errors import DataError
from recsys.apps.storefront.exploration import explore, place_probabilities
from recsys.apps.storefront.impression_log import click_rates, off_policy_log
from recsys.workspace.impressions import ImpressionStore
from recsys.workspace.served_pages import Action, ArmExposure, Impression, ServedPage, ShownItem
from recsys.workspace.workspace import Workspace

NOW = 1_780_000_000
TASTES = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 0.15, 0.6, 0.25, 0.4, 0.35])
SEEN = 1 / np.arange(1, 7) ** 0.7
SHARE, VISITS = 0.5, 6000


def visit(number: int, items: np.ndarray, propensities: np.ndarray, clicks: np.ndarray) -> tuple[ServedPage, list[Action]]:
    """One page with one row, and the clicks on it."""
    shown = tuple(ShownItem(f"item-{item}", float(p)) for item, p in zip(items, propensities, strict=True))
    page = ServedPage(f"p{number}", "home", NOW + number, (Impression(f"i{number}", "for_you", shown),), f"u{number}")
    return page, [Action(f"i{number}", shown[place].item_id, "click") for place in np.flatnonzero(clicks)]


def stored(folder: Path, visits: list[tuple[ServedPage, list[Action]]]) -> ImpressionStore:
    store = Workspace(folder).impressions
    store.add_served([page for page, _ in visits])
    store.add_actions([action for _, actions in visits for action in actions], NOW + len(visits))
    return store


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the log of a row that explores: ten items in the order of their numbers, six of them shown."""
    rng = np.random.default_rng(1)
    visits = []
    for number in range(VISITS):
        found = explore(len(TASTES), len(SEEN), SHARE, f"i{number}", kept=0)
        visits.append(visit(number, found.order, found.propensity, rng.random(len(SEEN)) < TASTES[found.order] * SEEN))
    folder = tmp_path_factory.mktemp("shop")
    stored(folder, visits)
    return folder


def test_the_estimate_recovers_what_another_order_would_have_earned(logged: Path, tmp_path: Path, command: Any) -> None:
    said = command("impressions", "export", "--out", "log.csv", workspace=logged)
    assert said.code == 0, said.err
    assert said.out.startswith(f"{6 * VISITS:,} places of {VISITS:,} impressions in log.csv")
    order = np.array([6, 4, 8, 9, 3, 7])
    target = pl.DataFrame({"impression_id": [f"i{i}" for i in range(VISITS)]}).join(
        pl.DataFrame({"position": range(1, 7), "item_id": [f"item-{item}" for item in order], "probability": 1.0}), how="cross"
    )
    target.write_csv("target.csv")
    said = command("off-policy", "log.csv", "--target", "target.csv", "--json")
    assert said.code == 0, said.err
    truth = float((TASTES[order] * SEEN).sum())
    usual = float((place_probabilities(len(TASTES), len(SEEN), SHARE, 0) * TASTES).sum(axis=1) @ SEEN)
    assert abs(truth - usual) > 0.15, "the two policies differ"
    for name in ("ips", "snips", "dr"):
        estimate = json.loads(said.out)["estimates"][name]
        assert abs(estimate["value"] - truth) < 2 * (estimate["high"] - estimate["low"]) / 2
        assert abs(estimate["value"] - truth) < 0.1 < abs(truth - usual)


def test_rates_are_those_of_the_items_and_not_of_their_places(logged: Path, command: Any) -> None:
    frame, found = click_rates(Workspace(logged).impressions)
    assert np.abs(found.propensity[1:6] - SEEN[1:6]).max() < 0.12
    rates = {int(item.removeprefix("item-")): rate for item, rate in frame.select("item_id", "debiased_click_rate").iter_rows()}
    raw = {int(item.removeprefix("item-")): rate for item, rate in frame.select("item_id", "click_rate").iter_rows()}
    error = {name: np.mean([abs(rate - TASTES[item]) for item, rate in some.items()]) for name, some in (("rate", rates), ("raw", raw))}
    assert error["rate"] < 0.06
    assert error["rate"] < error["raw"] / 2
    said = command("impressions", "rates", "--out", "rates.parquet", workspace=logged)
    assert said.out.startswith("10 items in rates.parquet; looked at by place, against the first: 1.00, ")
    assert_frame_equal(pl.read_parquet("rates.parquet"), frame)


def test_rewards_are_of_one_kind_and_of_a_time(tmp_path: Path) -> None:
    page, clicks = visit(0, np.arange(3), np.ones(3), np.array([1, 0, 1]))
    later, _ = visit(100, np.arange(2), np.ones(2), np.zeros(2))
    store = stored(tmp_path, [(page, clicks), (later, [])])
    store.add_actions([Action("i0", "item-1", "purchase", value=4.5), Action("i0", "item-1", "purchase", value=2.0, action_id="x")], NOW)
    assert off_policy_log(store)["reward"].to_list() == [1, 0, 1, 0, 0]
    assert off_policy_log(store, "purchase")["reward"].to_list() == [0, 1, 0, 0, 0]
    assert off_policy_log(store, "revenue")["reward"].to_list() == [0, 6.5, 0, 0, 0]
    assert off_policy_log(store, since=NOW + 50)["impression_id"].to_list() == ["i100", "i100"]
    assert off_policy_log(store)["context"].unique().to_list() == ["home|for_you"]


def test_without_impressions_it_says_so(tmp_path: Path, command: Any) -> None:
    with pytest.raises(DataError, match="nothing was shown yet"):
        off_policy_log(Workspace(tmp_path).impressions)
    for verb in ("export", "rates"):
        said = command("impressions", verb, "--out", "log.csv", workspace=tmp_path)
        assert said.code == 1
        assert "nothing was shown yet" in said.err


def test_a_log_without_chance_says_that_it_says_nothing_of_others(tmp_path: Path, command: Any) -> None:
    stored(tmp_path, [visit(0, np.arange(3), np.ones(3), np.zeros(3))])
    assert "every propensity is 1" in command("impressions", "export", "--out", "log.csv", workspace=tmp_path).err
    assert "the shares by place are assumed" in command("impressions", "rates", "--out", "rates.csv", workspace=tmp_path).err


def test_a_log_is_of_one_arm_or_says_that_it_mixes_them(tmp_path: Path, command: Any) -> None:
    store = Workspace(tmp_path).impressions
    for number, (arm, propensity) in enumerate((("a", 1.0), ("b", 0.5), ("b", 0.5))):
        page, _ = visit(number, np.arange(3), np.full(3, propensity), np.zeros(3))
        store.add_served([replace(page, exposures=(ArmExposure("draw", arm),))])
    said = command("impressions", "export", "--out", "all.csv", workspace=tmp_path)
    assert "note: the log mixes pages of 2 arms of experiments" in said.err
    assert "choose one, as --experiment draw --arm a" in said.err
    said = command("impressions", "export", "--out", "b.csv", "--experiment", "draw", "--arm", "b", workspace=tmp_path)
    assert said.out.startswith("6 places of 2 impressions in b.csv")
    assert "mixes" not in said.err
    assert pl.read_csv("b.csv")["propensity"].unique().to_list() == [0.5]
    said = command("impressions", "export", "--out", "c.csv", "--experiment", "draw", "--arm", "c", workspace=tmp_path)
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "no page was in arm 'c' of experiment 'draw': known are a of draw, b of draw" in said.err
    said = command("impressions", "export", "--out", "c.csv", "--arm", "b", workspace=tmp_path)
    assert said.code != 0
    assert "--experiment and --arm go together" in said.err


def test_a_reward_that_nobody_can_have_is_refused(tmp_path: Path, command: Any) -> None:
    page, clicks = visit(0, np.arange(3), np.full(3, 0.5), np.array([1, 0, 0]))
    store = stored(tmp_path, [(page, clicks)])
    store.add_actions([Action("i0", "item-1", "wish")], NOW)
    said = command("impressions", "export", "--out", "x.csv", "--reward", "purchse", workspace=tmp_path)
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "nobody did 'purchse' with what was shown, did you mean 'purchase'?: known are cart, click, purchase, revenue, wish" in said.err
    assert not Path("x.csv").exists()
    assert "rewards 1" in command("impressions", "export", "--out", "x.csv", "--reward", "wish", workspace=tmp_path).out
    said = command("impressions", "export", "--out", "x.csv", "--reward", "revenue", workspace=tmp_path)
    assert "note: every reward is 0: nothing shown here has a revenue; stored actions are click, wish" in said.err


def test_a_time_after_the_last_page_says_when_that_was(tmp_path: Path, command: Any) -> None:
    stored(tmp_path, [visit(0, np.arange(3), np.ones(3), np.zeros(3))])
    for verb in ("export", "rates"):
        said = command("impressions", verb, "--out", "x.csv", "--since", "2999-01-01", workspace=tmp_path)
        assert said.code == 1
        assert "nothing was shown since then: the latest page is of 2026-05-28" in said.err
