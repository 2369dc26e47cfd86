"""Cost of a refresh with no change, with 1% of the texts changed and with a day's events more, compared with a full build.

    python -m benchmarks.refresh [--workspace DIR] [--folder DIR]

All commands run as whole processes, and their processor seconds count: other load on the machine slows them less than the clock. The
shop is Complete Journey, written from the workspace's tables to files. The full build starts from the same files and the workspace's
model, without a bundle or cached states. Encoder calls are the texts that the refresh reports as encoded, divided by those that were
changed. `parts` is what the last refresh of a row says of the fitted parts. The shop and its full build lie in a temporary folder, or in
`--folder`, where another run finds them and what the build took.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.paired import ROOT, as_users_have_it, say
from features.ingest.source import Source
from features.ingest.table_versions import in_use
from features.text.template import item_texts
from recsys.workspace.workspace import Workspace

ROUNDS, SHARE = 3, 0.01


@dataclass(frozen=True)
class Done:
    """A command that has ended: processor seconds of it and its children, seconds of wall clock, and its output."""

    seconds: float
    wall: float
    output: str

    @property
    def parts(self) -> str:
        """What was done with the fitted parts."""
        return next((line for line in self.output.splitlines() if line.startswith(("fitted anew", "unchanged", "carried over"))), "")


def processor() -> float:
    """Return the processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(workspace: Workspace, *words: str) -> Done:
    """Run a command."""
    command = [sys.executable, "-m", "recsys", "--workspace", str(workspace.root), *words]
    begun, wall = processor(), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, env=as_users_have_it())
    return Done(processor() - begun, time.perf_counter() - wall, done.stdout)


def change(items: Path, number: int) -> int:
    """Change the titles of the items of 1% of the distinct texts, and return the number of these texts."""
    frame = pl.read_parquet(items)
    groups = pl.DataFrame({"text": item_texts(Workspace(items.parent / "workspace").load()[0])})["text"]
    chosen = groups.unique().sort().sample(fraction=SHARE, seed=number)
    hit = groups.is_in(chosen.implode())
    changed = frame.sort("item_id").with_columns(title=pl.when(hit).then(pl.col("title") + f" no. {number}").otherwise("title"))
    changed.write_parquet(items)
    return len(chosen)


def row(name: str, runs: list[Done], full: Done, target: float | None) -> None:
    """Print a row."""
    seconds = np.array([one.seconds for one in runs])
    figures = {"seconds": round(float(np.median(seconds)), 2), "wall_seconds": round(float(np.median([one.wall for one in runs])), 2)}
    figures |= {"full_build_seconds": round(full.seconds, 1), "full_build_wall_seconds": round(full.wall, 1)}
    say(name, seconds / full.seconds, target, None, better="lower", parts=runs[-1].parts, **figures)


def full_build(given: Workspace, folder: Path) -> Done:
    """Write the shop's files into a folder, build there from nothing, and return what it took; only that where it is done."""
    known, workspace = folder / "full_build.json", Workspace(folder / "workspace")
    if known.exists():
        return Done(**json.loads(known.read_text()))
    shutil.copytree(given.models, workspace.models)
    shutil.copyfile(in_use(given.data) / "items.parquet", folder / "items.parquet")
    log = pl.read_parquet(in_use(given.data) / "interactions.parquet")
    log.write_parquet(folder / "all_interactions.parquet")
    log.filter(pl.col("timestamp") < pl.col("timestamp").max() - pl.duration(days=1)).write_parquet(folder / "interactions.parquet")
    begun, wall = time.process_time(), time.perf_counter()
    workspace.ingest(Source(items=folder / "items.parquet", interactions=folder / "interactions.parquet"))
    ingest, waited = time.process_time() - begun, time.perf_counter() - wall
    built = run(workspace, "build-index")
    full = Done(built.seconds + ingest, built.wall + waited, built.output)
    known.write_text(json.dumps(asdict(full)))
    return full


def main() -> None:
    """Print five rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="refresh-") as name:
        folder = (options.folder or Path(name)).absolute()
        full, workspace = full_build(Workspace(options.workspace), folder), Workspace(folder / "workspace")
        change(folder / "items.parquet", 0)
        row("refresh_first_of_a_day", [run(workspace, "refresh")], full, None)  # fits the collaborative models of the gates
        time.sleep(3)  # files that were written just now are not trusted
        run(workspace, "refresh")
        row("refresh_nothing_changed", [run(workspace, "refresh") for _ in range(ROUNDS)], full, 0.005)
        few, calls = [], []
        for number in range(1, ROUNDS + 1):
            texts = change(folder / "items.parquet", number)
            few.append(run(workspace, "refresh"))
            match = re.search(r"([\d,]+) of [\d,]+ texts encoded", few[-1].output)
            calls.append(int(match[1].replace(",", "")) / texts if match else np.nan)
        say("refresh_encoder_calls_a_changed_text", calls, 1.0, None, better="lower")
        row("refresh_one_percent_changed", few, full, 0.03)
        shutil.copyfile(folder / "all_interactions.parquet", folder / "interactions.parquet")
        row("refresh_a_day_of_events", [run(workspace, "refresh")], full, None)


if __name__ == "__main__":
    main()
