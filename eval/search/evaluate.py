"""Evaluates searches: one function for ours, ours without its parts, and the baselines, on the same queries.

Every list is ranked over the whole catalogue. Intervals are bootstrapped over queries, or over customers where they ask.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.intervals import Bootstrap
from eval.metrics.judged import Judgments, graded_ndcg, judged, precision
from eval.metrics.lists import average_precision, mrr, recall
from eval.search.report import OneEdit, SearchReport, SearchResult
from eval.search.variations import misspelt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eval.protocol.runner import Progress
    from eval.search.query_set import QuerySet, SearchRun

DEPTH = 100  # places of a list that are looked at
BATCH = 256  # queries asked at once


def evaluate_search(
    runs: Mapping[str, SearchRun], queries: QuerySet, boot: Bootstrap | None = None, progress: Progress | None = None
) -> SearchReport:
    """Evaluate systems on the same queries.

    Parameters
    ----------
    runs : by name, ours first
    """
    boot = boot or Bootstrap()
    results = {}
    for name, run in runs.items():
        rows = ask(run, queries, DEPTH, None if progress is None else lambda done, of, name=name: progress(name, done, of))
        results[name] = _result(rows, queries, boot)
    ours, *others = runs
    main = results[ours].per_query["ndcg@10"]
    paired = {name: (main, results[name].per_query["ndcg@10"], queries.clusters) for name in others}
    return SearchReport(
        queries=queries,
        ours=results[ours],
        baselines={name: results[name] for name in others},
        ratios={name: boot.paired_ratio(*columns) for name, columns in paired.items()},
        differences={name: boot.paired_difference(*columns) for name, columns in paired.items()},
    )


def ask(run: SearchRun, queries: QuerySet, k: int, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """Return the lists of a system, int64 (b, k), asked `BATCH` queries at a time.

    Raises
    ------
    ValueError
        The system answered with another number of lists, or with rows outside the catalogue.
    """
    parts = []
    for begin in range(0, len(queries), BATCH):
        some = queries.queries[begin : begin + BATCH]
        rows = run(some, queries.users[begin : begin + BATCH], k)
        if len(rows) != len(some) or rows.min(initial=-1) < -1 or rows.max(initial=-1) >= queries.judgments.pairs.n_items:
            raise ValueError(f"{rows.shape[0]} lists for {len(some)} queries, or rows outside the catalogue: expected one list a query")
        parts.append(np.pad(rows[:, :k], ((0, 0), (0, max(k - rows.shape[1], 0))), constant_values=-1))
        if progress is not None:
            progress(begin + len(some), len(queries))
    return np.concatenate(parts) if parts else np.empty((0, k), dtype=np.int64)


def metrics_of(rows: np.ndarray, judgments: Judgments) -> dict[str, np.ndarray]:
    """Return every metric of lists of at least `DEPTH` places, float (b,) each; nan where a query has nothing relevant."""
    relevant = judgments.relevant
    return {
        "ndcg@10": graded_ndcg(rows, judgments, 10),
        "mrr@10": mrr(rows, relevant, 10),
        "precision@10": precision(rows, judgments, 10),
        "recall@100": recall(rows, relevant, DEPTH),
        "map@100": average_precision(rows, relevant, DEPTH),
        "judged@10": judged(rows, judgments, 10),
        "empty": (rows < 0).all(axis=1).astype(float),
    }


def one_edit(run: SearchRun, queries: QuerySet, boot: Bootstrap | None = None, seed: int = 0) -> OneEdit:
    """Return how much precision a search keeps when each query has one edit in a word; queries without a long word are left out."""
    boot = boot or Bootstrap()
    edited = [misspelt(text, seed) for text in queries.queries]
    lists = {
        name: ask(run, replace(queries, queries=tuple(texts)), 10)
        for name, texts in (("typed", queries.queries), ("edited", [text or "" for text in edited]))
    }
    possible = np.array([text is not None for text in edited])
    typed, misread = (np.where(possible, precision(rows, queries.judgments, 10), np.nan) for rows in lists.values())
    means = boot.means({"typed": typed, "edited": misread}, queries.clusters)
    return OneEdit(means["typed"], means["edited"], boot.paired_ratio(misread, typed, queries.clusters))


def _result(rows: np.ndarray, queries: QuerySet, boot: Bootstrap) -> SearchResult:
    values = metrics_of(rows, queries.judgments)
    slices = {
        name: boot.means({metric: np.where(members, column, np.nan) for metric, column in values.items()}, queries.clusters)
        for name, members in queries.slices.items()
    }
    return SearchResult(boot.means(values, queries.clusters), slices, values, rows[:, :10])
