"""Processor seconds and bytes of each piece of work, per million of what it grows with.

    python -m benchmarks.scale.unit_costs --workspace DIR [--events N]

Each piece runs at two sizes. `ratio` is the cost of a unit at the larger size over that at the smaller one: 1 where the cost is
proportional. The log and the vectors are made up, with the proportions of `benchmarks.scale.shop`; texts, lists and bytes are those of the
workspace's bundle, which must hold a trained model.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from benchmarks.paired import say
from benchmarks.scale.shop import EVENTS_A_USER, EVENTS_AN_ITEM
from features.behavior.item_stats import ItemStats
from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.progress import silent
from features.text.state_cache import cached_states
from features.text.template import item_texts
from recsys.recommend.open import open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh.build import current_model
from recsys.settings.settings import load_settings
from recsys.workspace.workspace import Workspace
from retrieval.collaborative.als import ALS
from retrieval.collaborative.ease import EASE
from retrieval.collaborative.item_knn import ItemToItem
from retrieval.index import IndexConfig, ItemIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from recsys.artifacts.model import Model
    from recsys.recommend.pipeline import Recommender

MILLION, GROWTH = 1_000_000, 4
DIM = 128
START, YEAR = 1_700_000_000, 365 * DAY


def main() -> None:
    """Print a row for each piece of work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--events", type=int, default=2_000_000, help="of the larger log")
    options = parser.parse_args()
    workspace, settings = Workspace(options.workspace), load_settings(None)
    sizes = (options.events // GROWTH, options.events)
    logs = {events: made_log(events) for events in sizes}
    of_log: dict[str, Callable[[Interactions], Any]] = {
        "ease": EASE.fit,
        "item_knn": ItemToItem.fit,
        "als": ALS.fit,
        "statistics": lambda log: ItemStats.fit(log, made_catalog(log.n_items), log.end),
    }
    row("ingest", {events: ingested(logs[events]) for events in sizes}, "events")
    for name, fit in of_log.items():
        row(name, {events: cost(fit, logs[events]) for events in sizes}, "events")
    row("index", {count: cost(indexed, unit_vectors(count)) for count in (50_000, 200_000)}, "vectors")
    model, recommender = current_model(workspace, settings), open_recommender(workspace)
    row("encode", {count: cost(encoded, model, recommender, count) for count in (500, 2_000)}, "texts")
    row("lists", {count: cost(listed, recommender, count) for count in (100, 400)}, "users")
    stored(recommender)


def made_log(events: int) -> Interactions:
    """Return a log of a year in which few items are bought often, and each user buys from a tenth of the catalogue."""
    random = np.random.default_rng(events)
    users, items = events // EVENTS_A_USER, max(1_000, events // EVENTS_AN_ITEM)
    user = np.sort(random.integers(0, users, events)).astype(np.int32)
    ranks = np.minimum(random.pareto(0.8, events) * items / 100, items - 1).astype(np.int64)
    item = ((ranks // 10) * 10 + user % 10) % items  # a user's tenth
    time_of = START + random.integers(0, YEAR, events)
    order = np.lexsort((time_of, user))
    ones = np.ones(events, np.float32)
    ids = np.array([f"u{number:09}" for number in range(users)], dtype=object)
    return Interactions(
        ids, user, item[order].astype(np.int32), time_of[order], np.zeros(events, np.int8), ones, ones.astype(np.float64), items
    )


def made_catalog(items: int) -> Catalog:
    """Return a catalogue of texts of four words."""
    return Catalog.from_frame(made_items(items))


def made_items(items: int) -> pl.DataFrame:
    """Return the table of that catalogue."""
    numbers = np.arange(items)
    titles = [f"Product {number % 997} kind {number % 89} size {number}" for number in numbers.tolist()]
    return pl.DataFrame({"item_id": [f"i{number:09}" for number in numbers.tolist()], "title": titles})


def unit_vectors(count: int) -> np.ndarray:
    """Return vectors around centres, float32 (count, DIM), of unit norm."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(1_000, DIM))
    vectors = centres[random.integers(0, len(centres), count)] + random.normal(scale=0.7, size=(count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def cost(work: Callable[..., Any], *parts: Any) -> float:
    """Return the processor seconds of a call, all threads included."""
    begun = time.process_time()
    work(*parts)
    return time.process_time() - begun


def ingested(log: Interactions) -> float:
    """Return the processor seconds in which the log is ingested from Parquet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made_items(log.n_items).write_parquet(folder / "items.parquet")
        rows = {
            "user_id": pl.Series(log.user_ids.astype(str)).gather(log.user),
            "item_id": pl.Series(log.item).cast(pl.String).str.zfill(9),
            "timestamp": pl.Series(log.time * 1_000_000).cast(pl.Datetime("us")),
        }
        pl.DataFrame(rows).with_columns(item_id="i" + pl.col("item_id")).write_parquet(folder / "log.parquet")
        source = Source(items=folder / "items.parquet", interactions=folder / "log.parquet")
        return cost(ingest, source, folder / "data")


def indexed(vectors: np.ndarray) -> ItemIndex:
    """Return an index of the kind that large catalogues have."""
    return ItemIndex.build(vectors, IndexConfig(kind="ivf"))


def encoded(model: Model, recommender: Recommender, count: int) -> None:
    """Encode texts of the catalogue, of which nothing is cached."""
    texts = item_texts(recommender.snapshot.catalog).unique(maintain_order=True)[:count].to_list()
    with tempfile.TemporaryDirectory() as cache:
        model.tower.item_vectors(model.encoder.pool(cached_states(model.encoder, texts, Path(cache), silent)))


def listed(recommender: Recommender, count: int) -> None:
    """Make the lists of users of the log, in batches as `recsys recommend` does."""
    users = recommender.snapshot.log.user_ids[:count].tolist()
    list(recommender.answer(RecommendOptions(), users))


def row(name: str, seconds: Mapping[int, float], unit: str) -> None:
    """Print the row of a piece of work from its processor seconds by size."""
    (small, first), (large, second) = seconds.items()
    a_million = second / large * MILLION
    say(f"unit_{name}", [(second / large) / (first / small)], None, None, unit=unit, cpu_s_a_million=round(a_million, 3), size=large)


def stored(recommender: Recommender) -> None:
    """Print the bytes that a bundle holds for each event, item and distinct text."""
    snapshot = recommender.snapshot
    counts = {"events": len(snapshot.log), "items": len(snapshot.catalog), "texts": len(snapshot.texts)}
    parts = {
        "log": ("events", snapshot.log),
        "texts": ("texts", snapshot.texts),
        "search_texts": ("texts", snapshot.search_texts),
        "index": ("texts", snapshot.index),
        "search_index": ("texts", snapshot.search_index),
        "lexical": ("texts", snapshot.lexical),
        "collaborative": ("items", snapshot.collaborative),
        "stats": ("items", snapshot.stats),
        "related": ("items", snapshot.related),
        "customers": ("events", snapshot.customers),
    }
    for name, (unit, part) in parts.items():
        size = sum(map(len, part.to_files().values()))
        say(f"stored_{name}", [1.0], None, None, unit=unit, bytes_a_unit=round(size / counts[unit], 2))


if __name__ == "__main__":
    main()
