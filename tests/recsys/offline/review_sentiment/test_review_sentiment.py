"""`recsys benchmark reviews` on made-up reviews: data, cache, table and page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from features.errors import DataError
from features.text.encoder_config import EncoderConfig
from features.text.sentiment.config import SentimentConfig
from recsys.docs_tools.write_benchmarks import benchmarks_page, keep
from recsys.offline.review_sentiment import benchmark
from recsys.offline.review_sentiment.benchmark import FEW, NONE, OURS, RATED, SENTENCES, TF_IDF, run_reviews
from recsys.offline.review_sentiment.dataset import FILES, read_reviews
from recsys.offline.review_sentiment.result import SentimentResult, lines, table
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ("sweet carrot", "paper towel", "green tea")
SIZES = ("small", "large", "house", "loaf", "oat", "rye", "roll", "box")
CONFIG = SentimentConfig(layers=1, max_tokens=24, few=10, epochs=1, head_lr=1e-2)


def rated() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(300):
        stars = int(rng.choice([1, 2, 3, 4, 5]))
        said = WORDS[(stars > 2) + (stars > 3)] if rng.random() < 0.9 else "house roll"
        text = f"{said} {' '.join(rng.choice(SIZES, 4))} {number}"
        rows.append((None if number % 3 else "oat", text, stars, ("train", "train", "valid", "test")[number % 4]))
    return pl.DataFrame(rows, schema=["title", "text", "rating", "split"], orient="row")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reviews")
    frames = {"en": rated(), "zh": rated().select("text", "split", label=(pl.col("rating") > 3).cast(pl.Int64))}
    for language, frame in frames.items():
        path = folder / FILES[language]
        path.parent.mkdir()
        frame.write_parquet(path)
    return folder


@pytest.fixture(scope="module")
def settings(tiny_bert: Path) -> Settings:
    return Settings(encoder=EncoderConfig(model=str(tiny_bert), max_tokens=24))


@pytest.fixture(scope="module")
def run(folder: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, SentimentResult]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    return workspace, run_reviews(workspace, settings, CONFIG, folder, "en", ("cpu", 0))


def test_every_way_of_training_is_judged(run):
    _, result = run
    assert [(row.part, row.name) for row in result.rows] == [
        (RATED, TF_IDF),
        (RATED, OURS),
        (FEW, TF_IDF),
        (FEW, SENTENCES),
        (FEW, OURS),
        (NONE, OURS),
    ]
    assert result.reviews == {"train": 150, "valid": 75, "test": 75}
    assert [len(row.by_run) for row in result.rows] == [1, 3, 5, 5, 5, 1]
    for row in result.rows:
        assert 0 <= row.f1.value <= 1
        assert row.f1.users == 75
        assert 0 <= row.calibration_error.value <= 1
    base, ours = result.rows[:2]
    assert base.over_tf_idf.value == base.over_tf_idf.low == base.over_tf_idf.high == 0
    assert ours.over_tf_idf.value == pytest.approx(ours.f1.value - base.f1.value)
    assert ours.f1.value > 0.8


def test_its_json_and_its_section_of_the_page(run, tmp_path):
    workspace, result = run
    path = workspace.reports / "benchmark-reviews.json"
    assert SentimentResult.model_validate_json(path.read_bytes()) == result
    assert json.loads(path.read_text())["name"] == "reviews"
    keep([path], tmp_path)
    page = benchmarks_page(tmp_path)
    assert "## Sentiment of reviews" in page
    assert all(line in page.replace("\n  ", " ") for line in lines(result))
    assert len(table(result).renderables) == 1 + 3


def test_a_second_run_trains_nothing(run, folder, settings, monkeypatch):
    workspace, result = run

    def never(*args: Any, **more: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(benchmark, "fit_rated", never)  # few labels are a regression over kept vectors, which takes no time
    assert run_reviews(workspace, settings, CONFIG, folder, "en", ("cpu", 0)).rows == result.rows
    for name, value in (("MODEL_VERSION", 0), ("STRENGTH", {"words": 2.0})):
        with monkeypatch.context() as patch:
            patch.setattr(benchmark, name, value)
            with pytest.raises(AssertionError):
                run_reviews(workspace, settings, CONFIG, folder, "en", ("cpu", 0))


def test_two_classes(folder, settings, tmp_path):
    result = run_reviews(Workspace(tmp_path), settings, CONFIG, folder, "zh", ("cpu", 0))
    assert result.name == "reviews-zh"
    assert [row.name for row in result.rows] == [TF_IDF, OURS]
    assert all((row.f1.value or 0) > 0.7 for row in result.rows)


def test_missing_files_columns_and_parts_are_named(tmp_path, folder):
    with pytest.raises(DataError, match="does not hold womens_clothing_reviews/reviews.parquet"):
        read_reviews(tmp_path, "en")
    path = tmp_path / FILES["en"]
    path.parent.mkdir()
    rated().drop("rating").write_parquet(path)
    with pytest.raises(DataError, match="has no column rating"):
        read_reviews(tmp_path, "en")
    rated().filter(pl.col("split") != "valid").write_parquet(path)
    with pytest.raises(DataError, match="has no rows of the part valid"):
        read_reviews(tmp_path, "en")
    assert read_reviews(folder, "en").texts[0].startswith("oat. ")
