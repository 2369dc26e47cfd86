"""Time and peak memory of `ingest` for a log of ten million rows, beside those of an earlier commit.

    python -m benchmarks.ingest_10m [--rows N] [--before COMMIT] [--pairs N]

Writes a synthetic csv file to a temporary folder, ingests it in processes of this tree and of the commit in turn, and prints one JSON
line for the time and one for the memory. It needs about 2 GiB of disk.
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

from benchmarks.paired import ROOT, as_users_have_it, say

ITEMS, USERS, CHUNK = 100_000, 500_000, 1_000_000
LIMIT_GIB, LIMIT_RATIO = 4.0, 1.2
CHILD = """
import json, resource, sys, time
from pathlib import Path
from features.ingest.pipeline import ingest
from features.ingest.source import Source
folder, out = map(Path, sys.argv[1:])
begun = time.perf_counter()
summary = ingest(Source(items=folder / "items.csv", interactions=folder / "log.csv"), out)
seconds = time.perf_counter() - begun
usage = resource.getrusage(resource.RUSAGE_SELF)
counts = [(table.read, table.kept, dict(table.reasons)) for table in (summary.items, summary.interactions)]
print(json.dumps({"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "gib": usage.ru_maxrss / 2**20, "counts": counts}))
"""


def write_shop(folder: Path, rows: int) -> None:
    """Write a catalogue and a log with canonical columns and some of each usual fault."""
    random = np.random.default_rng(0)
    items = [f"SKU{number:06}" for number in range(ITEMS)]
    pl.DataFrame({"item_id": items, "title": [f"Product, number {number}" for number in range(ITEMS)]}).write_csv(folder / "items.csv")
    with (folder / "log.csv").open("wb") as log:
        for start in range(0, rows, CHUNK):
            n = min(CHUNK, rows - start)
            seconds = random.integers(1_600_000_000, 1_700_000_000, n)
            frame = pl.DataFrame(
                {
                    "user_id": random.integers(0, USERS, n),
                    "item_id": random.integers(0, ITEMS + 100, n),
                    "timestamp": pl.Series(seconds * 1000).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "event": random.choice(["purchase", "cart", "view", "click"], n, p=[0.3, 0.2, 0.49, 0.01]),
                    "quantity": random.integers(0, 30, n),
                    "value": random.uniform(0, 100, n).round(2),
                }
            )
            sku = pl.lit("SKU") + pl.col("item_id").cast(pl.String).str.zfill(6)
            frame.with_columns(item_id=sku).write_csv(log, include_header=start == 0)


def ingested(tree: Path, folder: Path) -> dict[str, object]:
    """Ingest the shop in a new process with the code of a folder; return seconds, CPU seconds, GiB and row counts."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", CHILD, str(folder), f"{out}/data"]
        done = subprocess.run(command, check=True, cwd=tree, env=as_users_have_it(), stdout=subprocess.PIPE)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--before", default="9e49e7c", help="commit to compare with")
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, tree = Path(name), Path(name) / "before"
        subprocess.run(["git", "worktree", "add", "--detach", "--quiet", tree, options.before], check=True, cwd=ROOT)
        try:
            write_shop(folder, options.rows)
            pairs = [(ingested(tree, folder), ingested(ROOT, folder)) for _ in range(options.pairs)]
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], check=True, cwd=ROOT)
    same = float(all(old["counts"] == new["counts"] for old, new in pairs))

    def figures(what: str) -> tuple[np.ndarray, np.ndarray]:
        old, new = np.array([[float(str(run[what])) for run in pair] for pair in pairs]).T
        return old, new

    for what in ("seconds", "cpu"):
        old, new = figures(what)
        say(
            f"ingest_10m_{what}", new / old, LIMIT_RATIO, same, before=old.round(1).tolist(), after=new.round(1).tolist(), rows=options.rows
        )
    old, new = figures("gib")
    say(
        "ingest_10m_gib", new / old, None, same, peak_gib=round(float(new.max()), 2), limit_gib=LIMIT_GIB, holds=bool(new.max() < LIMIT_GIB)
    )


if __name__ == "__main__":
    main()
