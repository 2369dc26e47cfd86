"""Two workers of a local Ray against two plain processes over the same shards, and whether both make what one process makes.

Without --workspace: made texts and users, and a tiny BERT of random weights, which leaves nearly nothing but the overhead to measure. With
it: a shop's own texts, users and model. Each run starts its workers, and Ray itself, anew; `ratio` is Ray's seconds over the processes'.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from benchmarks.paired import say
from benchmarks.torture.small import small
from eval.metrics.user_items import UserItems
from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY
from recsys.cli.list_files import write_answers
from recsys.cli.list_shards import write_lists
from recsys.cli.options import State
from recsys.compute.local import Processes
from recsys.compute.ray import open_cluster
from recsys.recommend.open import open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh.build import current_model
from recsys.settings.cluster import ClusterConfig
from recsys.settings.settings import Settings
from recsys.snapshot.encode import Encoded, EncodeOptions, encode_catalog
from recsys.training.distributed.towers import PooledTexts, train_on
from recsys.training.few_buyers.window_retriever import WindowRetriever, WindowUsers, labelled_lists
from recsys.training.job import TrainingJob
from recsys.training.windows import Windows
from recsys.workspace.workspace import Workspace
from retrieval.hybrid import HybridRetriever
from retrieval.two_tower.config import TowerConfig, TrainConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.retriever import TwoTowerRetriever
from retrieval.two_tower.trainer import TrainingRun, fit_towers, no_validation
from retrieval.two_tower.window_batches import WindowSampler
from tests.conftest import CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from features.data.interactions import Interactions
    from recsys.artifacts.model import Model
    from recsys.compute.job import Cluster
    from retrieval.candidates import Candidates

WORKERS = 2
TARGET = 1.25


@contextlib.contextmanager
def on_ray(cache: Path) -> Iterator[Cluster]:
    """Have a local Ray, started anew."""
    with open_cluster("local", ClusterConfig(workers=WORKERS), cache) as cluster:
        assert cluster is not None
        yield cluster


@contextlib.contextmanager
def in_processes(_cache: Path) -> Iterator[Cluster]:
    """Have two processes."""
    yield Processes(WORKERS)


@contextlib.contextmanager
def here(_cache: Path) -> Iterator[None]:
    """Have this process alone, without shards."""
    yield None


@dataclass
class Work:
    """One kind of work in three places.

    Attributes
    ----------
    do : takes a cluster and an empty folder, and returns what was made.
    same : whether two results are equal, as a share.
    """

    name: str
    do: Callable[[Cluster | None, Path], Any]
    same: Callable[[Any, Any], float]
    more: dict[str, Any]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, rounds: int) -> None:
        """Run in turn in all places, and print a row."""
        made: dict[str, Any] = {}
        for _ in range(rounds):
            for place in (in_processes, on_ray, here):
                with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
                    begun = time.perf_counter()
                    with place(Path(folder)) as cluster:
                        made[place.__name__] = self.do(cluster, Path(folder))
                    self.seconds.setdefault(place.__name__, []).append(time.perf_counter() - begun)
        kept = min(self.same(made["here"], made[name]) for name in ("on_ray", "in_processes"))
        ratios = np.array(self.seconds["on_ray"]) / np.array(self.seconds["in_processes"])
        seconds = {name: [round(value, 1) for value in values] for name, values in self.seconds.items()}
        say(self.name, ratios, TARGET, kept, **self.more, seconds=seconds)


def encoding(model: Model, catalog: Catalog, name: str) -> Work:
    """Return the encoding of a catalogue from nothing."""

    def do(cluster: Cluster | None, folder: Path) -> Encoded:
        return encode_catalog(catalog, model, folder, options=EncodeOptions(device="cpu", cluster=cluster))

    def same(one: Encoded, other: Encoded) -> float:
        pairs = ((one.vectors.vectors, other.vectors.vectors), (one.search.vectors, other.search.vectors))
        return float(np.mean([np.mean((left == right).all(axis=1)) for left, right in pairs]))

    encoder = f"{len(model.encoder.model.encoder.layer)} layers, {model.encoder.width} wide"
    return Work(name, do, same, {"items": len(catalog), "encoder": encoder})


def listing(state: State, users: list[str], name: str) -> Work:
    """Return the lists of users of the bundle in use."""
    options = RecommendOptions()

    def do(cluster: Cluster | None, folder: Path) -> bytes:
        out = folder / "lists.csv"
        if cluster is None:
            write_answers(state.shop.answers(options, users), out)
        else:
            write_lists(cluster, state, options, users, out)
        return out.read_bytes()

    return Work(name, do, lambda one, other: float(one == other), {"users": len(users)})


def retrieving(workspace: Workspace, model: Model, users: list[str], name: str) -> Work:
    """Return the candidates of users at the moment of the bundle in use, as a window of a training has them."""
    snapshot = open_recommender(workspace).snapshot
    sales = snapshot.collaborative.popularity.ranking
    towers = TwoTowerRetriever(model.tower, snapshot.space, snapshot.index, snapshot.text_of, sales)
    retriever = HybridRetriever(snapshot.collaborative, towers, model.retrieval)
    rows = {user: row for row, user in enumerate(snapshot.log.user_ids.tolist())}
    histories = Histories.of_users(snapshot.log, np.array([rows[user] for user in users]), snapshot.now)
    nothing = np.zeros(0, dtype=np.int64)
    bought = UserItems.of(nothing, nothing, len(users), len(snapshot.catalog))
    asked = [WindowUsers(WindowRetriever(retriever, snapshot.stats, model.retrieval.candidates), histories, bought)]
    job = TrainingJob(snapshot.catalog, snapshot.log, Windows.plan(snapshot.log, snapshot.now), Settings(), 0)

    def do(cluster: Cluster | None, folder: Path) -> Candidates:
        return labelled_lists(replace(job, cluster=cluster, cache=folder), asked)[0].candidates

    def same(one: Candidates, other: Candidates) -> float:
        pairs = [(one.rows, other.rows), (one.scores, other.scores), *((one.features[name], other.features[name]) for name in one.features)]
        return float(np.mean([left.tobytes() == right.tobytes() for left, right in pairs]))

    return Work(name, do, same, {"users": len(users), "items": len(snapshot.catalog)})


def training(log: Interactions, steps: int) -> Work:
    """Return the training of towers over sets, without dropout, so that one process and two have the same losses."""
    config = TrainConfig(epochs=2, steps_per_epoch=steps, patience=9, tuned_epochs=0)
    pooled = np.random.default_rng(0).standard_normal((log.n_items, 384), dtype=np.float32)

    def do(cluster: Cluster | None, folder: Path) -> list[float]:
        torch.manual_seed(0)
        tower = TwoTower(384, TowerConfig(user_encoder="set", dropout=0))
        losses: list[float] = []
        texts: Any = PooledTexts(pooled)
        run = TrainingRun(WindowSampler(log, config, 20 * DAY), tower, texts, no_validation, folder, seed=0)
        run.on_epoch = lambda phase, epoch, values: losses.append(values["loss"])
        train_on(cluster, folder, run, config)
        fit_towers(run, config)
        return losses

    return Work("ray_train_made", do, lambda one, other: float(np.isclose(other, one, rtol=1e-4, atol=0).mean()), {"steps": 2 * steps})


def made_catalog(count: int) -> Catalog:
    """Return items whose texts are all different."""
    words, rng = sorted({word for kinds in CATEGORIES.values() for kind in kinds for word in kind.split()}), random.Random(0)
    titles = [f"{' '.join(rng.choices(words, k=rng.randint(2, 12)))} {number}" for number in range(count)]
    return Catalog.from_frame(pl.DataFrame({"item_id": [f"made-{number}" for number in range(count)], "title": titles}))


def made_users(count: int) -> list[str]:
    """Return so many of the small shop's 60 users, in random order: equal shards would be answered once."""
    return random.Random(0).choices([f"user-{number:02}" for number in range(60)], k=count)


