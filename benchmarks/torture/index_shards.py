"""Actors that hold the shards of an index are killed while it is searched; every answer must be that of one index.

    python -m benchmarks.torture.index_shards

Ray runs on this machine. A killed actor's shard is opened again by Ray's restart, and a search that it had not answered
waits for that. A failure is an answer that differs, or an error. `waited_s` is the longest search.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from benchmarks.torture.outcome import report, run, show
from features.errors import RecsysError
from recsys.compute.index_shards import ClusterIndex, index_on_cluster
from recsys.compute.ray import open_cluster
from recsys.settings.cluster import ClusterConfig
from retrieval.index import ItemIndex
from retrieval.index_config import IndexConfig

if TYPE_CHECKING:
    from retrieval.index_shard import IndexShard

ITEMS, DIM, SHARDS, K, KILLS = 20_000, 32, 3, 50, 20
CONFIG = ClusterConfig(workers=1, memory_mb=80, answer_seconds=300)


def made() -> ItemIndex:
    """Return an index over the same vectors each time."""
    vectors = np.random.default_rng(0).standard_normal((ITEMS, DIM), dtype=np.float32)
    return ItemIndex.build(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), IndexConfig(kind="flat", shards=SHARDS))


def open_made(number: int) -> IndexShard:
    """Open a shard as an actor does."""
    return made().shards[number]


def shard_processes() -> list[psutil.Process]:
    """Return the processes of the actors."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just died
            found += [child] if "ShardActor" in " ".join(child.cmdline()) else []
    return found


def kill(rng: np.random.Generator) -> None:
    """Kill one of the actors after up to half a second, while a search may be on its way."""
    time.sleep(float(rng.uniform(0, 0.5)))
    running = shard_processes()
    with contextlib.suppress(psutil.NoSuchProcess):
        running[int(rng.integers(len(running)))].kill()


def differs(here: ItemIndex, there: ClusterIndex, seed: int) -> str:
    """Search both for the same; return what is wrong, nothing if they agree."""
    rng = np.random.default_rng(seed)
    queries, allowed = rng.standard_normal((8, DIM), dtype=np.float32), rng.random(ITEMS) < (1.0, 0.3, 0.01)[seed % 3]
    try:
        pairs = zip(here.search(queries, K, allowed), there.search(queries, K, allowed), strict=True)
        return "" if all(np.array_equal(one, other) for one, other in pairs) else f"search {seed} has another answer"
    except RecsysError as error:
        return f"search {seed}: {error}"


def search_under_kills(there: ClusterIndex) -> None:
    """Search while actors are killed, one after the other, and print the outcome."""
    here, rng = made(), np.random.default_rng(1)
    wrong: list[str] = []
    seconds: list[float] = []
    for _ in range(KILLS):
        killer = threading.Thread(target=kill, args=(rng,))
        killer.start()
        restarted = False
        while not restarted:
            restarted = not killer.is_alive() and len(shard_processes()) == SHARDS
            begun = time.perf_counter()
            wrong.append(differs(here, there, len(seconds)))
            seconds.append(time.perf_counter() - begun)
        killer.join()
    failures = list(filter(None, wrong))
    show(failures)
    report("index_shard_killed", KILLS, len(failures), searches=len(seconds), waited_s=max(seconds))


def main() -> None:
    """Open an index on a cluster of this machine, and kill."""
    with tempfile.TemporaryDirectory() as cache, open_cluster("local", CONFIG, Path(cache)) as cluster:
        assert cluster is not None
        with index_on_cluster(cluster, open_made, [20_000_000] * SHARDS) as there:
            search_under_kills(there)


if __name__ == "__main__":
    run(main)
