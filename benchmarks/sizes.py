"""Synthetic catalogues of 10k, 100k and 1M items: build time, memory, search at recall@100 of .95: `python -m benchmarks.sizes [SIZE ...]`.

Vectors lie in a tree of departments, types and items, see `benchmarks.index_rule`. Each size is a process of its own, whose highest
memory is told, the exact answers it is judged by included.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks.index_rule import K, recall, unit_vectors
from benchmarks.paired import ROOT, say
from retrieval.index import IndexConfig, ItemIndex, kind_for

SIZES = (10_000, 100_000, 1_000_000)
PROBES = (1, 2, 4, 8, 16, 32, 64, 128)
LIMIT_GIB = 4.0


def measure(n: int) -> dict[str, float]:
    """One size: the index that answers would have, with the fewest lists looked into that reach the recall."""
    items, queries = unit_vectors(n, seed=n)
    kind = "ivf" if n >= 100_000 else kind_for(n)
    truth = np.concatenate([np.argsort(-(items @ query))[:K][None] for query in queries])
    begun = time.perf_counter()
    index = ItemIndex.build(items, IndexConfig(kind=kind))
    built, found = time.perf_counter() - begun, 0.0
    milliseconds = 0.0
    for probes in PROBES:
        index = ItemIndex(index.index, index.place, IndexConfig(kind=kind, ivf_probes=probes))
        times = []
        rows = []
        for query in queries:
            begun = time.perf_counter()
            rows.append(index.search(query[None], K)[0])
            times.append(time.perf_counter() - begun)
        found, milliseconds = recall(np.concatenate(rows), truth), 1000 * float(np.median(times))
        if found >= 0.95 or kind == "flat":
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"items": n, "build_s": round(built, 2), "ms": round(milliseconds, 3), "recall": round(found, 4), "peak_gib": round(peak, 2)}


def main() -> None:
    """A row a size, against the first: `ratio` is how many times longer a search takes than at the smallest size."""
    results = []
    for n in SIZES:
        done = subprocess.run([sys.executable, "-m", "benchmarks.sizes", str(n)], cwd=ROOT, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout))
        last = results[-1]
        grown = last["items"] / results[0]["items"]
        served = {"fits_4_gib": last["peak_gib"] < LIMIT_GIB, "bytes_an_item": round(last["peak_gib"] * 2**30 / n)}
        say(
            f"search_{n}_items",
            [last["ms"] / results[0]["ms"]],
            grown,
            last["recall"],
            better="lower",
            kept_is="recall@100",
            **last,
            **served,
        )


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        main()
