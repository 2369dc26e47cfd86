"""`recsys benchmark product-qa` on made-up questions: data, tuning, folds, cache and table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from features.errors import DataError
from features.text.encoder_config import EncoderConfig
from ranking.cross_encoder.config import QuestionPairConfig
from recsys.docs_tools.write_benchmarks import benchmarks_page, keep
from recsys.offline.product_qa import cross_encoder as training
from recsys.offline.product_qa.baselines import Bm25Grid, choose, fused, scaled
from recsys.offline.product_qa.benchmark import run_product_qa
from recsys.offline.product_qa.cross_encoder import mixed
from recsys.offline.product_qa.dataset import SETS, TRAINING, average_precision, passage_text, read_product_qa
from recsys.offline.product_qa.result import OURS, QaResult, lines
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

ASPECTS = ("weight", "colour", "material", "size", "battery", "warranty")
SPLITS = (("semiPQA", "dev"), ("semiPQA", "testseen"), ("semiPQA", "testunseen"), ("hetPQA", "dev"), ("ePQA", "dev"))


def graded() -> pl.DataFrame:
    """Questions about one aspect of a product, each with three passages of which one is about it; some without any."""
    rows = []
    for dataset, split in SPLITS:
        for i in range(24):
            about = [ASPECTS[(i + j) % len(ASPECTS)] for j in range(3)]
            for j, aspect in enumerate(about):
                label = 2 if j == 0 and i != 5 else 0
                product = None if dataset == "semiPQA" else f"product {i // 2}"
                text = f'item_{aspect}:  {{ value:"{i}" }}'
                source = None if dataset == "semiPQA" else "review" if j == 2 else "attribute"
                rows.append((dataset, split, f"{split}-{i}", product, f"what is the {about[0]} of number {i}?", text, label, source))
    names = ["dataset", "split", "qid", "product_id", "question", "candidate", "label", "source"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qa") / "product_qa"
    folder.mkdir()
    graded().write_parquet(folder / "evidence_ranking.parquet")
    return folder.parent


@pytest.fixture(scope="module")
def settings(tiny_bert: Path) -> Settings:
    pairs = QuestionPairConfig(layers=1, batch_queries=4, epochs=1)
    return Settings(encoder=EncoderConfig(model=str(tiny_bert), max_tokens=24), query_cross_encoder=pairs)


@pytest.fixture(scope="module")
def run(folder: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, QaResult]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    return workspace, run_product_qa(workspace, settings, folder, "cpu", 0)


def test_every_system_is_judged_on_every_set(run):
    _, result = run
    assert [row.name for row in result.rows] == ["BM25", "frozen encoder", "fusion", "cross-encoder alone", OURS]
    assert result.questions == dict.fromkeys(SETS, 23)  # one of 24 has no relevant passage
    for row in result.rows:
        assert set(row.map) == set(row.over_fusion) == set(SETS)
        assert all(0 < value.value <= 1 and value.users == 23 for value in row.map.values())
    fusion = result.rows[2]
    assert all(value.value == value.low == value.high == 1 for value in fusion.over_fusion.values())
    assert all(len(ratios) == 3 for ratios in result.rows[-1].by_seed.values())
    assert result.rows[0].map["hetPQA"].value == 1  # the aspect's word stands in question and passage


def test_its_json_and_its_section_of_the_page(run, tmp_path):
    workspace, result = run
    path = workspace.reports / "benchmark-product-qa.json"
    assert QaResult.model_validate_json(path.read_bytes()) == result
    assert json.loads(path.read_text())["name"] == "product-qa"
    keep([path], tmp_path)
    page = benchmarks_page(tmp_path)
    assert "## Product questions" in page
    assert all(line in page.replace("\n  ", " ") for line in lines(result))


def test_a_second_run_trains_nothing(run, folder, settings, monkeypatch):
    workspace, result = run

    def never(*args: Any, **more: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(training, "fit_cross_encoder", never)
    assert run_product_qa(workspace, settings, folder, "cpu", 0).rows == result.rows
    monkeypatch.setattr(training, "MODEL_VERSION", 0)
    with pytest.raises(AssertionError):
        run_product_qa(workspace, settings, folder, "cpu", 0)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([1, 0, 1, 0], [4, 3, 2, 1]), ([0, 1, 0], [1, 1, 1]), ([0, 0, 1, 1, 0], [0.5, 0.2, 0.2, 0.9, 0.5])],
)
def test_average_precision_is_that_of_scikit_learn(labels: list[int], scores: list[float]) -> None:
    expected = average_precision_score(labels, scores)
    assert average_precision(np.array(labels) > 0, np.array(scores)) == pytest.approx(expected)


def test_products_never_train_their_own_judges(folder):
    data = read_product_qa(folder, 2)
    product = np.array([f"product {i // 2}" for i in range(24)])
    for part in ("hetPQA", "ePQA"):
        assert set(data.fold[data.part == part]) == {0, 1}
    frame = graded().unique(["dataset", "split", "qid"], maintain_order=True)
    assert len(frame) == len(data.part)
    fold_of: dict[str, set[int]] = {}
    for part, split in (("hetPQA", "dev"), ("ePQA", "dev")):
        order = sorted(range(24), key=lambda i: f"{split}-{i}")
        for i, fold in zip(order, data.fold[data.part == part], strict=True):
            fold_of.setdefault(product[i], set()).add(int(fold))
    assert all(len(folds) == 1 for folds in fold_of.values())
    for fold in range(2):
        assert not (data.trains(fold) & data.judged(fold)).any()
        assert not data.trains(fold)[np.isin(data.part, SETS[:2])].any()
        assert data.trains(fold)[data.part == TRAINING].all()
    assert (data.judged(0) ^ data.judged(1))[data.part != TRAINING].all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('item_weight:  { unit:kilograms, value:"2.5" }', "item weight unit kilograms value 2.5"),
        ("has_auto_focus:  { value:false }", "has auto focus value false"),
        ("it fits.  Question: will it?", "it fits. Question will it?"),
    ],
)
def test_attributes_are_read_in_words(text: str, expected: str) -> None:
    assert passage_text(text) == expected


def test_scores_are_scaled_within_a_question_and_the_best_share_is_chosen(folder):
    data = read_product_qa(folder, 2)
    truth = data.relevant.astype(float)
    noise = np.random.default_rng(0).random(len(truth))
    assert scaled(data, noise).min() == 0
    assert scaled(data, noise).max() == 1
    assert (scaled(data, np.ones(len(truth))) == 0).all()
    train = data.part == TRAINING
    share, _ = choose(data, ((share, fused(data, noise, truth, share)) for share in (0.0, 0.6, 1.0)), train)
    assert share > 0
    sparse = Bm25Grid(data).tuned(train)[1]
    assert np.nanmean(data.average_precision(sparse)[train]) == 1


def test_the_mix_follows_what_held_out_questions_say(folder):
    data = read_product_qa(folder, 2)
    truth, noise = data.relevant * 2.0 - 1, np.random.default_rng(0).random(len(data.relevant))
    scores, weights = mixed(data, truth, noise, 0)
    assert weights["logit"] > abs(weights["fusion"])
    assert np.nanmean(data.average_precision(scores)) == 1


def broken(change: pl.DataFrame, folder: Path) -> Path:
    change.write_parquet(folder / "evidence_ranking.parquet")
    return folder


def test_a_folder_that_cannot_be_used_is_said_in_one_line(tmp_path):
    with pytest.raises(DataError, match="holds neither product_qa/evidence_ranking.parquet nor evidence_ranking.parquet"):
        read_product_qa(tmp_path, 2)
    with pytest.raises(DataError, match="has no column label, expected"):
        read_product_qa(broken(graded().drop("label"), tmp_path), 2)
    with pytest.raises(DataError, match="has no rows of ePQA"):
        read_product_qa(broken(graded().filter(pl.col("dataset") != "ePQA"), tmp_path), 2)
