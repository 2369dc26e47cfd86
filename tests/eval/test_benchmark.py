"""The table of a benchmark, its figures worked out on paper: see `paper_split` for who bought what."""

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
from eval.protocol.benchmark_table import Judged, Kind, Result, Split, tabulate
from eval.protocol.evaluate import EvaluateConfig, System, evaluate, judged, lists_of
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluationRunner
from eval.reports.benchmark import markdown, page, table
from retrieval.collaborative.scoring import Weighting

QUICK = EvaluateConfig(resamples=50)
SETTINGS = BaselineSettings(personal_frequency=Weighting(half_life=1.0))
KINDS = ("all", "new", "cold", "unseen")
LOG3, LOG5 = math.log2(3), math.log2(5)
# u0 wants 0 and 2, and everybody is offered 0 1 2 3.
FIRST_AND_THIRD = (1 + 1 / 2) / (1 + 1 / LOG3)
# With a half-life of a day u0 is offered 1 0 2 3 (1 a day after the second 0, which together weigh three quarters of it), u1 2 0 1 3.
SECOND_AND_THIRD = (1 / LOG3 + 1 / 2) / (1 + 1 / LOG3)
RATIO = (FIRST_AND_THIRD + 1 / 2) / (SECOND_AND_THIRD + 1)


def one(name, paper_split, kind: Kind = "baseline", kinds=KINDS):
    retrieve = fit_baseline("popular" if kind == "ours" else name, paper_split.history, paper_split.cut, SETTINGS).retrieve
    return Judged.of(name, kind, evaluate(System(retrieve), paper_split, QUICK, kinds=kinds))


@pytest.fixture
def systems(paper_split):
    return [one("ours", paper_split, "ours"), one("popular", paper_split), one("personal_frequency", paper_split)]


@pytest.fixture
def result(systems):
    lists = ("all", "repeat", "new", "cold", "unseen")
    best, rows = tabulate(systems, lists, Bootstrap(50))
    split = Split(protocol="by hand", cut="2024-01-11T00:00", users=3, of_users=3, items=4)
    about = {"settings": {"preset": "quick", "evaluate": {}}, "versions": {"python": "3"}, "machine": {"cores": 2}}
    return Result(name="paper", data="Paper <shop>", split=split, lists=lists, best=best, rows=rows, **about)


def figures(result, name, metric):
    row = next(row for row in result.rows if row.name == name)
    return {part: found[metric].value for part, found in row.lists.items()}


def test_popular_on_paper(result):
    # New to u0: 2, offered first. Not known before: u0 wants 5 behind 2 3 4, u2 wants 4 behind 0 1 2. Unseen: u0 wants 2 and 5, u2 wants 4.
    unseen = ((1 + 1 / LOG5) / (1 + 1 / LOG3) + 1 / LOG5) / 2
    expected = {"all": (FIRST_AND_THIRD + 1 / 2) / 2, "repeat": (1 + 1 / 2) / 2, "new": 1.0, "cold": 1 / LOG5, "unseen": unseen}
    assert figures(result, "popular", "ndcg@10") == pytest.approx(expected)
    assert figures(result, "popular", "recall@10") == pytest.approx(dict.fromkeys(expected, 1.0))


def test_personal_frequency_on_paper(result):
    found = figures(result, "personal_frequency", "ndcg@10")
    assert found["all"] == pytest.approx((SECOND_AND_THIRD + 1) / 2)
    assert found["repeat"] == pytest.approx((1 / LOG3 + 1) / 2)
    assert {part: found[part] for part in ("new", "cold")} == pytest.approx({"new": 1.0, "cold": 1 / LOG5})


def test_ratios_on_paper(result):
    assert result.best["all"] == result.best["repeat"] == "personal_frequency"
    assert figures(result, "ours", "over_best")["all"] == pytest.approx(RATIO)
    assert figures(result, "personal_frequency", "ours_over")["all"] == pytest.approx(RATIO)
    assert figures(result, "popular", "ours_over")["all"] == 1.0
    assert figures(result, "personal_frequency", "over_best")["repeat"] == 1.0
    ours = result.ours.lists["all"]["over_best"]
    assert ours.low is not None
    assert ours.high is not None
    assert ours.low <= RATIO <= ours.high
    assert ours.users == 2


