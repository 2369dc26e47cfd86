"""`recsys evaluate reviews`: judged on the newest reviews, beside a tuned baseline, and nothing fitted on them."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from features.errors import DataError
from features.ingest.source import Source
from recsys.apps.reviews import evaluate as module
from recsys.apps.reviews.evaluate import evaluate_reviews
from recsys.cli.main import run
from tests.features.reviews.made_up import ByWords
from tests.recsys.apps.reviews.conftest import FIRST
from tests.recsys.conftest import Place

N = 400


def with_reviews(place: Place, n: int, stars_of: tuple[int, ...] = (1, 3, 5), timed: bool = True) -> Place:
    """Reviews whose word tells their stars; every tenth has other stars than its words, so that nothing is certain."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(n):
        stars = stars_of[number % len(stars_of)]
        told = stars if rng.random() < 0.9 else 5
        word = {1: "bad", 3: "so-so", 5: "good"}[told]
        rows.append(
            (f"author-{number}", "sku-00", FIRST + timedelta(hours=number) if timed else None, stars, f"It is {word}, says number {number}")
        )
    file = place.folder / "reviews.csv"
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "rating", "text"], orient="row").write_csv(file)
    place.workspace.ingest(Source(items=place.items, interactions=place.log, reviews=file))
    return place


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the classifier was fitted on; it goes by words."""
    seen: list[str] = []

    def fit(_encoder, texts, *_rest):
        seen.extend(texts)
        model = ByWords()
        model.about = {"way": "words"}  # type: ignore[attr-defined]
        return model

    monkeypatch.setattr(module, "fit_sentiment", fit)
    return seen


def test_the_newest_reviews_judge_and_train_nothing(spare: Place, fitted: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    place = with_reviews(spare, N)
    line = ["--workspace", str(place.workspace.root), "evaluate", "reviews"]
    assert run([*line, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["reviews"] == {"train": 280, "valid": 60, "test": 60}
    assert len(fitted) == 340
    assert not any(f"number {number}" in fitted for number in range(340, N))
    f1 = report["metrics"]["macro_f1"]
    assert 0.7 < f1["low"] < f1["value"] < f1["high"] <= 1
    assert set(report["baselines"]) == {"tf_idf"}
    assert report["baselines"]["tf_idf"]["metrics"]["macro_f1"]["value"] > 0.7
    assert json.loads((place.workspace.reports / "reviews_evaluation.json").read_text()) == report
    assert run(line) == 0
    assert "calibration error" in capsys.readouterr().out


def test_too_few_reviews_or_a_missing_class_are_said(spare: Place, fitted: list[str]) -> None:
    with pytest.raises(DataError, match="--reviews FILE"):
        evaluate_reviews(spare.workspace, spare.settings)
    place = with_reviews(spare, 50)
    with pytest.raises(DataError, match="expected at least 200"):
        evaluate_reviews(place.workspace, place.settings)
    place = with_reviews(spare, N, (5, 3, 5))
    with pytest.raises(DataError, match="is negative"):
        evaluate_reviews(place.workspace, place.settings)
    assert not fitted


def test_reviews_with_thumbs_alone_and_without_a_time_are_judged_and_that_is_said(
    spare: Place, fitted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    place = with_reviews(spare, N, (1, 5), timed=False)
    report = evaluate_reviews(place.workspace, place.settings)
    assert report.ours.f1.value is not None, "the mean over two classes"
    assert report.ours.f1.value > 0.8
    assert "400 of the 400 rated reviews have no time and count as the oldest" in caplog.text
