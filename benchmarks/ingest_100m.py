"""Peak memory of the ingest, the load, the training windows and an evaluation of a log of a hundred million events.

    python -m benchmarks.ingest_100m [--rows N] [--memory GIB] [--folder DIR]

Writes a made log as one Parquet file to a temporary folder, ingests it in a process of its own, and loads, windows and evaluates it in
another one. It prints one JSON line a step: `ratio` is the peak of resident memory, mapped files included, in GiB, until the step was
done. It needs about 35 GiB of disk.
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
import pyarrow.parquet as pq

from benchmarks.paired import ROOT, as_users_have_it

ITEMS, EVENTS_A_USER, CHUNK = 200_000, 20, 2_000_000
LIMIT_GIB = 6.0
BEGIN = """
import json, resource, sys, time
from pathlib import Path
from recsys.workspace.workspace import Workspace
folder, memory = Path(sys.argv[1]), float(sys.argv[2])
workspace, begun = Workspace(folder / "workspace"), time.perf_counter()
def done(step, **facts):
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"seconds": round(time.perf_counter() - begun, 1), "cpu": round(usage.ru_utime + usage.ru_stime, 1)}
    print(json.dumps({"step": step, "gib": round(usage.ru_maxrss / 2**20, 2), **figures, **facts}), flush=True)
"""
INGEST = """
from features.ingest.source import Source
summary = workspace.ingest(Source(items=folder / "items.parquet", interactions=folder / "log.parquet", memory=memory))
done("ingest", read=summary.interactions.read, kept=summary.interactions.kept)
"""
LOAD = """
from eval.protocol.ground_truth import GroundTruth
from recsys.training.windows import Windows
catalog, log = workspace.load()
done("load", events=len(log), users=log.n_users)
windows = Windows.plan(log, log.end)
for window in windows.after_towers.values():
    split = window.split(log)
done("windows", histories=len(split.history), labels=len(split.labels))
truth = GroundTruth.of(split, 10_000)
truth.split.histories(truth.users), truth.buyers()
done("evaluation", users=len(truth.users))
"""


def write_shop(folder: Path, rows: int) -> None:
    """Write a catalogue and a log: three events in ten are purchases, one in a hundred rows has a quantity of 0."""
    random = np.random.default_rng(0)
    items = pl.Series([f"SKU{number:06}" for number in range(ITEMS + 200)])
    pl.DataFrame({"item_id": items[:ITEMS], "title": [f"Product, number {number}" for number in range(ITEMS)]}).write_parquet(
        folder / "items.parquet"
    )
    words = pl.Series(["purchase", "cart", "view", "click"])
    writers: list[pq.ParquetWriter] = []
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        share = random.random(n)
        frame = pl.DataFrame(
            {
                "user_id": random.integers(0, rows // EVENTS_A_USER, n),
                "item_id": items.gather(random.integers(0, ITEMS + 200, n)),
                "timestamp": pl.Series(random.integers(1_600_000_000, 1_700_000_000, n) * 1_000_000).cast(pl.Datetime("us")),
                "event": words.gather((share > 0.3).astype(int) + (share > 0.5) + (share > 0.995)),
                "quantity": random.integers(0, 100, n),
                "value": random.integers(1, 10_000, n) / 100,
            }
        ).to_arrow()
        writers = writers or [pq.ParquetWriter(folder / "log.parquet", frame.schema, compression="lz4")]
        writers[0].write_table(frame)
    writers[0].close()


def steps(code: str, folder: Path, memory: float) -> None:
    """Run steps in a new process, and print a row of each as it is done."""
    command = [sys.executable, "-c", BEGIN + code, str(folder), str(memory)]
    with subprocess.Popen(command, cwd=ROOT, env=as_users_have_it(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            step = json.loads(line)
            name, gib = f"ingest_100m_{step.pop('step')}", step.pop("gib")
            print(json.dumps({"name": name, "ratio": gib, "low": gib, "high": gib, "target": LIMIT_GIB, "kept": None, **step}), flush=True)
    if process.returncode:
        raise SystemExit(f"a step ended with {process.returncode}")


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--memory", type=float, default=4.0, help="source.memory")
    parser.add_argument("--folder", help="where the temporary folder is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_shop(folder, options.rows)
        for code in (INGEST, LOAD):
            steps(code, folder, options.memory)


if __name__ == "__main__":
    main()
