"""The tables of `recsys evaluate search`."""

import numpy as np
from rich.console import Console

from eval.metrics.intervals import Bootstrap
from eval.metrics.judged import Judgments
from eval.reports.search import lines, table
from eval.search.evaluate import evaluate_search, one_edit
from eval.search.query_set import QuerySet

JUDGMENTS = Judgments.of(np.array([0, 1]), np.array([0, 1]), np.ones(2), 3, 9)
QUERIES = QuerySet("judged", ("green tea", "rye [red]\x1b[31mbread", "nothing"), (None,) * 3, JUDGMENTS, notes=("2 rows left out",))
SLICES = {"typo": np.array([True, False, False]), "undefined": np.array([False, False, True])}


def right(queries, _users, _k):
    return np.array([[0] if "tea" in text else [1] for text in queries])


def wrong(queries, _users, _k):
    return np.full((len(queries), 1), 5)


def shown(report):
    console = Console(width=200, record=True)
    console.print(table(report))
    return console.export_text()


def test_systems_slices_and_notes_are_shown():
    report = evaluate_search({"ours": right, "bm25_then_popular": wrong}, QUERIES.with_slices(SLICES), Bootstrap(20))
    text = shown(report.also(one_edit=one_edit(right, QUERIES, Bootstrap(20))))
    assert "2 queries, judged queries, whole catalogue ranked" in text
    assert "bm25 then popular" in text
    assert "1.0000 [1.0000–1.0000]" in text
    assert "typo" in text
    assert "undefined" not in text
    assert "note: 2 rows left out" in text
    assert "note: 1 query without a relevant item left out" in text
    assert "One edit in a word of 1 query" in text


def test_words_of_customers_cannot_change_the_terminal():
    report = evaluate_search({"ours": wrong}, QUERIES, Bootstrap(20))
    worst = next(line for line in lines(report) if line.startswith("Worst"))
    assert "rye [red] [31mbread" in worst
    assert "\x1b" not in shown(report)
