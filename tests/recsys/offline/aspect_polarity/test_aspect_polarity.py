"""`recsys benchmark aspects` on made-up sentences: data, baselines, stars, cache and table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.errors import DataError
from features.text.encoder_config import EncoderConfig
from ranking.cross_encoder.config import SentenceTermConfig
from recsys.docs_tools.write_benchmarks import benchmarks_page, keep
from recsys.offline.aspect_polarity import benchmark as running
from recsys.offline.aspect_polarity.benchmark import FROZEN, STARS, TFIDF, run_aspects
from recsys.offline.aspect_polarity.dataset import joined, read_aspect_terms, starred_mentions
from recsys.offline.aspect_polarity.result import OURS, PolarityResult, lines
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace

WORDS = {"Negative": "bad", "Neutral": "blue", "Positive": "good"}
TERMS = ("price", "tea", "bread", "size")
REAL = Path(__file__).parents[5] / "shared" / "data"


def labelled() -> pl.DataFrame:
    """Sentences with two terms, each after the word that judges it; the test has other sentences."""
    rows = []
    for dataset in ("laptop14", "restaurant14", "phone"):
        for number in range(40):
            first, second = (list(WORDS)[(number + shift * (1 + number % 2)) % 3] for shift in (0, 1))
            one, other = TERMS[number % 4], TERMS[(number + 1) % 4]
            text = f"{WORDS[first]} {one} , {WORDS[second]} {other} {number} !"
            for term, polarity in ((one, first), (other, second)):
                rows.append((dataset, "test" if number % 4 == 3 else "train", text, term, text.index(term), polarity))
    return pl.DataFrame(rows, schema=["dataset", "split", "text", "aspect", "start", "polarity"], orient="row")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "absa_terms").mkdir()
    labelled().write_parquet(folder / "absa_terms" / "aspects.parquet")
    reviews = pl.DataFrame({"text": ["bad price. ok", "good price!", "blue size"] * 5, "rating": [1, 5, 3] * 5})
    (folder / "amazon_musical_instruments").mkdir()
    reviews.write_parquet(folder / "amazon_musical_instruments" / "reviews.parquet")
    return folder


@pytest.fixture(scope="module")
def settings(tiny_bert: Path) -> Settings:
    return Settings(encoder=EncoderConfig(model=str(tiny_bert), max_tokens=24))


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "CONFIG", SentenceTermConfig(layers=1, epochs=1))
        patch.setattr(running, "MAX_TOKENS", 24)
        yield


@pytest.fixture(scope="module")
def run(folder: Path, settings: Settings, small: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, PolarityResult]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    return workspace, run_aspects(workspace, settings, folder, "cpu", 0)


def test_every_system_is_judged_on_both_sets(run) -> None:
    _, result = run
    assert [row.name for row in result.rows] == [TFIDF, FROZEN, STARS, OURS]
    assert result.mentions == {"laptops": 20, "restaurants": 20}
    for row in result.rows:
        assert all(0 <= value.low <= value.value <= value.high <= 1 and value.users == 20 for value in row.accuracy.values())
    assert all(value.value == value.low == value.high == 0 for value in result.rows[0].over_base.values())
    assert all(len(values) == 5 for values in result.rows[-1].by_seed.values())
    assert all(np.mean(values) == pytest.approx(result.rows[-1].accuracy[name].value) for name, values in result.rows[-1].by_seed.items())
    assert result.settings["tuned"][TFIDF]["laptops"]["C"] > 0


def test_its_json_and_its_section_of_the_page(run, tmp_path: Path) -> None:
    workspace, result = run
    path = workspace.reports / "benchmark-aspects.json"
    assert PolarityResult.model_validate_json(path.read_bytes()) == result
    assert json.loads(path.read_text())["name"] == "aspects"
    keep([path], tmp_path)
    page = benchmarks_page(tmp_path)
    assert "## Terms in sentences" in page
    assert all(line in page.replace("\n  ", " ") for line in lines(result))


def test_a_second_run_trains_nothing(run, folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, result = run

    def never(*args: Any, **more: Any) -> None:
        raise AssertionError

    for name in ("fit_aspect_polarity", "tfidf", "frozen"):
        monkeypatch.setattr(running, name, never)
    assert run_aspects(workspace, settings, folder, "cpu", 0).rows == result.rows
    for name, value in (("MODEL_VERSION", 0), ("NEAR", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(running, name, value)
            with pytest.raises(AssertionError):
                run_aspects(workspace, settings, folder, "cpu", 0)


@pytest.mark.parametrize(
    ("text", "term", "expected"),
    [
        ("I do n't like the price .", "price", "I don't like the price."),
        ("It 's -LRB- very -RRB- good , really !", "good", "It's ( very ) good, really!"),
        ("they 've sent tea", "tea", "they've sent tea"),
    ],
)
def test_sentences_are_read_as_people_write_them(text: str, term: str, expected: str) -> None:
    begin = text.index(term)
    whole, start, end = joined(text, begin, begin + len(term))
    assert whole == expected
    assert whole[start:end] == term


def test_terms_keep_their_place_and_their_part(folder: Path) -> None:
    data = read_aspect_terms(folder)
    assert set(data.terms) == set(TERMS)
    for row, term, begin in zip(data.mentions["sentence"], data.terms, data.mentions["begin"], strict=True):
        assert data.sentences[row][begin:].startswith(term)
    train, test = (set(data.sentences.gather(data.mentions["sentence"].to_numpy()[data.part(test)])) for test in (False, True))
    assert not train & test
    assert len(data.training.mentions) == 120  # phones are left out


def test_stars_label_mentions(folder: Path, tmp_path: Path) -> None:
    found = starred_mentions(folder, 100)
    assert found is not None
    by_text = {found.sentences[row]: label for row, label in zip(found.mentions["sentence"], found.labels, strict=True)}
    assert by_text == {"bad price.": 0, "good price!": 2, "blue size": 1}
    assert starred_mentions(tmp_path, 100) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop("start"), "has no column start, expected dataset, split, text, aspect, start, polarity"),
        (lambda frame: frame.filter(pl.col("dataset") != "laptop14"), "has no rows of laptop14 train"),
        (lambda frame: frame.filter(pl.col("split") == "train"), "has no rows of laptop14 test"),
    ],
)
def test_what_is_missing_is_said(change, message: str, tmp_path: Path) -> None:
    change(labelled()).write_parquet(tmp_path / "aspects.parquet")
    with pytest.raises(DataError, match=message):
        read_aspect_terms(tmp_path)


def test_a_folder_without_data_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds neither absa_terms/aspects.parquet nor aspects.parquet: give --data DIR"):
        read_aspect_terms(tmp_path)


@pytest.mark.skipif(not (REAL / "absa_terms").is_dir(), reason=f"the data set is not in {REAL}")
def test_the_real_terms_stand_where_the_data_says() -> None:
    data = read_aspect_terms(REAL)
    assert len(data.mentions) == 7694
    assert (data.mentions["begin"] < data.mentions["end"]).all()
    assert all(term.strip() == term and term for term in data.terms)
