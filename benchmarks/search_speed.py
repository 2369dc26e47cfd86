"""Latency of an answer of the search with a cross-encoder, compared with an off-the-shelf pipeline.

    python -m benchmarks.search_speed [--workspace DIR]

The pipeline encodes the query, searches a flat FAISS index of the texts, and scores 100 of them with MiniLM-L6 as a
cross-encoder, which is not trained. Its precision is therefore that of its nearest texts, each represented by its
best-selling item. Both answer the words of the same product types, in one thread. Where the workspace's model has no
cross-encoder over query and item, an untrained one is put in, which costs as much as a trained one and changes no
answer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.one_user import best_sellers, load_catalogue
from benchmarks.paired import Rival, say
from eval.search.personal import type_queries
from ranking.cross_encoder.model import CrossEncoder
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.export import answering_files
from recsys.artifacts.model import Model, ServedModel
from recsys.recommend.open import open_recommender
from recsys.recommend.pipeline import Recommender
from recsys.settings.settings import load_settings
from recsys.snapshot.encode import EncodeOptions, encode_catalog
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from eval.search.query_set import QuerySet

QUERIES, K = 50, 10


def with_cross_encoder(workspace: Workspace, recommender: Recommender) -> tuple[Recommender, bool]:
    """Return the recommender with a cross-encoder over query and item, and whether it is the model's own."""
    if recommender.model.pairs is not None:
        return recommender, True
    model = Model.from_files(Bundle.open(workspace.models).files)
    model = replace(model, pairs=CrossEncoder.upon(model.encoder, load_settings().search.pairs))
    snapshot = recommender.snapshot
    states = encode_catalog(snapshot.catalog, model, workspace.cache, options=EncodeOptions(states=True)).states
    return Recommender(ServedModel(answering_files(model, "")), replace(snapshot, states=states), recommender.bundle_id), False


def precision(rows: np.ndarray, queries: QuerySet) -> np.ndarray:
    """Return the share of relevant items in lists (b, K), float (b,)."""
    return queries.judgments.relevant.hits(rows).mean(axis=1)


def main() -> None:
    """Print a row for unknown visitors, one for known users, and one for answers without the cross-encoder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    workspace = Workspace(parser.parse_args().workspace)
    plain = open_recommender(workspace)
    recommender, own = with_cross_encoder(workspace, plain)
    snapshot = recommender.snapshot
    queries = type_queries(snapshot.catalog, QUERIES)
    users = np.random.default_rng(0).choice(snapshot.log.user_ids, QUERIES).tolist()
    searches = {"nobody": Search(recommender), "known_user": Search(recommender), "without_cross_encoder": Search(plain)}
    seconds: dict[str, list[float]] = {name: [] for name in (*searches, "pipeline")}
    lists, nearest = np.full((QUERIES, K), -1, dtype=np.int64), []
    with tempfile.TemporaryDirectory() as name, Rival("pipeline.py", "RIVALS") as rival:
        rival.ask(do="limit", threads=1)
        load_catalogue(snapshot, workspace.cache, rival, Path(name))
        seller = best_sellers(snapshot)
        for place in range(-1, QUERIES):  # the first is not counted
            text, user = queries.queries[place], users[place]
            found = {}
            for kind, search in searches.items():
                begun = time.perf_counter()
                found[kind] = search.answer(SearchOptions(k=K), [(text, user if kind == "known_user" else None)])[0]
                seconds[kind].append(time.perf_counter() - begun)
            answer = rival.ask(do="answer", history=text)
            seconds["pipeline"].append(answer["seconds"])
            if place >= 0:
                rows = snapshot.catalog.rows([item.item_id for item in found["nobody"].items])
                lists[place, : len(rows)] = rows
                nearest.append(seller[answer["nearest"]])
    ours, theirs = precision(lists, queries), precision(np.array(nearest), queries)
    drawn = np.random.default_rng(0).integers(0, QUERIES, (2000, QUERIES))
    low, high = np.quantile((ours - theirs)[drawn].mean(axis=1), [0.025, 0.975])
    kept = float(ours.mean() / max(theirs.mean(), 1e-9))
    figures = {"precision@10": ours.mean(), "precision@10_pipeline": theirs.mean(), "gain_low": low, "gain_high": high}
    more = {name: round(float(value), 4) for name, value in figures.items()} | {"trained_cross_encoder": own}
    pipeline = np.array(seconds["pipeline"][1:])
    for kind in searches:
        times = np.array(seconds[kind][1:])
        ms = {"ms": round(float(np.median(times)) * 1000, 1), "ms_pipeline": round(float(np.median(pipeline)) * 1000)}
        say(f"search_{kind}_p50", pipeline / times, 20, kept if kind == "nobody" else None, **ms, **(more if kind == "nobody" else {}))


if __name__ == "__main__":
    main()
