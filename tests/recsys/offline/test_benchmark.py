"""`recsys benchmark` on the tiny shop with the dates of Online Retail: its results, its cache and its errors."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from eval.protocol.benchmark_table import Result
from features.data.histories import Histories
from features.errors import DataError
from ranking.ranker import with_features
from recsys.docs_tools.write_benchmarks import benchmarks_page, keep, read_result
from recsys.offline import benchmark
from recsys.offline.ablation import PARTS, Ablated, Part, Variants, behaviour_names, without
from recsys.offline.benchmark import run_benchmark
from recsys.offline.options import BenchmarkOptions
from recsys.offline.public_datasets import SHOPS, ingest_once, source_of
from recsys.recommend.open import open_recommender
from recsys.training import find_or_train
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from recsys.settings.settings import Settings
    from tests.recsys.calls import Command
    from tests.recsys.conftest import Place

BASELINES = ("popular", "personal_frequency", "title_knn")
CUT = datetime(2011, 10, 9)
ROWS = {"ours", *(f"without {part.name}" for part in PARTS), *BASELINES}


@dataclass(frozen=True)
class Run:
    """A completed benchmark run."""

    workspace: Workspace
    data: Path
    settings: Settings
    result: Result

    @property
    def options(self) -> BenchmarkOptions:
        return BenchmarkOptions("online_retail", self.data)

    def again(self, **changed: Any) -> Result:
        return run_benchmark(self.workspace, self.settings, replace(self.options, **changed))


@pytest.fixture(scope="module", autouse=True)
def _few_baselines() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "BASELINES", BASELINES)
        yield


@pytest.fixture(scope="module")
def _done(shop: Any, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("benchmark")
    data = folder / "data" / "online_retail"
    data.mkdir(parents=True)
    late = timedelta(days=20)
    shift = CUT + late - shop.events["timestamp"].max()
    shop.items.write_parquet(data / "items.parquet")
    shop.events.with_columns(pl.col("timestamp") + shift).write_parquet(data / "interactions.parquet")
    workspace = Workspace(folder / "workspace")
    options = BenchmarkOptions("online_retail", data.parent)
    return Run(workspace, data.parent, tiny_settings, run_benchmark(workspace, tiny_settings, options))


@pytest.fixture
def done(_done: Run) -> Run:
    """A completed run that many tests share; it must not be changed."""
    return _done


@pytest.fixture
def spare_run(_done: Run, tmp_path: Path) -> Run:
    """A copy of the run, which a test may change."""
    shutil.copytree(_done.workspace.root, tmp_path / "workspace")
    return replace(_done, workspace=Workspace(tmp_path / "workspace"))


def forbidden(*_: Any, **__: Any) -> Any:
    pytest.fail("what was done is done again")


def test_the_table_holds_ours_without_each_part_and_the_baselines(done: Run) -> None:
    result = done.result
    assert {row.name for row in result.rows} == ROWS
    assert result.rows[0].name == "ours"
    assert result.lists == ("all", "repeat", "new", "few")
    assert result.split.cut == "2011-10-09T00:00"
    for row in result.rows:
        assert row.lists.keys() == set(result.lists)
        for part, figures in row.lists.items():  # in this shop nobody buys an item with few buyers
            assert figures.keys() - {"over_best"} == {"ndcg@10", "recall@10", "ours_over"}
            assert ("over_best" in figures) == (part in result.best) == (part != "few")
        assert row.seconds["answer"] > 0
        assert (row.scores.keys() == {"auc", "log_loss", "ece"}) == (row.kind != "baseline")
    assert result.ours.seconds["fit"] > 0
    popular = next(row for row in result.rows if row.name == "popular").lists["all"]["ours_over"]
    assert popular.value is not None
    assert popular.value > 2


def test_it_is_written_as_json_and_a_page(done: Run) -> None:
    path = done.workspace.reports / "benchmark-online_retail.json"
    assert Result.model_validate_json(path.read_bytes()) == done.result
    assert "<svg" in path.with_suffix(".html").read_text(encoding="utf-8")


def test_a_second_run_uses_the_cache_and_gives_equal_results(done: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (find_or_train, "train_model"),
        (benchmark, "tune_baselines"),
        (benchmark, "evaluate"),
        (benchmark, "build_report"),
    ):
        monkeypatch.setattr(module, name, forbidden)
    assert done.again() == done.result


def test_an_interrupted_run_resumes(spare_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only missing results are computed, with the same metrics."""
    results = spare_run.workspace.root / "benchmark-online_retail" / "results"
    for path in [*results.glob("baseline-popular-*"), *results.glob("without-text-*")]:
        shutil.rmtree(path)
    tuned, original = [], benchmark.tune_baselines

    def counted(split: Any, grid: Any, texts: Any, **more: Any) -> Any:
        tuned.append(grid)
        return original(split, grid, texts, **more)

    monkeypatch.setattr(benchmark, "tune_baselines", counted)
    monkeypatch.setattr(find_or_train, "train_model", forbidden)
    again = spare_run.again()
    assert tuned == [{}]
    assert [(row.name, row.lists, row.scores) for row in again.rows] == [(row.name, row.lists, row.scores) for row in spare_run.result.rows]


