"""Precision that the search keeps when each query has one edit in a word.

    python -m benchmarks.search_typos [--workspace DIR] [--seeds N] [--show]

The queries are the words of 200 product types of the workspace's catalogue, asked by nobody; all items of a type are
relevant. The edit leaves out, doubles, replaces or swaps letters of a word of four letters or more, never the first.
`--show` lists the queries that lose, with how they were read.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.metrics.intervals import Bootstrap
from eval.metrics.judged import precision
from eval.search.evaluate import ask
from eval.search.personal import type_queries
from eval.search.variations import misspelt
from recsys.apps.search.evaluate import runs
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.recommend.open import open_recommender
from recsys.workspace.workspace import Workspace

QUERIES, K = 200, 10


def main() -> None:
    """Print one row: over the seeds, each of which draws queries and edits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    search = Search(open_recommender(Workspace(options.workspace)))
    run, before, after = runs(search)["ours"], [], []
    for seed in range(options.seeds):
        queries = type_queries(search.recommender.snapshot.catalog, QUERIES, seed)
        edited = replace(queries, queries=tuple(misspelt(text, seed) or text for text in queries.queries))
        typed, misread = (precision(ask(run, some, K), queries.judgments, K) for some in (queries, edited))
        before, after = [*before, typed], [*after, misread]
        for place in np.argsort(misread - typed, kind="stable") if options.show else ():
            if misread[place] < typed[place]:
                answer = search.answer(SearchOptions(), [(edited.queries[place], None)])[0]
                print(f"{queries.queries[place]} > {edited.queries[place]} > {answer.read_as}: {typed[place]:.1f} > {misread[place]:.1f}")
    typed, misread = np.concatenate(before), np.concatenate(after)
    kept = Bootstrap().paired_ratio(misread, typed)
    row = {"name": "search_one_edit", "ratio": kept.value, "low": kept.low, "high": kept.high}
    row = {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
    figures = {"precision@10": round(float(np.nanmean(typed)), 4), "precision@10_edited": round(float(np.nanmean(misread)), 4)}
    print(json.dumps(row | {"target": 0.95, "kept": None, "pairs": len(typed)} | figures), flush=True)


if __name__ == "__main__":
    main()
