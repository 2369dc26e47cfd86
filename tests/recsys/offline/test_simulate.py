"""`recsys simulate` on the tiny shop: arms see only the past, refresh on schedule and resume after an interruption."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from eval.simulation.report import Simulation
from features.data.histories import Histories
from features.errors import ConfigError, DataError, ModelError
from recsys.artifacts.bundle import Bundle, list_bundles
from recsys.artifacts.model import Model
from recsys.offline import ab_runner, simulate
from recsys.offline.ab_arm import AbArm
from recsys.offline.ab_runner import AbRunner
from recsys.offline.options import SimulateOptions
from recsys.settings.presets import FULL
from recsys.training import find_or_train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recsys.calls import Command
    from tests.recsys.conftest import Place

START = datetime(2024, 6, 10)
OPTIONS = SimulateOptions("popular", "personal_frequency", START, 6)


def settings_of(place: Place, **arm: Any) -> Any:
    return place.settings.model_copy(update={"arm": place.settings.arm.model_copy(update=arm)})


def shop_of(place: Place) -> AbRunner:
    catalog, log = place.workspace.load()
    return AbRunner(place.workspace, catalog, log, int(START.timestamp()))


@pytest.fixture
def settled(spare: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A shop whose model counts as trained until the first day, because training is not tested here."""
    model = Model.from_files(next(iter(_bundles(spare))).files)
    monkeypatch.setattr(ab_runner, "model_until", lambda *_: model)
    return spare


def _bundles(place: Place) -> Any:
    return (Bundle.open(place.workspace.models, name) for name in list_bundles(place.workspace.models))


def test_the_better_arm_is_found_and_reported(spare: Place) -> None:
    found = simulate.simulate(spare.workspace, spare.settings, OPTIONS)
    row = found.row("all", "ndcg@10")
    assert row.paired.sign == 1  # staples are bought again
    assert row.paired.low is not None
    assert row.paired.low > 0
    assert (found.days, found.users) == (6, found.split.users_a + found.split.users_b)
    assert found.daily[0].day == "2024-06-10"
    assert found.same_arms is not None
    assert sum(day.visits for day in found.daily) == found.visits
    path = spare.workspace.reports / "simulation-popular-personal_frequency.json"
    assert Simulation.model_validate_json(path.read_text()) == found
    page = path.with_suffix(".html").read_text()
    assert page.count("<svg") >= 2
    assert "b is better" in page
    assert not re.search(r"<(script|link|img|iframe)|(src|href)=\"(?!#)http", page)  # nothing is loaded from elsewhere


def test_the_same_arm_twice_shows_the_same(spare: Place) -> None:
    found = simulate.simulate(spare.workspace, spare.settings, SimulateOptions("popular", "popular", START, 6))
    assert found.alike == 1
    assert found.row("all", "ndcg@10").paired.difference == 0


