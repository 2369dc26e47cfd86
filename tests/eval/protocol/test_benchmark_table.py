"""The table of a benchmark, its values worked out on paper: see `paper_split` for who bought what."""

import io
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from eval.baselines.registry import BaselineSettings, fit_baseline
from eval.metrics.intervals import Bootstrap
from eval.protocol.benchmark_table import BenchmarkSplit, EvaluatedSystem, Kind, Result, tabulate
from eval.protocol.evaluate import EvaluateConfig, System, build_report, evaluate, lists_of
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluationRunner
from eval.reports.benchmark import markdown, page, table
from retrieval.collaborative.scoring import Weighting

QUICK = EvaluateConfig(resamples=50)
SETTINGS = BaselineSettings(personal_frequency=Weighting(half_life=1.0))
KINDS = ("all", "new", "few", "cold", "unseen")
LOG3, LOG5 = math.log2(3), math.log2(5)
# Relevant to u0: 0 and 2. Every list is 0 1 2 3.
FIRST_AND_THIRD = (1 + 1 / 2) / (1 + 1 / LOG3)
# With a half-life of a day u0 gets 1 0 2 3 (the two 0s weigh three quarters of the later 1), u1 gets 2 0 1 3.
SECOND_AND_THIRD = (1 / LOG3 + 1 / 2) / (1 + 1 / LOG3)
RATIO = (FIRST_AND_THIRD + 1 / 2) / (SECOND_AND_THIRD + 1)


def one(name, paper_split, kind: Kind = "baseline", kinds=KINDS):
    retrieve = fit_baseline("popular" if kind == "ours" else name, paper_split.history, paper_split.cut, SETTINGS).retrieve
    return EvaluatedSystem.of(name, kind, evaluate(System(retrieve), paper_split, QUICK, kinds=kinds))


@pytest.fixture
def systems(paper_split):
    return [one("ours", paper_split, "ours"), one("popular", paper_split), one("personal_frequency", paper_split)]


@pytest.fixture
def result(systems):
    lists = ("all", "repeat", "new", "cold", "unseen")
    best, rows = tabulate(systems, lists, Bootstrap(50))
    split = BenchmarkSplit(protocol="by hand", cut="2024-01-11T00:00", users=3, of_users=3, items=4)
    about = {"settings": {"preset": "quick", "evaluate": {}}, "versions": {"python": "3"}, "machine": {"cores": 2}}
    return Result(name="paper", data="Paper <shop>", split=split, lists=lists, best=best, rows=rows, **about)


def values(result, name, metric):
    row = next(row for row in result.rows if row.name == name)
    return {part: found[metric].value for part, found in row.lists.items()}


def test_popular_on_paper(result):
    # New to u0: 2, in the first place. Cold: 5 of u0 after 2 3 4, 4 of u2 after 0 1 2. Unseen: 2 and 5 of u0, 4 of u2.
    unseen = ((1 + 1 / LOG5) / (1 + 1 / LOG3) + 1 / LOG5) / 2
    expected = {"all": (FIRST_AND_THIRD + 1 / 2) / 2, "repeat": (1 + 1 / 2) / 2, "new": 1.0, "cold": 1 / LOG5, "unseen": unseen}
    assert values(result, "popular", "ndcg@10") == pytest.approx(expected)
    assert values(result, "popular", "recall@10") == pytest.approx(dict.fromkeys(expected, 1.0))


def test_personal_frequency_on_paper(result):
    found = values(result, "personal_frequency", "ndcg@10")
    assert found["all"] == pytest.approx((SECOND_AND_THIRD + 1) / 2)
    assert found["repeat"] == pytest.approx((1 / LOG3 + 1) / 2)
    assert {part: found[part] for part in ("new", "cold")} == pytest.approx({"new": 1.0, "cold": 1 / LOG5})


def test_ratios_on_paper(result):
    assert result.best["all"] == result.best["repeat"] == "personal_frequency"
    assert values(result, "ours", "over_best")["all"] == pytest.approx(RATIO)
    assert values(result, "personal_frequency", "ours_over")["all"] == pytest.approx(RATIO)
    assert values(result, "popular", "ours_over")["all"] == 1.0
    assert values(result, "personal_frequency", "over_best")["repeat"] == 1.0
    ours = result.ours.lists["all"]["over_best"]
    assert ours.low is not None
    assert ours.high is not None
    assert ours.low <= RATIO <= ours.high
    assert ours.users == 2


