"""`recsys tune` on the tiny shop, from the command line to the settings that it writes; what lies after the test's cut changes nothing."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from filelock import FileLock

from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from recsys.offline.evaluate import evaluation_cut
from recsys.offline.tuning.budget import Budget
from recsys.offline.tuning.report import TuningReport
from recsys.offline.tuning.search_space import value_of, with_values
from recsys.offline.tuning.tune import TuneOptions, tune
from recsys.offline.tuning.watch import TrialLog
from recsys.settings.settings import Settings, load_settings
from recsys.training.options import TrainOptions
from recsys.workspace.workspace import Workspace

SMALL = TuneOptions(minutes=None, trials=2, users=40, test=False)


@pytest.fixture(scope="module")
def quick(tiny_settings: Settings) -> Settings:
    """Settings that leave only a few keys open, under which a trial takes a second."""
    return with_values(tiny_settings, {"train.epochs": 1, "train.tuned_epochs": 0, "train.tuning": "frozen", "gbdt.boosters": 1})


def ingested(events: pl.DataFrame, items: pl.DataFrame, folder: Path) -> Workspace:
    folder.mkdir()
    items.write_csv(folder / "items.csv")
    events.write_csv(folder / "log.csv")
    workspace = Workspace(folder / "workspace")
    ingest(Source(items=folder / "items.csv", interactions=folder / "log.csv"), workspace.data)
    return workspace


def told(report: TuningReport) -> list[object]:
    """All that a search says of validation."""
    return [report.changes, report.stages, report.validation, report.fixed, report.toml, report.notes]


@pytest.fixture(scope="module")
def searched(shop, quick: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[TuningReport, Workspace]:
    workspace = ingested(shop.events, shop.items, tmp_path_factory.mktemp("tune") / "shop")
    return tune(workspace, quick, SMALL), workspace


@pytest.mark.parametrize("seed", [1, 2])
def test_another_future_gives_the_same_settings(searched, shop, quick: Settings, tmp_path: Path, seed: int) -> None:
    report, workspace = searched
    _, log = workspace.load()
    cut = datetime.fromtimestamp(evaluation_cut(log), UTC).replace(tzinfo=None)
    past, future = shop.events.filter(pl.col("timestamp") < cut), shop.events.filter(pl.col("timestamp") >= cut)
    assert len(future) > 100
    scrambled = future.select(pl.col(name).shuffle(seed=seed + number) for number, name in enumerate(future.columns))
    scrambled = scrambled.with_columns(value=pl.col("value") * 7, event=pl.lit("purchase"))
    other = ingested(pl.concat([past, scrambled]), shop.items, tmp_path / "other")
    assert evaluation_cut(other.load()[1]) == evaluation_cut(log)
    assert told(tune(other, quick, SMALL)) == told(report)


def test_the_best_settings_are_never_worse_on_validation(searched) -> None:
    report, _ = searched
    assert [stage.name for stage in report.stages] == ["towers", "ranking", "cross-encoder"]
    for stage in report.stages:
        assert stage.best >= stage.current
        assert stage.trials + stage.pruned + stage.failed >= 2
    for change in report.changes:
        assert change.gain is None or change.gain > 0


def test_what_the_settings_fix_stays(searched, quick: Settings) -> None:
    report, _ = searched
    assert {"gbdt.rounds", "tower.dim", "cross_encoder.rerank_depth"} <= set(report.fixed)
    assert not {change.key for change in report.changes} & set(report.fixed)
    assert all(value_of(quick, change.key) == change.before for change in report.changes if change.key.startswith("gbdt."))


def test_best_toml_is_what_was_found(searched, tmp_path: Path) -> None:
    report, workspace = searched
    path = workspace.root / "tuning" / "best.toml"
    assert path.read_text(encoding="utf-8") == report.toml
    found = {f"{section}.{key}": value for section, keys in tomllib.loads(report.toml).items() for key, value in keys.items()}
    assert found == {change.key: change.after for change in report.changes}
    loaded = load_settings(path)
    assert {key: value_of(loaded, key) for key in found} == found


def test_a_second_call_goes_on_and_repeats_nothing(searched, quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    report, workspace = searched

    def trained_again(*_: object) -> float:
        raise AssertionError

    monkeypatch.setattr("recsys.offline.tuning.objectives.TowersObjective.__call__", trained_again)
    assert told(tune(workspace, quick, SMALL)) == told(report)


def test_keys_to_keep(searched, quick: Settings) -> None:
    _, workspace = searched
    keep = ("tower.dropout", "train.lr", "train.weight_decay", "train.id_dropout", "gbdt.l2", "retrieval.ease")
    report = tune(workspace, quick, TuneOptions(minutes=None, trials=2, users=40, test=False, keep=keep))
    assert set(keep) <= set(report.fixed)
    assert not {change.key for change in report.changes} & set(keep)
    (towers, *_) = report.stages
    assert towers.trials == 1  # nothing is left to search


def test_too_few_minutes(searched, quick: Settings) -> None:
    _, workspace = searched
    options = TuneOptions(minutes=0.5, users=40, train=TrainOptions(seed=5))
    with pytest.raises(DataError) as caught:
        tune(workspace, quick, options, Budget(0.0, lambda: 1.0))
    said = "0.5 minutes ended before training the towers with the current settings did"
    assert str(caught.value) == f"{said}: give more --minutes, or run it again, which goes on from there"


def test_no_time_for_the_last_stage_is_told(searched, quick: Settings) -> None:
    _, workspace = searched
    report = tune(workspace, quick, SMALL, Budget(0.0, lambda: 1.0))
    assert [stage.name for stage in report.stages] == ["towers", "ranking"]
    # After a note on the towers, if their best trial makes no better list.
    assert report.notes[-1] == "no time was left for the cross-encoder's settings: run it again, or give more --minutes"


def test_no_time_to_rank_over_better_towers_is_told(searched, quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first, workspace = searched
    assert first.stages[0].best > first.stages[0].current, "the towers of this shop have a better trial"
    ended: list[str] = []
    monkeypatch.setattr(TrialLog, "end", lambda log, how, value: ended.append(log.name))
    options = TuneOptions(minutes=1, trials=2, users=30, test=False)  # other users: no trial of the ranking is in the journal
    report = tune(workspace, quick, options, Budget(0.5, lambda: float(len(ended))))
    assert ended[0].startswith("ranking trial ")
    assert report.changes == ()
    assert report.notes == (
        "no time was left to rank over the best trial of the towers: run it again, or give more --minutes",
        "no time was left for the cross-encoder's settings: run it again, or give more --minutes",
    )


def test_one_search_at_a_time(searched, quick: Settings) -> None:
    _, workspace = searched
    with (
        FileLock(workspace.root / "tuning" / ".lock"),
        pytest.raises(DataError, match="another recsys tune is at work in .*: wait until it is done"),
    ):
        tune(workspace, quick, SMALL)


def test_the_command(searched, command) -> None:
    _, workspace = searched
    words = ("tune", "--trials", 2, "--users", 40, "--keep", "gbdt.learning_rate,gbdt.features", "--keep", "train.lr")
    answer = command(*words, "--json", workspace=workspace.root).answer
    page = (Path(__file__).parents[4] / "docs" / "json.md").read_text(encoding="utf-8")
    example = json.loads(page.partition("```json tune\n")[2].partition("```")[0])
    assert example.keys() == answer.keys()
    for key in ("changes", "stages"):
        assert all(entry.keys() == example[key][0].keys() for entry in answer[key])
    assert answer["test"] is None or answer["test"].keys() == example["test"].keys()
    assert {"gbdt.learning_rate", "gbdt.features", "train.lr"} <= set(answer["fixed"])
    assert (answer["test"] is None) == (answer["changes"] == [])
    shown = command(*words, workspace=workspace.root)
    assert "NDCG@10 on validation, before 2024-06-28" in shown.out
    assert "note: set by you, and so not searched: " in shown.out
    assert ("Put this into recsys.toml:" in shown.out) == bool(answer["changes"])
    if answer["test"]:
        assert "looked at once" in shown.out
        assert answer["test"]["ratio"]["users"] > 0


def test_errors_are_one_line(command, tmp_path: Path, searched) -> None:
    _, workspace = searched
    assert "no data in" in command("tune", workspace=tmp_path / "empty").error
    said = command("tune", "--keep", "gbdt.round", workspace=workspace.root).error
    assert said == "error: unknown key gbdt.round, did you mean 'gbdt.rounds'?"