def shuffled_after(log: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """Users buy other items from a moment on; the days of their visits stay, so that the same users get lists."""
    past, future = log.filter(pl.col("timestamp") < moment), log.filter(pl.col("timestamp") >= moment)
    return pl.concat([past, future.with_columns(pl.col("item_id").shuffle(seed=1), value=pl.col("value") * 7)])


def test_cached_lists_depend_on_the_tables(spare: Place) -> None:
    replay, arm = simulate.Replay(shop_of(spare), 6, None), simulate.arm_of("popular", "--a", spare.settings)
    before = replay.key(arm)
    shuffled_after(pl.read_csv(spare.log, try_parse_dates=True), START).write_csv(spare.log)
    spare.ingest()  # a refresh while it simulates
    assert replay.key(arm) == before
    assert simulate.Replay(shop_of(spare), 6, None).key(arm) != before


@pytest.mark.parametrize("history", ["refresh", "live"])
@pytest.mark.parametrize("system", ["recent_popular", "item_knn", "ours"])
def test_no_list_depends_on_later_events(settled: Place, system: str, history: str) -> None:
    arm = AbArm("arm", settings_of(settled, system=system, history=history, refresh_days=2))
    day = 3
    first = shop_of(settled)
    users = np.arange(30)
    before = first.lists(arm, day, users)
    limit = day if history == "live" else arm.refreshed(day)
    log = settled.folder / "interactions.csv"
    frame = pl.read_csv(log, try_parse_dates=True)
    shuffled_after(frame, START + timedelta(days=limit)).write_csv(log)
    settled.ingest()
    other = shop_of(settled)
    assert not np.array_equal(first.log.item, other.log.item)
    assert np.array_equal(before, other.lists(arm, day, users))
    # What lies before does show, or nothing was tested.
    shuffled_after(frame, START - timedelta(days=20)).write_csv(log)
    settled.ingest()
    assert not np.array_equal(before, shop_of(settled).lists(arm, day, users))


def test_arms_refresh_on_schedule(settled: Place) -> None:
    shop, users = shop_of(settled), np.arange(40)
    daily, weekly = (AbArm("x", settings_of(settled, system="recent_popular", refresh_days=days)) for days in (1, 7))
    assert np.array_equal(shop.lists(weekly, 5, users), shop.lists(weekly, 0, users))
    assert not np.array_equal(shop.lists(daily, 5, users), shop.lists(daily, 0, users))
    assert np.array_equal(shop.lists(daily, 7, users), shop.lists(weekly, 7, users))
    assert [AbArm("x", settings_of(settled, refresh_days=2, retrain_days=4)).trained(day) for day in range(8)] == [0, 0, 0, 0, 4, 4, 4, 4]


def test_events_have_the_weights_of_the_arm(settled: Place) -> None:
    shop, users = shop_of(settled), np.arange(40)
    usual = AbArm("x", settings_of(settled, system="personal_frequency"))
    looked = usual.settings.events.model_copy(update={"view": 50.0})
    other = AbArm("x", usual.settings.model_copy(update={"events": looked}))
    assert np.array_equal(shop.weighted(usual).weight, shop.log.weight)
    assert not np.array_equal(shop.lists(usual, 0, users), shop.lists(other, 0, users))
    assert usual.facts != other.facts


def test_items_are_shown_once_they_have_been_created_or_seen(settled: Place) -> None:
    shop = shop_of(settled)
    seen = np.unique(shop.log.item[shop.log.time < shop.at(2)])
    assert np.array_equal(np.flatnonzero(shop.known(2)), seen)


def test_ours_gives_new_users_popular_items(settled: Place) -> None:
    shop = shop_of(settled)
    arm = AbArm("ours", settings_of(settled))
    rows = shop.lists(arm, 0, np.array([0, 1]))
    assert (rows[:, 0] >= 0).all()
    stranger = shop._ours(arm, 0, 0)
    found = stranger(Histories.of_users(shop.log, np.array([-1, 0]), shop.at(0)), shop.known(0))
    assert (found[0] >= 0).all()
    assert np.array_equal(found[1], rows[0])


def test_without_the_cross_encoder_the_gbdt_sets_the_order(settled: Place) -> None:
    shop, users = shop_of(settled), np.arange(30)
    with_it, without = (shop.lists(AbArm("x", settings_of(settled, cross_encoder=reads)), 0, users) for reads in (True, False))
    recommender = shop._recommender(AbArm("x", settings_of(settled)), 0, 0)
    idle = recommender.model.ranking is not None and recommender.model.ranking.residual.idle
    assert np.array_equal(with_it, without) == idle


def test_an_interrupted_run_resumes(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[tuple[str, int]] = []
    original = AbRunner.lists

    def noted(shop: AbRunner, arm: AbArm, day: int, users: np.ndarray) -> np.ndarray:
        requests.append((arm.name, day))
        if len(requests) == 6:
            raise KeyboardInterrupt
        return original(shop, arm, day, users)

    monkeypatch.setattr(AbRunner, "lists", noted)
    with pytest.raises(KeyboardInterrupt):
        simulate.simulate(spare.workspace, spare.settings, OPTIONS)
    done, cut_off = requests[:5], requests[5]
    requests.clear()
    requests += [("", 0)] * 10  # past the interruption
    whole = simulate.simulate(spare.workspace, spare.settings, OPTIONS)
    again = requests[10:]
    assert not set(done) & set(again)
    assert again[0] == cut_off
    assert len(done) + len(again) == 12
    shutil.rmtree(spare.workspace.root / "simulations")
    assert simulate.simulate(spare.workspace, spare.settings, OPTIONS) == whole


def test_lists_of_other_facts_are_not_reused(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate.simulate(spare.workspace, spare.settings, OPTIONS)
    monkeypatch.setattr(AbRunner, "lists", lambda *_: pytest.fail("computed again"))
    simulate.simulate(spare.workspace, spare.settings, OPTIONS)
    with pytest.raises(pytest.fail.Exception):
        simulate.simulate(spare.workspace, settings_of(spare, refresh_days=3), OPTIONS)


def test_a_model_that_has_seen_the_days_is_not_used(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    original = find_or_train.train_model
    monkeypatch.setattr(find_or_train, "train_model", lambda shop, *rest: trained.append(shop.log.end) or original(shop, *rest))
    options = SimulateOptions("popular", "ours", START, 6)
    found = simulate.simulate(spare.workspace, spare.settings, options)
    (end,) = trained
    assert end <= int(START.timestamp()) + 24 * 3600
    assert found.b.models == {"2024-06-10": "trained until 2024-06-10T00:00"}
    simulate.simulate(spare.workspace, spare.settings, options)
    assert len(trained) == 1


def test_a_model_of_the_first_day_but_of_other_settings_is_not_used(
    spare: Place, model_of: Callable[[Place, int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    model_of(spare, int(START.replace(tzinfo=UTC).timestamp()), 0)
    wanted: list[int] = []

    def noted(shop: Any, *_: object) -> None:
        wanted.append(shop.settings.tower.dim)
        raise InterruptedError

    monkeypatch.setattr(find_or_train, "train_model", noted)
    other = spare.settings.model_copy(update={"tower": spare.settings.tower.model_copy(update={"dim": 32})})
    with pytest.raises(InterruptedError):
        simulate.simulate(spare.workspace, other, SimulateOptions("popular", "ours", START, 6))
    assert wanted == [32]
    simulate.simulate(spare.workspace, spare.settings, SimulateOptions("popular", "ours", START, 6))
    assert wanted == [32], "the one that is there is of these settings"


def test_the_arms_models_have_the_given_preset_and_seed(
    spare: Place, model_of: Callable[[Place, int, int], None], monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    model_of(spare, int(START.replace(tzinfo=UTC).timestamp()), 3)
    requested: list[tuple[int, int]] = []

    def noted(job: Any, *_: object) -> None:
        requested.append((job.settings.train.patience, job.seed))
        raise ModelError("stop here")

    monkeypatch.setattr(find_or_train, "train_model", noted)
    words = ("simulate", "--a", "popular", "--b", "ours", "--from", "2024-06-10", "--days", 6, "--seed", 3)
    assert command(*words, workspace=spare.workspace.root).code == 0, "the model of seed 3 is in the workspace"
    said = command(*words, "--preset", "full", workspace=spare.workspace.root)
    assert (said.code, "stop here" in said.error) == (1, True)
    assert requested == [(FULL["train"]["patience"], 3)]


def test_a_click_log_is_read_by_off_policy(command: Command, spare: Place, tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    words = ("simulate", "--a", "popular", "--b", "recent_popular", "--from", "2024-01-12", "--click-log", log)
    clicks = command(*words, "--json", workspace=spare.workspace.root).answer["clicks"]
    answer = command("off-policy", log, "--json").answer
    assert answer["impressions"] == clicks["lists"]
    assert answer["logged"]["low"] < (clicks["a"] + clicks["b"]) / 2 < answer["estimates"]["ips"]["high"]
    assert answer["estimates"].keys() == {"ips", "snips"}
    assert answer["effective"] >= 100
    full = command("off-policy", log, "--target", tmp_path / "clicks.target.csv", "--json").answer
    assert full["estimates"].keys() == {"ips", "snips", "dm", "dr"}
    assert full["estimates"]["ips"] == answer["estimates"]["ips"]
    assert command("off-policy", log).out.count("\n") > 4
    few = tmp_path / "few.csv"
    few.write_text("\n".join(log.read_text().splitlines()[:51]) + "\n")
    assert "effective sample size" in command("off-policy", few).error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--a", "popular", "--b", "populer"], "--b 'populer' is neither a system nor a file"),
        (["--a", "none.toml", "--b", "popular"], "none.toml does not exist"),
        (["--a", "popular", "--b", "ours", "--from", "2031-01-01"], "--from is 2031-01-01"),
        (["--a", "popular", "--b", "ours", "--from", "2024-06-10", "--days", "500"], "give --days "),
        (["--a", "popular", "--b", "als", "--from", "2024-06-10", "--days", "1"], "users buy in the 1 days"),
    ],
)
def test_an_error_is_one_line(command: Command, ready: Place, words: list[str], said: str) -> None:
    assert said in command("simulate", *words, workspace=ready.workspace.root).error


def test_an_arms_configuration_is_checked(spare: Place, tmp_path: Path) -> None:
    path = tmp_path / "arm.toml"
    path.write_text('[arm]\nsystem = "bestsellers"\n')
    with pytest.raises(ConfigError, match="system 'bestsellers' does not exist"):
        simulate.arm_of(str(path), "--a", spare.settings)
    path.write_text("[arm]\nrefresh_days = 7\n")
    arm = simulate.arm_of(str(path), "--a", spare.settings)
    assert (arm.name, arm.config.refresh_days) == ("arm", 7)
    assert simulate.arm_of(arm, "--b", spare.settings) is arm


def test_json_is_strict(command: Command, spare: Place) -> None:
    words = ("simulate", "--a", "popular", "--b", "als", "--from", "2024-06-10", "--days", "6", "--json")
    answer = command(*words, workspace=spare.workspace.root).answer
    assert json.dumps(answer, allow_nan=False)
    assert {"rows", "online", "split", "same_arms", "looks"} <= answer.keys()


def test_a_log_without_times_has_no_days(spare: Place) -> None:
    _, log = spare.workspace.load()
    with pytest.raises(DataError, match="no days to replay"):
        simulate.period(replace(log, ordinal=True), OPTIONS, 1)
