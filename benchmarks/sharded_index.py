"""Memory, recall and time of an index in shards, over made vectors that lie in a file.

    python -m benchmarks.sharded_index [--items 1000000] [--shards 4] [--kind ivf_sq8] [--lists N] [--probes N]

Items form a tree of about n^(1/3) departments and n^(2/3) product types, in no order, each with noise of its own;
queries lie near items. Every shard is built and searched in a process of its own, which reports its peak memory: all of
it, and without the pages of mapped files, which the system takes back when it needs them. Recall is against exact
search over all vectors. Rows `filter_` allow a share of the items. `query_time` is the seconds of all shards, one after
the other, over those of one index over the same vectors; it needs `--whole`, which builds that index too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.paired import ROOT, as_users_have_it, say
from retrieval.index import merged, shard_bounds
from retrieval.index_config import IndexConfig
from retrieval.index_shard import IndexShard
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Sequence

DIM, QUERIES, K, CHUNK = 128, 200, 100, 1 << 18
LIMIT_GIB, RECALL = 3.0, 0.95
SHARES = {"all": 1.0, "filter_10": 0.1, "filter_1": 0.01}


def write_vectors(path: Path, n: int) -> np.ndarray:
    """Write unit vectors, float32 (n, DIM), and return queries near some of them, float32 (QUERIES, DIM)."""
    rng = np.random.default_rng(n)
    counts = [max(1, round(n ** (1 / 3))), max(1, round(n ** (2 / 3)))]
    departments, types = (rng.standard_normal((count, DIM), dtype=np.float32) for count in counts)
    types += departments[rng.integers(0, counts[0], counts[1])]
    vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, DIM))
    for begin in range(0, n, CHUNK):
        part = types[rng.integers(0, counts[1], min(CHUNK, n - begin))]
        part += rng.standard_normal(part.shape, dtype=np.float32)
        vectors[begin : begin + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    vectors.flush()
    noise = rng.standard_normal((QUERIES, DIM), dtype=np.float32) / (3 * DIM) ** 0.5  # as much as an item has
    queries = vectors[np.sort(rng.choice(n, QUERIES, replace=False))] + noise
    return queries / np.linalg.norm(queries, axis=1, keepdims=True)


def masks(n: int) -> dict[str, np.ndarray | None]:
    """Return which items each case allows, bool (n,); None for all."""
    drawn = np.random.default_rng(1).random(n)
    return {name: None if share == 1 else drawn < share for name, share in SHARES.items()}


def exact(path: Path, queries: np.ndarray) -> dict[str, np.ndarray]:
    """Return the best K rows of each query by case, int64 (QUERIES, K), from all scores, chunk by chunk."""
    vectors = np.load(path, mmap_mode="r")
    allowed = masks(len(vectors))
    starts = list(range(0, len(vectors), CHUNK))
    best: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in allowed}
    for begin in starts:
        scores = queries @ vectors[begin : begin + CHUNK].T
        for name, mask in allowed.items():
            some = np.arange(scores.shape[1]) if mask is None else np.flatnonzero(mask[begin : begin + CHUNK])
            columns, found = top_k(scores if mask is None else scores[:, some], K)
            best[name].append((np.where(columns >= 0, some[columns], -1), found))
    return {name: merged(found, np.array([*starts, len(vectors)]), K)[0] for name, found in best.items()}


class PeakMemory:
    """The most memory that this process has had: in all since it began, and anonymous, looked at every 20 ms."""

    def __init__(self) -> None:
        self.anonymous = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.anonymous = max(self.anonymous, _status("RssAnon"))
            time.sleep(0.02)

    def gib(self) -> dict[str, float]:
        """Return both in GiB."""
        return {"peak_gib": _status("VmHWM") / 2**20, "peak_anonymous_gib": self.anonymous / 2**20}


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def build(path: Path, out: Path, begin: int, stop: int, config: IndexConfig) -> dict[str, float]:
    """Build the shard of some rows of a file into a folder."""
    peak, started = PeakMemory(), time.process_time()
    files = IndexShard.build(np.load(path, mmap_mode="r")[begin:stop], config).to_files()
    out.mkdir(parents=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    return peak.gib() | {"cpu_s": time.process_time() - started}


class MappedFolder(dict[str, bytes]):
    """A shard's files; that of FAISS is mapped, as in a bundle."""

    def __init__(self, folder: Path) -> None:
        super().__init__({name: (folder / name).read_bytes() for name in ("index.json", "places.safetensors")})
        self._mapped = np.memmap(folder / "items.faiss", dtype=np.uint8, mode="r")

    def content(self, name: str) -> np.ndarray:
        """Return the bytes of FAISS's file."""
        assert name == "items.faiss"
        return self._mapped

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Return the places."""
        from safetensors.numpy import load

        return load(self[name])


def search(folder: Path, out: Path, begin: int, stop: int, probes: int) -> dict[str, float]:
    """Search one shard for all queries, one at a time, in each case; the lists go into a file, the seconds are returned."""
    peak = PeakMemory()
    queries, n = np.load(folder / "queries.npy"), len(np.load(folder / "vectors.npy", mmap_mode="r"))
    shard = IndexShard.from_files(MappedFolder(out))
    shard = IndexShard(shard.index, shard.place, shard.config.model_copy(update={"ivf_probes": probes}), shard.content)
    lists, seconds = {}, {}
    for name, mask in masks(n).items():
        some = None if mask is None else mask[begin:stop]
        shard.search(queries[:1], K, some)
        started = time.process_time()
        found = [shard.search(query[None], K, some) for query in queries]
        seconds[f"{name}_ms"] = (time.process_time() - started) * 1000 / len(queries)
        lists[f"{name}_rows"], lists[f"{name}_scores"] = (np.concatenate(part) for part in zip(*found, strict=True))
    np.savez(out / "found.npz", **lists)
    return peak.gib() | seconds


def child(*arguments: object) -> dict[str, float]:
    """Run a step in a process of its own and return its figures."""
    command = [sys.executable, "-m", "benchmarks.sharded_index", *map(str, arguments)]
    return json.loads(subprocess.run(command, cwd=ROOT, env=as_users_have_it(), check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(folder: Path, n: int, shards: int, config: IndexConfig, best: dict[str, np.ndarray]) -> dict[str, float]:
    """Build and search n items in shards, print the rows, and return the milliseconds of a query in each case, of all shards together."""
    bounds = shard_bounds(n, shards)
    steps: dict[str, list[dict[str, float]]] = {"build": [], "search": []}
    for number, begin in enumerate(bounds[:-1]):
        out = folder / f"{shards}-{number}"
        steps["build"].append(child("build", folder / "vectors.npy", out, begin, bounds[number + 1], config.model_dump_json()))
        steps["search"].append(child("search", folder, out, begin, bounds[number + 1], config.ivf_probes))
    about = {"items": n, "shards": shards, "kind": config.kind, "lists": config.ivf_lists, "probes": config.ivf_probes}
    for step, figures in steps.items():
        most = {name: round(max(one[name] for one in figures), 3) for name in ("peak_gib", "peak_anonymous_gib")}
        cpu = {"cpu_s": round(sum(one["cpu_s"] for one in figures), 1)} if step == "build" else {}
        say(f"{step}_memory_a_shard", [one["peak_gib"] / LIMIT_GIB for one in figures], 1.0, None, better="lower", **most, **cpu, **about)
    parts = [np.load(folder / f"{shards}-{number}" / "found.npz") for number in range(len(bounds) - 1)]
    times = {name: sum(one[f"{name}_ms"] for one in steps["search"]) for name in best}
    for name, expected in best.items():
        lists = [(part[f"{name}_rows"], part[f"{name}_scores"]) for part in parts]
        rows = merged(lists, np.array(bounds), K)[0]
        recalls = [len(np.intersect1d(a, b)) / K for a, b in zip(rows, expected, strict=True)]
        say(f"recall_{name}", recalls, RECALL, float(np.mean(recalls)), kept_is="mean recall@100", ms=round(times[name], 3), **about)
    return times


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--kind", default="ivf_sq8")
    parser.add_argument("--lists", type=int, default=None)
    parser.add_argument("--probes", type=int, default=64)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "queries.npy", queries := write_vectors(folder / "vectors.npy", options.items))
        best = exact(folder / "vectors.npy", queries)
        config = IndexConfig(kind=options.kind, ivf_lists=options.lists, ivf_probes=options.probes)
        times = measure(folder, options.items, options.shards, config, best)
        if options.whole:
            whole = measure(folder, options.items, 1, config, best)
            about = {"better": "lower", "items": options.items, "shards": options.shards}
            for case, milliseconds in times.items():
                say(f"query_time_{case}", [milliseconds / whole[case]], None, None, **about)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["build", path, out, begin, stop, config]:
            print(json.dumps(build(Path(path), Path(out), int(begin), int(stop), IndexConfig.model_validate_json(config))))
        case ["search", folder, out, begin, stop, probes]:
            print(json.dumps(search(Path(folder), Path(out), int(begin), int(stop), int(probes))))
        case _:
            main()