def test_ours_stands_first_and_the_baselines_from_the_best_down(systems):
    _, rows = tabulate(systems, ("all",), Bootstrap(50))
    assert [row.name for row in rows] == ["ours", "personal_frequency", "popular"]


def test_a_list_that_a_system_was_not_asked_for_has_no_figures(systems, paper_split):
    rival = one("popular", paper_split, kinds=("new",))
    best, rows = tabulate([*systems[:1], rival], ("all", "new"), Bootstrap(50))
    assert best == {"new": "popular"}
    assert rows[1].lists.keys() == {"new"}
    assert "over_best" not in rows[0].lists["all"]


def test_a_log_of_steps_is_judged_by_what_is_unseen(paper_split):
    assert "unseen" not in lists_of(paper_split)
    stepped = replace(paper_split, history=replace(paper_split.history, ordinal=True))
    assert "unseen" in lists_of(stepped)


def test_several_asked_together_answer_as_each_alone(paper_split):
    names = ("popular", "personal_frequency")
    retrieve = {name: fit_baseline(name, paper_split.history, paper_split.cut, SETTINGS).retrieve for name in names}
    judge = EvaluationRunner(GroundTruth.of(paper_split), QUICK, lambda _label, _done, _total: None)
    item_knn = {
        kind: judge.ask_several(lambda *asked: {name: one(*asked) for name, one in retrieve.items()}, names, kind, 20) for kind in KINDS
    }
    for name in names:
        alone = {kind: judge.ask(retrieve[name], kind, 20) for kind in KINDS}
        for kind in KINDS:
            np.testing.assert_array_equal(item_knn[kind][name].rows, alone[kind].rows)
        report = judged(judge, alone)
        assert report.metrics["ndcg@10"] == evaluate(System(retrieve[name]), paper_split, QUICK, kinds=KINDS).metrics["ndcg@10"]


def test_a_judged_system_comes_back_from_its_files(paper_split):
    retrieve = fit_baseline("popular", paper_split.history, paper_split.cut, SETTINGS).retrieve
    report = evaluate(System(retrieve, calibrated=True), paper_split, QUICK, kinds=("all", "new"))
    found = Judged.of("ours", "ours", report, seconds={"fit": 1.5}, lists=4, note="n", settings={"a": [1]})
    again = Judged.from_files(found.to_files())
    assert {key: value for key, value in vars(again).items() if key != "per_user"} == {
        key: value for key, value in vars(found).items() if key != "per_user"
    }
    assert again.scores.keys() == {"auc", "log_loss", "ece"}
    assert again.per_user.keys() == found.per_user.keys() == {"all", "repeat", "new"}
    for part, columns in found.per_user.items():
        for metric, column in columns.items():
            np.testing.assert_array_equal(again.per_user[part][metric], column)


def test_the_json_is_strict_and_comes_back(result):
    text = result.to_json()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert Result.model_validate_json(text) == result


def test_the_table_says_what_the_figures_say(result):
    console = Console(width=260, file=io.StringIO(), record=True)
    console.print(table(result))
    text = console.export_text()
    assert "3 users, 4 known items; by hand" in text
    ours = next(line for line in text.splitlines() if line.strip().startswith("ours"))
    assert f"{(FIRST_AND_THIRD + 1 / 2) / 2:.4f}".lstrip("0") in ours
    assert re.search(rf"NDCG@10 all: ours is {RATIO:.3f} \[.*\] times the best baseline, personal frequency", text)


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(result):
    html = page(result)
    assert "Paper &lt;shop&gt;" in html
    assert "<svg" in html
    assert not re.search(r"(src|href)\s*=\s*[\"']?http", html.replace("http://www.w3.org", ""))
    assert page(result) == html


def test_the_section_of_the_docs_has_a_row_a_system(result):
    text = markdown(result)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["", "ours", "personal frequency", "popular"]
    assert len({row.count("|") for row in rows}) == 1