def test_ours_stands_first_and_the_baselines_from_the_best_down(systems):
    _, rows = tabulate(systems, ("all",), Bootstrap(50))
    assert [row.name for row in rows] == ["ours", "personal_frequency", "popular"]


def test_a_list_without_results_of_a_system_has_no_values(systems, paper_split):
    baseline = one("popular", paper_split, kinds=("new",))
    best, rows = tabulate([*systems[:1], baseline], ("all", "new"), Bootstrap(50))
    assert best == {"new": "popular"}
    assert rows[1].lists.keys() == {"new"}
    assert "over_best" not in rows[0].lists["all"]


def test_a_log_of_steps_is_evaluated_on_unseen_items(paper_split):
    assert "unseen" not in lists_of(paper_split)
    stepped = replace(paper_split, history=replace(paper_split.history, ordinal=True))
    assert "unseen" in lists_of(stepped)


def test_several_systems_run_together_give_the_lists_of_each_alone(paper_split):
    names = ("popular", "personal_frequency")
    retrieve = {name: fit_baseline(name, paper_split.history, paper_split.cut, SETTINGS).retrieve for name in names}
    runner = EvaluationRunner(GroundTruth.of(paper_split), QUICK, lambda _label, _done, _total: None)
    together = {
        kind: runner.run_several(lambda *request: {name: one(*request) for name, one in retrieve.items()}, names, kind, 20)
        for kind in KINDS
    }
    for name in names:
        alone = {kind: runner.run(retrieve[name], kind, 20) for kind in KINDS}
        for kind in KINDS:
            np.testing.assert_array_equal(together[kind][name].rows, alone[kind].rows)
        report = build_report(runner, alone)
        assert report.metrics["ndcg@10"] == evaluate(System(retrieve[name]), paper_split, QUICK, kinds=KINDS).metrics["ndcg@10"]


def test_an_evaluated_system_survives_a_round_trip_through_files(paper_split):
    retrieve = fit_baseline("popular", paper_split.history, paper_split.cut, SETTINGS).retrieve
    report = evaluate(System(retrieve, calibrated=True), paper_split, QUICK, kinds=("all", "new"))
    found = EvaluatedSystem.of("ours", "ours", report, seconds={"fit": 1.5}, lists=4, note="n", settings={"a": [1]})
    again = EvaluatedSystem.from_files(found.to_files())
    assert {key: value for key, value in vars(again).items() if key != "per_user"} == {
        key: value for key, value in vars(found).items() if key != "per_user"
    }
    assert again.scores.keys() == {"auc", "log_loss", "ece"}
    assert again.per_user.keys() == found.per_user.keys() == {"all", "repeat", "new"}
    for part, columns in found.per_user.items():
        for metric, column in columns.items():
            np.testing.assert_array_equal(again.per_user[part][metric], column)


def test_the_json_is_strict_and_survives_a_round_trip(result):
    text = result.to_json()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert Result.model_validate_json(text) == result


def test_the_table_shows_the_values(result):
    console = Console(width=260, file=io.StringIO(), record=True)
    console.print(table(result))
    text = console.export_text()
    assert "3 users, 4 known items; by hand" in text
    ours = next(line for line in text.splitlines() if line.strip().startswith("ours"))
    assert f"{(FIRST_AND_THIRD + 1 / 2) / 2:.4f}".lstrip("0") in ours
    assert re.search(rf"NDCG@10 all: ours is {RATIO:.3f} \[.*\] times the best baseline, personal frequency", text)


def test_the_page_is_self_contained_and_escapes_text(result):
    html = page(result)
    assert "Paper &lt;shop&gt;" in html
    assert "<svg" in html
    assert not re.search(r"(src|href)\s*=\s*[\"']?http", html.replace("http://www.w3.org", ""))
    assert page(result) == html


def test_the_docs_section_has_a_row_a_system(result):
    text = markdown(result)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["", "ours", "personal frequency", "popular"]
    assert len({row.count("|") for row in rows}) == 1
