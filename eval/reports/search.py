"""Presents a search evaluation: tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from eval.reports.evaluation import shown
from features.text.plain import counted, plain

if TYPE_CHECKING:
    from eval.search.report import SearchReport, SearchResult

COLUMNS = (("NDCG@10", "ndcg@10"), ("MRR@10", "mrr@10"), ("P@10", "precision@10"), ("Recall@100", "recall@100"), ("Judged@10", "judged@10"))
SHOWN = 5  # worst queries
PROTOCOLS = {
    "judged": "judged queries",
    "personal": "households' queries for product types, judged by what they then bought",
    "log": "searches of the log, judged by what was then clicked and bought",
    "simulated": "simulated searches, judged by what was then bought",
}


def table(report: SearchReport) -> Group:
    """Return what `recsys evaluate search` prints: ours, then the baselines; below it the kinds of query, and notes."""
    queries = report.queries
    about = f"{counted(queries.judged_queries, 'query', 'queries')}, {PROTOCOLS[queries.name]}, whole catalogue ranked"
    grid = Table(title=about)
    for heading in ("", *(heading for heading, _ in COLUMNS), "Ours / it", "Ours - it"):
        grid.add_column(heading, justify="right" if heading else "left")
    for name, result in systems(report).items():
        cells = [shown(result.metrics[metric], interval=not place) for place, (_, metric) in enumerate(COLUMNS)]
        against = [shown(values.get(name.replace(" ", "_")), interval=True) for values in (report.ratios, report.differences)]
        ours = result is report.ours
        grid.add_row(name, *cells, *(("", "") if ours else against), style="bold" if ours else "")
    return Group(grid, *([_slices(report)] if report.ours.slices else []), *(Text(line) for line in lines(report)))


def systems(report: SearchReport) -> dict[str, SearchResult]:
    """Return the results of ours and of the baselines, by the name that is shown."""
    return {"ours": report.ours} | {name.replace("_", " "): result for name, result in report.baselines.items()}


def lines(report: SearchReport) -> list[str]:
    """Return the lines below the tables."""
    out = []
    if report.one_edit is not None:
        kept, typed = shown(report.one_edit.kept, interval=True), shown(report.one_edit.typed)
        out.append(f"One edit in a word of {counted(report.one_edit.kept.users, 'query', 'queries')}: {kept} of P@10 {typed} kept")
    worst = [f"{plain(one['query'])!r} {one['ndcg@10']:.2f} (best other {one['best_baseline']:.2f})" for one in report.worst()[:SHOWN]]
    if worst:
        out.append(f"Worst: {', '.join(worst)}; more with --json")
    without = len(report.queries) - report.queries.judged_queries
    notes = [f"{counted(without, 'query', 'queries')} without a relevant item left out"] if without else []
    return [*out, *(f"note: {note}" for note in (*notes, *report.queries.notes))]


def _slices(report: SearchReport) -> Table:
    """Return NDCG@10 by kind of query: ours, and the baseline that is best on it."""
    grid = Table(title="NDCG@10 by kind of query")
    for heading in ("", "queries", "ours", "best baseline", ""):
        grid.add_column(heading, justify="left" if not heading else "right")
    for name, metrics in report.ours.slices.items():
        if np.isnan(metrics["ndcg@10"].value):
            continue
        others = {key: result.slices[name]["ndcg@10"] for key, result in report.baselines.items()}
        best = max(others, key=lambda key: others[key].value, default=None)
        of = ("–", "") if best is None else (shown(others[best]), best.replace("_", " "))
        grid.add_row(name, f"{metrics['ndcg@10'].users:,}", shown(metrics["ndcg@10"], interval=True), *of)
    return grid