def main() -> None:
    """Print a row for encoding, lists, candidates, and the training of towers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--only", choices=("encode", "lists", "candidates", "towers"))
    parser.add_argument("--steps", type=int, default=40)
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if given.workspace is None:
            shop = stack.enter_context(small(trained=given.only in (None, "lists", "candidates")))
            workspace, model, catalog = shop.workspace, current_model(shop.workspace, shop.settings), made_catalog(given.texts)
            users = made_users(given.users)
        else:
            workspace, settings = Workspace(given.workspace), Settings()
            model, (items, log) = current_model(workspace, settings), workspace.load(settings.events)
            catalog, users = Catalog.from_frame(items.frame.head(given.texts)), list(map(str, log.user_ids))[: given.users]
        kind = "made" if given.workspace is None else "shop"
        if given.only in (None, "encode"):
            encoding(model, catalog, f"ray_encode_{kind}").measure(given.rounds)
        if given.only in (None, "lists"):
            listing(State(workspace.root), users, f"ray_lists_{kind}").measure(given.rounds)
        if given.only in (None, "candidates"):
            retrieving(workspace, model, users, f"ray_candidates_{kind}").measure(given.rounds)
        if given.only in (None, "towers"):
            training(workspace.load(Settings().events)[1], given.steps).measure(given.rounds)


if __name__ == "__main__":
    main()
