"""Time and peak memory of `ingest` for a log of ten million rows.

    python benchmarks/ingest_10m.py [--rows N]

Writes a synthetic csv file to a temporary folder, ingests it in a separate process and prints one JSON line. It needs
about 1 GiB of disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

ITEMS, USERS, CHUNK = 100_000, 500_000, 1_000_000
LIMIT_GIB = 4.0
CHILD = """
import sys
from pathlib import Path
from features.ingest.pipeline import ingest
from features.ingest.source import Source
folder = Path(sys.argv[1])
print(ingest(Source(items=folder / "items.csv", interactions=folder / "log.csv"), folder / "out"), file=sys.stderr)
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


def main() -> None:
    """Print one row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shop(folder, rows)
        mib = (folder / "log.csv").stat().st_size >> 20
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", CHILD, name], check=True, cwd=Path(__file__).parent.parent)
        seconds = time.perf_counter() - start
    gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    row = {"name": "ingest_10m", "rows": rows, "csv_mib": mib, "seconds": round(seconds, 1), "rows_per_second": round(rows / seconds)}
    print(json.dumps(row | {"peak_gib": round(gib, 2), "target": LIMIT_GIB, "kept": gib < LIMIT_GIB}))


if __name__ == "__main__":
    main()
