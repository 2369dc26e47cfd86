"""Bytes that a refresh writes into bundles/, over the bytes of the bundle that it publishes.

    python -m benchmarks.refresh_bytes [--workspace DIR] [--part chain|shop]

The demo's workspace is copied, and its bundle is built again upon itself: with the titles of 1% of the distinct texts changed, and then
with one more event. Two further rows each say what would be written if only whole files were shared, or blocks of 64 KiB at fixed places.
The first rows are of a chain: rows of a made array change by 1% a hundred times, and parts with too many dead bytes are written whole. A
refresh without any change publishes nothing.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.paired import say
from features.data.catalog import Catalog
from features.text.template import item_texts
from recsys.artifacts.bundle import Bundle, list_bundles
from recsys.artifacts.check import added_bytes
from recsys.artifacts.publish import publish, use
from recsys.offline.evaluate import evaluation_cut
from recsys.refresh.build import build, current_model
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from features.data.interactions import Interactions

SHARE, TARGET, BLOCK = 0.01, 0.05, 1 << 16
ROWS, WIDTH, CHAIN = 20_000, 128, 100
PARTS = ("chain", "shop")


def changed(catalog: Catalog) -> Catalog:
    """Return the catalogue with other titles of 1% of the distinct texts."""
    texts = pl.DataFrame({"text": item_texts(catalog)})["text"]
    hit = texts.is_in(texts.unique().sort().sample(fraction=SHARE, seed=1).implode())
    title = pl.when(hit).then(pl.col("title") + " no. 1").otherwise("title")
    return Catalog.from_frame(catalog.frame.with_columns(title=title))


def one_more(log: Interactions) -> Interactions:
    """Return the log with one event of a user in its middle twice."""
    place = len(log) // 3
    twice = np.insert(np.arange(len(log)), place, place)
    columns = {
        name: column[twice]
        for name in ("user", "item", "time", "event", "weight", "price", "value", "calendar")
        if (column := getattr(log, name)) is not None
    }
    return replace(log, **columns)


def rewritten(bundles: Path, old: str, new: str) -> tuple[int, int]:
    """Return the bytes of the files that differ between two bundles, and those of their blocks of 64 KiB that differ."""
    before, after = Bundle.open(bundles, old), Bundle.open(bundles, new)
    files = blocks = 0
    for name, entry in after.manifest.files.items():
        if before.manifest.files.get(name) == entry:
            continue
        files += entry.size
        content = after.read(name)
        was = before.read(name) if name in before.manifest.files else b""
        parts = range(0, len(content), BLOCK)
        blocks += sum(len(content[at : at + BLOCK]) for at in parts if content[at : at + BLOCK] != was[at : at + BLOCK])
    return files, blocks


def measured(workspace: Workspace, name: str, catalog: Catalog, log: Interactions) -> None:
    """Build upon the bundle in use, and print what was written."""
    settings = Settings.model_validate({"bundles": {"keep": 9}})
    old = Bundle.open(workspace.bundles).id
    build(workspace, settings, current_model(workspace, settings), catalog, log)
    bundle = Bundle.open(workspace.bundles)
    size = bundle.manifest.size
    files, blocks = rewritten(workspace.bundles, old, bundle.id)
    mib = {"bundle_mib": round(size / 2**20, 1), "written_mib": round(added_bytes(workspace.bundles)[bundle.id] / 2**20, 2)}
    say(f"bytes_{name}", [added_bytes(workspace.bundles)[bundle.id] / size], TARGET, None, better="lower", **mib)
    say(f"bytes_{name}_whole_files", [files / size], None, None, better="lower")
    say(f"bytes_{name}_blocks", [blocks / size], None, None, better="lower")


def chain(folder: Path) -> None:
    """Change 1% of the rows of an array again and again, and print the mean and the most that a publish wrote."""
    rng = np.random.default_rng(0)
    rows, written, n = rng.standard_normal((ROWS, WIDTH)).astype(np.float32), [], int(ROWS * SHARE)
    for _ in range(CHAIN + 1):
        bundle_id = publish(folder, {"rows": rows.tobytes()}, {}, 3)
        written.append(added_bytes(folder)[bundle_id] / rows.nbytes)
        left = np.delete(rows, rng.choice(ROWS, n, replace=False), axis=0)
        rows = np.insert(left, rng.integers(0, len(left), n), rng.standard_normal((n, WIDTH)).astype(np.float32), axis=0)
    disk = sum(added_bytes(folder).values()) / rows.nbytes
    say(
        "bytes_chain_of_changes_mean",
        [float(np.mean(written[1:]))],
        TARGET,
        None,
        better="lower",
        most=round(max(written[1:]), 3),
        disk=round(disk, 2),
    )


def shop(given: Workspace, workspace: Workspace) -> None:
    """Copy a workspace, build upon its bundle, and print what was written."""
    for folder in ("data", "models", "bundles", "cache"):
        shutil.copytree(given.root / folder, workspace.root / folder)
    settings = Settings()
    catalog, log = workspace.load(settings.events)
    log = log.between(None, evaluation_cut(log))
    for bundle_id in list_bundles(workspace.bundles):
        if Bundle.open(workspace.bundles, bundle_id).manifest.about["items"] == len(catalog):  # the demo adds a product to another
            use(workspace.bundles, bundle_id)
    texts = changed(catalog)
    measured(workspace, "one_percent_of_texts", texts, log)
    measured(workspace, "one_event", texts, one_more(log))


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--part", action="append", choices=PARTS)
    given = parser.parse_args()
    parts = given.part or PARTS
    with tempfile.TemporaryDirectory(prefix="refresh-bytes-") as name:
        if "chain" in parts:
            chain(Path(name) / "chain")
        if "shop" in parts:
            shop(Workspace(given.workspace), Workspace(Path(name) / "workspace"))


if __name__ == "__main__":
    main()
