import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from eval.baselines.registry import QUICK as BASELINE_NAMES
from eval.baselines.registry import BaselinesConfig, fit_baseline
from eval.baselines.tune import evaluate_baselines
from eval.metrics.intervals import MetricValue
from eval.protocol.evaluate import EvaluateConfig, System, evaluate
from eval.reports.evaluation import best_baseline, page, shown, table
from tests.eval.baselines.test_baselines import SMALL

QUICK = EvaluateConfig(resamples=30)


@pytest.fixture
def report(paper_split):
    frequency, ease = (fit_baseline(name, paper_split.history, paper_split.cut, SMALL).retrieve for name in ("personal_frequency", "ease"))

    def recommend(users, k, allowed):
        found = frequency(users, k, allowed)
        return replace(found, scores=np.where(found.valid, found.scores / 2, -np.inf).astype(np.float32))

    ours = evaluate(System(recommend, stages={"retrieval": ease}, calibrated=True), paper_split, QUICK, np.eye(6))
    return ours.beside(evaluate_baselines(paper_split, BaselinesConfig(all=SMALL, new=SMALL), QUICK), "bundle <7>")


def text_of(report):
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(table(report))
    return console.export_text()


def test_the_table_shows_ours_then_every_baseline(report):
    lines = text_of(report).splitlines()
    assert "3 users, 4 known items, cut at 2024-01-11" in lines[0]
    names = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert names == ["ours", *(name.replace("_", " ") for name in BASELINE_NAMES)]
    row = next(line for line in lines if line.startswith("│ popular"))
    assert [cell.strip().split()[0] for cell in row.split("│")[2:-1]] == [
        "0.7099",
        "1.0000",
        "1.0000",
        "1.0000",
        "1.0000",
        "0.4307",
        "1.0000",
    ]


def test_below_the_table_are_scores_stages_and_the_best_baseline(report):
    text = text_of(report)
    assert re.search(r"Scores of the candidates: AUC 0\.\d{4} \[.*log loss \d.*calibration error \d", text)
    assert "Stage retrieval: recall@100 all 1.0000" in text
    assert re.search(r"Stage ranking: ndcg@10 all 0\.\d{4}, ndcg@10 new 1\.0000", text)
    assert re.search(r"NDCG@10 all over the best baseline \(.+\): \d\.\d{4}", text)


def test_the_best_baseline_is_the_one_with_the_highest_ndcg(report):
    name, ratio = best_baseline(report)
    values = {key: other.metrics["ndcg@10"].value for key, other in report.baselines.items()}
    assert values[name] == max(values.values())
    assert ratio.value == pytest.approx(report.metrics["ndcg@10"].value / values[name])


def test_an_undefined_value_shows_a_dash():
    assert shown(None) == shown(MetricValue(float("nan"), 0.0, 1.0, 0), interval=True) == "–"
    assert shown(MetricValue(0.5, float("nan"), float("nan"), 3), interval=True) == "0.5000"
    assert shown(MetricValue(0.5, 0.4, 0.6, 3), interval=True) == "0.5000 [0.4000–0.6000]"


def test_the_page_is_self_contained_and_escapes_text(report):
    html = page(report)
    assert html.count("<svg") == 3
    assert "bundle &lt;7&gt;" in html
    assert not re.search(r"<(script|link|img|iframe)|@import|src=", html)
    # SVG names its namespaces by address and refers to its own parts; nothing is fetched.
    assert all(ref.startswith("#") for ref in re.findall(r'href="([^"]*)"', html))
    for heading in ("NDCG@10 all", "personal frequency", "novelty@10", "predicted probability"):
        assert heading in html


def test_without_probabilities_the_page_has_no_reliability_plot(report):
    other = report.baselines["ease"]
    assert page(other).count("<svg") == 2
    assert "Scores of the candidates: AUC" in text_of(other)


def test_the_same_report_gives_the_same_page(report):
    assert page(report) == page(report)
