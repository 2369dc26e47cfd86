"""Exports a workspace for a rival in another environment, cut as `recsys evaluate` cuts it.

    python -m benchmarks.sasrec.export WORKSPACE OUT

OUT/rows.parquet holds user_id, item_id, timestamp (seconds) and part of every event before the test. The part is
"validate" in a window before the test that is as long as the test, and "train" before that. OUT/users.parquet holds the
user_id of the test users.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from features.data.split import Split
from recsys.offline.evaluate import evaluation_cut
from recsys.workspace.workspace import Workspace


def export(workspace: Path, out: Path) -> None:
    """Write both tables."""
    catalog, log = Workspace(workspace).load()
    split = Split.by_time(log, evaluation_cut(log))
    history = split.history
    rows = pl.DataFrame(
        {"user_id": history.user_ids[history.user].tolist(), "item_id": catalog.ids[history.item].tolist(), "timestamp": history.time}
    )
    begin = split.cut - (split.end - split.cut)
    part = pl.when(pl.col("timestamp") < begin).then(pl.lit("train")).otherwise(pl.lit("validate"))
    out.mkdir(parents=True, exist_ok=True)
    rows.with_columns(part=part).write_parquet(out / "rows.parquet")
    pl.DataFrame({"user_id": history.user_ids[split.users].tolist()}).write_parquet(out / "users.parquet")


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
