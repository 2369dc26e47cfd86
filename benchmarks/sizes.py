"""Build time, memory and search time at recall@100 of .95 for synthetic catalogues of 10k, 100k and 1M items.

    python -m benchmarks.sizes [SIZE]

Vectors lie in a tree of departments, types and items; see `benchmarks.index_rule`. Each size runs in a separate
process. Its peak memory includes the exact answers for recall.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np

from benchmarks.index_rule import K, recall, unit_vectors
from benchmarks.paired import ROOT, say
from retrieval.index_config import IndexConfig, kind_for
from retrieval.index_shard import IndexShard

SIZES = (10_000, 100_000, 1_000_000)
PROBES = (1, 2, 4, 8, 16, 32, 64, 128)
LIMIT_GIB = 4.0


def measure(n: int) -> dict[str, float]:
    """Measure the index of one size, with the fewest probed lists that reach the recall."""
    items, queries = unit_vectors(n, seed=n)
    kind = "ivf" if n >= 100_000 else kind_for(n)
    exact = np.concatenate([np.argsort(-(items @ query))[:K][None] for query in queries])
    begun = time.perf_counter()
    index = IndexShard.build(items, IndexConfig(kind=kind))
    built, reached = time.perf_counter() - begun, 0.0
    milliseconds = 0.0
    for probes in PROBES:
        index = replace(index, config=index.config.model_copy(update={"ivf_probes": probes}))
        times = []
        rows = []
        for query in queries:
            begun = time.perf_counter()
            rows.append(index.search(query[None], K)[0])
            times.append(time.perf_counter() - begun)
        reached, milliseconds = recall(np.concatenate(rows), exact), 1000 * float(np.median(times))
        if reached >= 0.95 or kind == "flat":
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"items": n, "build_s": round(built, 2), "ms": round(milliseconds, 3), "recall": round(reached, 4), "peak_gib": round(peak, 2)}


def main() -> None:
    """Print a row for each size; `ratio` is the search time over that of the smallest size."""
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
