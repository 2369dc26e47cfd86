"""The judge of passages and the figures of the first passage, against scikit-learn and by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from recsys.offline.product_qa.confidence import EvidenceTraining, TopPassages, logistic
from recsys.offline.product_qa.dataset import ProductQa, read_product_qa
from recsys.offline.product_qa.top_figures import COVERAGES, curve, top_row
from retrieval.passages.product_evidence import FEATURES, SIGNALS
from tests.recsys.offline.product_qa.test_product_qa import graded

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ProductQa:
    folder: Path = tmp_path_factory.mktemp("qa")
    graded().write_parquet(folder / "evidence_ranking.parquet")
    return read_product_qa(folder, 2)


def test_only_epqa_tells_answers_in_full_from_answers_in_part(tmp_path: Path) -> None:
    import polars as pl

    half = graded().with_columns(label=pl.when(pl.col("label") > 0).then(1).otherwise(0))
    half.write_parquet(tmp_path / "evidence_ranking.parquet")
    read = read_product_qa(tmp_path, 2)
    of_epqa = (read.part == "ePQA")[read.of]
    assert not read.answers[of_epqa].any()
    assert read.relevant[of_epqa].any()
    assert (read.answers == read.relevant)[~of_epqa].all()
    assert read.by_customers[of_epqa].mean() == pytest.approx(1 / 3)


def test_the_judge_learns_what_answers_from_questions_of_other_products(data: ProductQa) -> None:
    cosines = np.random.default_rng(0).random(len(data.of))
    fitting = EvidenceTraining(data, cosines)
    for fold in range(2):
        model = fitting.fit(data.trains(fold))
        assert tuple(model.passage.weights) == FEATURES
        assert tuple(model.answer.weights) == SIGNALS
        scores, told = fitting.judge(model, data.judged(fold))
        top = TopPassages.of(data, scores, told)
        judged = data.judged(fold)
        assert np.isnan(scores[~judged[data.of]]).all()
        assert top.right[judged & np.logical_or.reduceat(data.answers, data.offsets[:-1])].mean() == 1, "the aspect's word stands in both"


def test_logits_are_one_more_feature_and_questions_without_them_are_left_out(data: ProductQa) -> None:
    noise, truth = np.random.default_rng(1).random(len(data.of)), np.where(data.answers, 3.0, -3.0)
    known = data.part != "ePQA"
    fitting = EvidenceTraining(data, noise).with_logits(np.where(known[data.of], truth, np.nan))
    model = fitting.fit(np.ones(len(data.part), dtype=bool))
    assert list(model.passage.weights)[-1] == "pair"
    assert model.passage.weights["pair"] > 0
    same = fitting.fit(known)
    assert same.passage == model.passage


def test_a_logistic_regression_is_that_of_scikit_learn_on_standardised_columns() -> None:
    random = np.random.default_rng(0)
    columns = random.normal(3, 5, (400, 2))
    labels = random.random(400) < 1 / (1 + np.exp(-(columns[:, 0] - 3)))
    fitted = logistic(columns, labels, ("a", "b"), 1.0)
    assert roc_auc_score(labels, fitted.probabilities(columns)) > 0.9
    assert fitted.probabilities(columns).mean() == pytest.approx(labels.mean(), abs=1e-3)
    for one in (True, False):
        same = logistic(columns, np.full(400, one), ("a", "b"), 1.0).probabilities(columns)
        assert (same > 0.99).all() if one else (same < 0.01).all()


def test_figures_of_the_first_passage(data: ProductQa) -> None:
    random = np.random.default_rng(2)
    q = len(data.part)
    trust = random.random(q)
    top = TopPassages((trust + random.normal(0, 0.3, q) > 0.5).astype(float), trust)
    worse = replace(top, trust=random.random(q))
    chosen = {"ePQA": np.ones(q, dtype=bool)}
    row = top_row("ours", top, worse, chosen, np.ones(q, dtype=bool))
    assert row.auc["ePQA"].value == pytest.approx(roc_auc_score(top.right, trust))
    assert row.right_first["ePQA"].value == pytest.approx(top.right.mean())
    best = np.argsort(-trust)[: round(q / 4)]
    assert row.quarter["ePQA"].value == pytest.approx(top.right[best].mean())
    difference = row.over_encoder["auc"]["ePQA"]
    assert difference.value == pytest.approx(roc_auc_score(top.right, trust) - roc_auc_score(top.right, worse.trust))
    assert difference.low is not None
    assert difference.low > 0
    assert row.over_encoder["right_first"]["ePQA"].value == 0
    points = curve(top, np.arange(q))
    assert [point.coverage for point in points] == list(COVERAGES)
    assert points[-1].right == pytest.approx(top.right.mean(), abs=1e-4)
    trusts = [point.trust for point in points]
    assert trusts == sorted(trusts, reverse=True)


def test_equal_scores_share_what_is_right(data: ProductQa) -> None:
    top = TopPassages.of(data, np.ones(len(data.of)))
    answered = np.logical_or.reduceat(data.answers, data.offsets[:-1])
    assert np.allclose(top.right[answered], 1 / 3)
    assert (top.right[~answered] == 0).all()
