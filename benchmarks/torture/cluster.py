"""Kills workers and the head of a local Ray while it encodes a catalogue and answers users.

A killed worker is replaced, and the job ends as if nothing had happened. A killed head ends the program; the same call goes on from the
shards that are there. Either way the result is what one process makes, and no shard is made twice.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import safetensors.numpy

from benchmarks.cluster import made_catalog, made_users, on_ray
from benchmarks.torture.outcome import report, run
from benchmarks.torture.small import full, small, tried
from features.progress import silent
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.model import Model
from recsys.cli.list_files import write_answers
from recsys.cli.list_shards import write_lists
from recsys.cli.options import State
from recsys.compute.job import FOLDER, Job, cut, results
from recsys.compute.local import Processes
from recsys.recommend.request import RecommendOptions
from recsys.refresh.build import current_model
from recsys.snapshot.encode import EncodeOptions, encode_catalog
from recsys.workspace.workspace import Workspace
from tests.recsys.compute.jobs import open_squares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recsys.compute.job import Cluster

SHARDS = 26  # more than kills, because a worker is killed once a shard was made
TEXTS, USERS = SHARDS * 2_048, SHARDS * 1_024
HEADS = ("gcs_server", "raylet")
PATIENCE = 120  # seconds until a program whose head is dead must have ended


@dataclass(frozen=True)
class Place:
    """A published shop; what is made of it lies in `folder`."""

    folder: Path

    @property
    def workspace(self) -> Workspace:
        """The shop's workspace."""
        return Workspace(self.folder / "shop" / "workspace")

    def numbers(self, cluster: Cluster | None, cache: Path) -> bytes:
        """Square numbers, a third of a second each: workers need no libraries, so that there is time for many kills."""
        job = Job("squaring", open_squares, {"log": str(cache / "log"), "pause": 0.3}, cache, ".txt")
        return b" ".join(path.read_bytes() for path in results(cluster or Processes(), job, cut(list(range(160)), 1), silent))

    def encode(self, cluster: Cluster | None, cache: Path) -> bytes:
        """Encode a made catalogue from nothing but what `cache` has; return the vectors."""
        model = Model.from_files(Bundle.open(self.workspace.models).files)
        encoded = encode_catalog(made_catalog(TEXTS), model, cache, options=EncodeOptions(device="cpu", cluster=cluster))
        return encoded.vectors.vectors.tobytes() + encoded.search.vectors.tobytes()

    def lists(self, cluster: Cluster | None, cache: Path) -> bytes:
        """Answer users; return the file."""
        state, users, out = State(self.workspace.root), made_users(USERS), cache / "lists.csv"
        cache.mkdir(parents=True, exist_ok=True)
        if cluster is None:
            write_answers(state.shop.answers(RecommendOptions(), users), out)
        else:
            write_lists(cluster, state, RecommendOptions(), users, out)
        return out.read_bytes()


def made(place: Place, kind: str, cache: Path) -> set[Path]:
    """Return the results of shards that are there."""
    root = place.workspace.cache if kind == "lists" else cache
    return {
        path for path in (root / FOLDER).glob("*/*") if path.suffix in (".safetensors", ".csv", ".txt") and not path.name.startswith(".")
    }


def descendants(process: psutil.Process, name: str) -> list[psutil.Process]:
    """Return the processes below one whose command begins with a name."""
    found = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if name in (child.cmdline() or [""])[0]:
                found.append(child)
    return found


def kill_workers(place: Place, kind: str, cache: Path, ended: threading.Event, kills: int) -> None:
    """Kill a random worker whenever a shard was made since the last kill, so many times."""
    rng, before = random.Random(0), 0
    while kills and not ended.wait(0.05):
        count = len(made(place, kind, cache))
        workers = descendants(psutil.Process(), "ray::Worker.make")
        if count > before and workers:
            before = count
            with contextlib.suppress(psutil.NoSuchProcess):
                rng.choice(workers).kill()
                kills -= 1


def workers_die(place: Place, kind: str, wanted: bytes, kills: int) -> None:
    """Kill workers while a job runs, and check what it made."""
    with tempfile.TemporaryDirectory() as name:
        cache, ended = Path(name), threading.Event()
        killer = threading.Thread(target=kill_workers, args=(place, kind, cache, ended, kills))
        killer.start()
        try:
            with on_ray(cache) as cluster:
                assert getattr(place, kind)(cluster, cache) == wanted, "the result is another one"
            assert not killer.is_alive(), "it ended before all were killed"
        finally:
            ended.set()
            killer.join()
        check_once(cache)


def check_once(cache: Path) -> None:
    """Check that no text lies in two files of token states."""
    hashes = [row.tobytes() for path in cache.glob("states-*/*.safetensors") for row in safetensors.numpy.load_file(path)["hashes"]]
    assert len(hashes) == len(set(hashes)), "a text was stored twice"


def head_dies(place: Place, kind: str, wanted: bytes, kills: int) -> None:
    """Kill the head in one program after the other, and let the last one end."""
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        for number in range(kills):
            before = made(place, kind, cache)
            process = psutil.Popen(
                [sys.executable, "-m", "benchmarks.torture.cluster", kind, place.folder, cache], stdout=subprocess.DEVNULL
            )
            while not made(place, kind, cache) - before:
                assert process.poll() is None, "it ended before its head was killed"
                time.sleep(0.05)
            for head in descendants(process, HEADS[number % 2]):
                head.kill()
            assert process.wait(PATIENCE) != 0, "it ended as if all was well"
            assert made(place, kind, cache) >= before, "results are lost"
        with on_ray(cache) as cluster:
            assert getattr(place, kind)(cluster, cache) == wanted, "the result is another one"
        check_once(cache)


@contextlib.contextmanager
def published() -> Iterator[Place]:
    """Have a small trained shop in a folder."""
    with small(trained=True) as shop:
        current_model(shop.workspace, shop.settings)
        yield Place(shop.folder.parent)


def killings(place: Place, kind: str, kills: int, heads: int) -> None:
    """Print a line for killed workers and one for killed heads."""
    with tempfile.TemporaryDirectory() as name:
        wanted = getattr(place, kind)(None, Path(name))
    tests = {f"kill_workers_{kind}": (workers_die, kills), f"kill_head_{kind}": (head_dies, heads)}
    for test, (work, count) in tests.items():
        report(test, count, int(not tried(test, partial(work, place, kind, wanted, count))))


def main() -> None:
    """Kill during a light job, during encoding and during lists."""
    kills, heads = (20, 20) if full("20 kills of workers and of heads during each job, in place of 5 and 2") else (5, 2)
    with tempfile.TemporaryDirectory() as name:
        killings(Place(Path(name)), "numbers", 20, heads)
    with published() as place:
        for kind in ("encode", "lists"):
            killings(place, kind, kills, heads)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        work: Callable[[Cluster | None, Path], bytes] = getattr(Place(Path(sys.argv[2])), sys.argv[1])
        with on_ray(Path(sys.argv[3])) as here:
            work(here, Path(sys.argv[3]))
    else:
        run(main)
