"""Time of a refresh with no change and with 1% of the texts changed, compared with a full build.

    python -m benchmarks.refresh [--workspace DIR]

All commands run as whole processes. The shop is Complete Journey, written from the workspace's tables to files. The
full build starts from the same files and the workspace's model, without a bundle or cached states. Encoder calls are
the texts that the refresh reports as encoded, divided by those that were changed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.paired import ROOT, as_users_have_it, say
from features.ingest.source import Source
from features.ingest.table_versions import in_use
from features.text.template import item_texts
from recsys.workspace.workspace import Workspace

ROUNDS, SHARE = 3, 0.01


def run(workspace: Workspace, *words: str) -> tuple[float, str]:
    """Run a command, and return its seconds of wall clock and its output."""
    command = [sys.executable, "-m", "recsys", "--workspace", str(workspace.root), *words]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, env=as_users_have_it())
    return time.perf_counter() - begun, done.stdout


def change(items: Path, number: int) -> int:
    """Change the titles of the items of 1% of the distinct texts, and return the number of these texts."""
    frame = pl.read_parquet(items)
    groups = pl.DataFrame({"text": item_texts(Workspace(items.parent / "workspace").load()[0])})["text"]
    chosen = groups.unique().sort().sample(fraction=SHARE, seed=number)
    hit = groups.is_in(chosen.implode())
    changed = frame.sort("item_id").with_columns(title=pl.when(hit).then(pl.col("title") + f" no. {number}").otherwise("title"))
    changed.write_parquet(items)
    return len(chosen)


def main() -> None:
    """Print three rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    given = Workspace(parser.parse_args().workspace)
    with tempfile.TemporaryDirectory(prefix="refresh-") as name:
        folder = Path(name)
        workspace = Workspace(folder / "workspace")
        shutil.copytree(given.models, workspace.models)
        for table in ("items", "interactions"):
            shutil.copyfile(in_use(given.data) / f"{table}.parquet", folder / f"{table}.parquet")
        source = Source(items=folder / "items.parquet", interactions=folder / "interactions.parquet")
        begun = time.perf_counter()
        workspace.ingest(source)
        full = time.perf_counter() - begun + run(workspace, "build-index")[0]
        change(folder / "items.parquet", 0)
        first, _ = run(workspace, "refresh")  # fits the collaborative models of the gates, once a day
        none = np.array([run(workspace, "refresh")[0] for _ in range(ROUNDS)])
        few, calls = [], []
        for number in range(1, ROUNDS + 1):
            texts = change(folder / "items.parquet", number)
            seconds, output = run(workspace, "refresh")
            match = re.search(r"([\d,]+) of [\d,]+ texts encoded", output)
            few.append(seconds)
            calls.append(int(match[1].replace(",", "")) / texts if match else np.nan)
    figures = {"full_build_seconds": round(full, 1), "first_of_a_day_seconds": round(first, 1)}
    say("refresh_encoder_calls_a_changed_text", calls, 1.0, None, better="lower")
    say("refresh_one_percent_changed", np.array(few) / full, 0.03, None, better="lower", seconds=round(float(np.median(few)), 2), **figures)
    say("refresh_nothing_changed", none / full, 0.005, None, better="lower", seconds=round(float(np.median(none)), 2), **figures)


if __name__ == "__main__":
    main()