def test_missing_ablations_are_fitted_again(spare_run: Run) -> None:
    place = spare_run.workspace.root / "benchmark-online_retail"
    shutil.rmtree(place / "ablations")
    again = spare_run.again()
    assert {row.name for row in again.rows} == ROWS
    assert any((place / "ablations").iterdir())


def test_other_users_are_evaluated_again_and_ablations_can_be_left_out(spare_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_or_train, "train_model", forbidden)
    result = spare_run.again(max_users=20, ablations=False)
    assert (result.split.users, result.split.of_users) == (20, spare_run.result.split.users)
    assert {row.name for row in result.rows} == {"ours", *BASELINES}


def test_external_lists_are_evaluated(spare_run: Run, tmp_path: Path) -> None:
    """Lists without repeat purchases are evaluated on new items alone; a JSON file beside them describes the system."""
    place = Workspace(spare_run.workspace.root / "benchmark-online_retail")
    catalog, log = place.load()
    cut = SHOPS["online_retail"].cut_of(log)
    before, after = log.between(None, cut), log.between(cut, None)
    pairs = {(int(u), int(i)) for u, i in zip(after.user, after.item, strict=True)}
    had = {(int(u), int(i)) for u, i in zip(before.user, before.item, strict=True)}
    rows = [(str(log.user_ids[u]), str(catalog.ids[i]), 1) for u, i in sorted(pairs - had)]
    path = tmp_path / "oracle.parquet"
    pl.DataFrame(rows, schema=["user_id", "item_id", "rank"], orient="row").write_parquet(path)
    path.with_suffix(".json").write_text(json.dumps({"seconds": 7.0}))
    rival = next(row for row in spare_run.again(lists=(("oracle", path),)).rows if row.name == "oracle")
    assert rival.lists.keys() == {"new", "few"}
    assert rival.lists["new"]["recall@10"].value == 1.0
    assert rival.lists["new"]["ndcg@10"].value == 1.0
    assert rival.seconds == {"fit": 7.0}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_an_ablation_lacks_the_features_of_its_part(ready: Place, part: Any) -> None:
    recommender = open_recommender(ready.workspace)
    snapshot = recommender.snapshot
    users = np.arange(8)
    candidates = with_features(recommender.candidates(histories(snapshot, users), 30), snapshot.stats)
    behaviour = behaviour_names(snapshot.stats)
    less, place = without(candidates, part, behaviour)
    gone = candidates.features.keys() - less.features.keys()
    assert ("tower" in gone) == ("towers" in part.features)
    assert ("ease" in gone) == ("collaborative" in part.features)
    assert ("item_buyers_28" in gone) == ("behaviour" in part.features)
    np.testing.assert_array_equal(less.rows, np.where(place >= 0, np.take_along_axis(candidates.rows, np.maximum(place, 0), axis=1), -1))
    if "towers" not in part.features:
        np.testing.assert_array_equal(less.rows, candidates.rows)


def histories(snapshot: Any, users: np.ndarray) -> Any:
    return Histories.of_users(snapshot.log, users, snapshot.now)


@pytest.mark.parametrize("idle", [False, True])
def test_each_ranking_uses_the_cross_encoder_unless_its_residual_booster_is_idle(
    ready: Place, monkeypatch: pytest.MonkeyPatch, idle: bool
) -> None:
    recommender = open_recommender(ready.workspace)
    ranking = recommender.model.ranking
    assert ranking is not None
    users = histories(recommender.snapshot, np.arange(4))
    read: list[int] = []
    original = type(ranking.cross_encoder).logits
    monkeypatch.setattr(type(ranking.cross_encoder), "logits", lambda self, *asked: read.append(1) or original(self, *asked))
    monkeypatch.setattr(type(ranking.residual), "idle", property(lambda booster: idle or booster is ranking.residual))
    fitted = Ablated(ranking.base, replace(ranking.residual), ranking.calibration)
    reading, silent = Part("nothing", ""), Part("cross-encoder", "", reads=False)
    Variants(recommender, {silent: fitted}, frozenset())(users, 10, None)
    assert not read
    Variants(recommender, {reading: fitted}, frozenset())(users, 10, None)
    assert bool(read) != idle


