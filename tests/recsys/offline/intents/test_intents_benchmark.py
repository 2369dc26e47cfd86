"""`recsys benchmark intents` on made-up texts: data, baselines, texts with no intent, cache and table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from eval.metrics.intervals import Bootstrap
from features.errors import DataError
from features.text.encoder_config import EncoderConfig
from features.text.intents.config import IntentConfig
from recsys.docs_tools.write_benchmarks import benchmarks_page, keep
from recsys.offline.intents import baselines
from recsys.offline.intents import benchmark as running
from recsys.offline.intents.benchmark import FROZEN, PARTS, TF_IDF, run_intents
from recsys.offline.intents.dataset import THIRDS, read_intents
from recsys.offline.intents.result import OURS, IntentResult, NoneScores, auroc, calibration_error, caught, lines, none_row
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace

REAL = Path(__file__).parents[5] / "shared" / "data"
SIZES = ("small", "large", "box")
WORDS = ("green tea", "sweet carrot", "paper towel", "sourdough bread", "oat milk", "brown rice")


def labelled() -> pl.DataFrame:
    """Twelve training and four test texts of each of six intents."""
    rng = np.random.default_rng(0)
    rows = [
        (f"{words} {rng.choice(SIZES)} {number}", words.replace(" ", "_"), "test" if number % 4 == 3 else "train")
        for words in WORDS
        for number in range(16)
    ]
    return pl.DataFrame(rows, schema=["utterance", "intent", "split"], orient="row")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "banking77").mkdir()
    labelled().write_parquet(folder / "banking77" / "intents.parquet")
    return folder


@pytest.fixture(scope="module")
def settings(tiny_bert: Path) -> Settings:
    return Settings(encoder=EncoderConfig(model=str(tiny_bert), max_tokens=24))


@pytest.fixture(scope="module")
def run(folder: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, IntentResult]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "CONFIG", IntentConfig(layers=1, max_tokens=24, passes=50, epochs=1))
        patch.setattr(baselines, "SVM_C", (1.0,))
        patch.setattr(baselines, "REGRESSION_C", (10.0,))
        return workspace, run_intents(workspace, settings, folder, "cpu", 0)


def test_every_system_is_judged_on_the_same_texts(run: tuple[Workspace, IntentResult]) -> None:
    _, result = run
    assert result.texts == {"train": 72, "test": 24}
    none = [row for row in result.rows if row.caught is not None]
    assert [row.name for row in none] == [f"{FROZEN}, highest softmax", f"{FROZEN}, energy", OURS] * THIRDS
    told = [row for row in result.rows if row.caught is None]
    assert [(row.part, row.name) for row in told] == [(part, name) for part in PARTS for name in (TF_IDF, FROZEN, OURS)]
    assert [len(row.by_run) for row in told] == [1] * 3 + [3] * 6
    for row in told:
        assert np.mean(row.by_run) == pytest.approx(row.score.value)
        assert (row.over_base.value == 0) or row.name != FROZEN
    for score in (row.score for row in result.rows):
        assert score.users == 24
        assert score.low is not None
        assert score.value is not None
        assert score.high is not None
        assert score.low <= score.value <= score.high


def test_its_json_and_its_section_of_the_page(run: tuple[Workspace, IntentResult], tmp_path: Path) -> None:
    workspace, result = run
    path = workspace.reports / "benchmark-intents.json"
    assert IntentResult.model_validate_json(path.read_bytes()) == result
    assert json.loads(path.read_text())["name"] == "intents"
    keep([path], tmp_path)
    page = benchmarks_page(tmp_path)
    assert "## Intents: banking77" in page
    assert all(line in page.replace("\n  ", " ") for line in lines(result))


def test_a_second_run_trains_nothing(
    run: tuple[Workspace, IntentResult], folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, result = run

    def never(*args: Any, **more: Any) -> None:
        raise AssertionError

    for name in ("trained_reader", "fit_upon"):
        monkeypatch.setattr(running, name, never)
    monkeypatch.setattr(baselines, "tf_idf", never)
    monkeypatch.setattr(running, "CONFIG", IntentConfig(layers=1, max_tokens=24, passes=50, epochs=1))
    monkeypatch.setattr(baselines, "SVM_C", (1.0,))
    monkeypatch.setattr(baselines, "REGRESSION_C", (10.0,))
    assert run_intents(workspace, settings, folder, "cpu", 0).rows == result.rows
    for module, name, value in ((running, "MODEL_VERSION", 0), (baselines, "SVM_C", (2.0,))):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            with pytest.raises(AssertionError):
                run_intents(workspace, settings, folder, "cpu", 0)


def test_draws_and_held_back_intents(folder: Path) -> None:
    data = read_intents(folder)
    for number in range(3):
        rows = data.draw(5, number)
        assert np.bincount(data.labels[rows]).tolist() == [5] * 6
        assert not data.test[rows].any()
    assert set(data.draw(5, 0)) != set(data.draw(5, 1))
    assert data.names == tuple(sorted(data.names))
    assert [data.held_back(third).tolist() for third in range(THIRDS)] == [[0, 3], [1, 4], [2, 5]]


def test_figures_of_texts_with_no_intent() -> None:
    rng = np.random.default_rng(0)
    scores = NoneScores(rng.uniform(0.4, 1, 400), rng.uniform(0, 0.6, 300))
    pairs = np.mean(scores.known[:, None] > scores.none[None, :])
    assert auroc(scores) == pytest.approx(pairs)
    assert caught(scores) == pytest.approx((scores.none < np.quantile(scores.known, 0.05)).mean())
    row = none_row("part", OURS, scores, NoneScores(scores.known, scores.known[:300]), Bootstrap(resamples=50), probability=True)
    assert (row.score.low or 0) <= pairs <= (row.score.high or 0)
    assert (row.over_base.low or 0) > 0
    even = rng.uniform(size=20_000)
    has = rng.uniform(size=20_000) < even
    assert calibration_error(NoneScores(even[has], even[~has])) < 0.02
    assert calibration_error(NoneScores(np.full(50, 0.9), np.full(20, 0.9))) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop("intent"), "has no column intent, expected utterance, intent, split"),
        (lambda frame: frame.filter(pl.col("split") == "train"), "has no rows of the part test"),
        (lambda frame: frame.filter(pl.col("split") == "test"), "has no rows of the part train"),
    ],
)
def test_what_is_missing_is_said(change, message: str, tmp_path: Path) -> None:
    change(labelled()).write_parquet(tmp_path / "intents.parquet")
    with pytest.raises(DataError, match=message):
        read_intents(tmp_path)


@pytest.mark.skipif(not (REAL / "banking77").is_dir(), reason="banking77 may be used for measuring only and is not here")
def test_the_real_data_is_read() -> None:
    data = read_intents(REAL)
    assert (len(data.names), len(data.rows(test=False)), len(data.rows(test=True))) == (77, 10_003, 3_080)
