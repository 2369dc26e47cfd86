"""Time and peak memory of `ingest` for a search log of ten million rows, and of loading it.

    python -m benchmarks.queries_10m [--rows N]

Writes synthetic csv files to a temporary folder, ingests them in one process and loads the search log in another, and prints one JSON
line for each. It needs about 3 GiB of disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.ingest_10m import CHUNK, ITEMS, LIMIT_GIB, USERS, write_shop
from benchmarks.paired import ROOT, as_users_have_it, say

QUERIES, SHOWN = 1_000_000, 10
CHILD = """
import json, resource, sys, time
from pathlib import Path
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from recsys.workspace.workspace import Workspace
what, folder, root = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
begun = time.perf_counter()
if what == "ingest":
    source = Source(items=folder / "items.csv", interactions=folder / "log.csv", queries=folder / "queries.csv")
    count = ingest(source, root / "data").queries.kept
else:
    workspace = Workspace(root)
    catalog, log = workspace.load()
    count = len(workspace.load_queries(catalog, log.user_ids))
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": round(time.perf_counter() - begun, 1), "gib": usage.ru_maxrss / 2**20, "count": count}))
"""


def write_queries(folder: Path, rows: int) -> None:
    """Write a search log with lists of ten, some clicks, and some of each usual fault; few queries are frequent, most are rare."""
    random = np.random.default_rng(1)
    with (folder / "queries.csv").open("wb") as log:
        for start in range(0, rows, CHUNK):
            n = min(CHUNK, rows - start)
            searches = -(-n // SHOWN)
            query = np.minimum(random.pareto(0.5, searches) * 10, QUERIES).astype(np.int64).repeat(SHOWN)[:n]
            seconds = random.integers(1_600_000_000, 1_700_000_000, searches).repeat(SHOWN)[:n]
            frame = pl.DataFrame(
                {
                    "timestamp": pl.Series(seconds * 1000).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "query": query,
                    "item_id": random.integers(0, ITEMS + 100, n),
                    "event": random.choice(["impression", "click", "purchase", "odd"], n, p=[0.9, 0.08, 0.015, 0.005]),
                    "rank": np.tile(np.arange(1, SHOWN + 1), searches)[:n],
                    "user_id": random.integers(0, USERS, searches).repeat(SHOWN)[:n],
                }
            )
            sku = pl.lit("SKU") + pl.col("item_id").cast(pl.String).str.zfill(6)
            typed = pl.format("green tea number {}", "query")
            frame.with_columns(item_id=sku, query=typed).write_csv(log, include_header=start == 0)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shop(folder, 1_000)
        write_queries(folder, options.rows)
        for what in ("ingest", "load"):
            command = [sys.executable, "-c", CHILD, what, str(folder), f"{name}/workspace"]
            done = subprocess.run(command, check=True, cwd=ROOT, env=as_users_have_it(), stdout=subprocess.PIPE)
            found = json.loads(done.stdout.splitlines()[-1])
            about = {"peak_gib": round(found["gib"], 2), "seconds": found["seconds"], "rows": options.rows}
            say(f"queries_10m_{what}_gib", [found["gib"] / LIMIT_GIB], 1.0, found["count"] / options.rows, **about)


if __name__ == "__main__":
    main()