def test_without_towers_the_candidates_are_those_of_the_other_retrievers(ready: Place) -> None:
    recommender = open_recommender(ready.workspace)
    snapshot, retriever = recommender.snapshot, recommender.retriever
    users = histories(snapshot, np.arange(20))
    # Few candidates a source, so that some are the towers' alone; room for all of them.
    config = retriever.config.model_copy(
        update={"repeat_purchases": 2, "ease": 3, "item_knn": 2, "als": 2, "popular": 2, "markov": 2, "texts": 2, "tower": 5}
    )
    candidates = with_features(replace(retriever, config=config).retrieve(users, 40), snapshot.stats)
    without_towers = replace(retriever, config=config.model_copy(update={"tower": 0})).retrieve(users, 40)
    part = next(part for part in PARTS if part.name == "towers")
    less, _ = without(candidates, part, behaviour_names(snapshot.stats))
    assert (candidates.valid.sum(axis=1) > less.valid.sum(axis=1)).any()
    for found, expected in zip(less.rows, without_towers.rows, strict=True):
        assert set(found[found >= 0]) == set(expected[expected >= 0])
    scores: dict[tuple[int, int], float] = {}
    for b, (line, fused) in enumerate(zip(without_towers.rows, without_towers.scores, strict=True)):
        scores |= {(b, int(row)): float(score) for row, score in zip(line, fused, strict=True)}
    for b, k in zip(*np.nonzero(less.valid), strict=True):
        assert less.features["fused"][b, k] == pytest.approx(scores[b, int(less.rows[b, k])], abs=1e-6)


def test_the_command_prints_the_table_or_json(done: Run, command: Command) -> None:
    said = command("benchmark", "online_retail", "--data", done.data, workspace=done.workspace.root)
    assert said.code == 0, said
    assert "baseline" in said.out
    assert "ours without cross-encoder" in said.out
    answer = command("benchmark", "online_retail", "--data", done.data, "--json", workspace=done.workspace.root).answer
    assert Result.model_validate(answer) == done.result


def test_the_error_names_what_is_missing(command: Command, tmp_path: Path) -> None:
    assert "games/items.parquet" in command("benchmark", "games").error
    assert "neither beauty/items.parquet" in command("benchmark", "beauty", "--data", tmp_path).error
    assert "is packaged" in command("benchmark", "completejourney", "--data", tmp_path).error
    assert command("benchmark", "nowhere").code == 2
    assert command("benchmark", "games", "--lists", "sasrec").code == 2


def test_an_invalid_file_of_lists_is_refused(done: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        done.again(lists=(("rival", tmp_path / "none.parquet"),))
    (tmp_path / "text.parquet").write_text("user,item")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        done.again(lists=(("rival", tmp_path / "text.parquet"),))


def test_the_shop_is_ingested_once_from_the_folder_or_its_subfolder(done: Run, tmp_path: Path) -> None:
    assert source_of("online_retail", done.data) == source_of("online_retail", done.data / "online_retail")
    place = Workspace(tmp_path / "place")
    assert ingest_once(source_of("online_retail", done.data), place)
    assert ingest_once(source_of("online_retail", done.data), place) is None


def test_results_are_stored_and_make_the_page(done: Run, tmp_path: Path) -> None:
    assert "No results are stored yet" in benchmarks_page(tmp_path / "kept")
    keep([done.workspace.reports / "benchmark-online_retail.json"], tmp_path / "kept")
    assert read_result(tmp_path / "kept" / "online_retail.json") == done.result
    text = benchmarks_page(tmp_path / "kept")
    assert "## Online Retail" in text
    assert f"{done.result.ours.lists['all']['ndcg@10'].value:.4f}" in text
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match="is not a result of"):
        read_result(tmp_path / "other.json")


def test_the_page_in_the_docs_follows_from_the_results() -> None:
    docs = Path(__file__).parents[3] / "docs"
    assert (docs / "benchmarks.md").read_text(encoding="utf-8") == benchmarks_page(docs / "benchmarks"), "run `make docs`"
