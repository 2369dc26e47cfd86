"""Processor time of each fitted part of a snapshot when it is carried over, over that of a new fit, after one day's events and 1% of texts.

    python -m benchmarks.refit_parts [--workspace DIR] [--part collaborative|related|cold_start]

The data before are those of the bundle in use without the last day of its log, and with other titles for one text in a hundred. Both ways
are timed in one process. The first row has what the comparison with the data before takes, once for all parts.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl

from features.data.catalog import Catalog
from features.data.interactions import DAY
from features.names import TITLE
from features.storage.arrays import Subfolder
from recsys.artifacts.bundle import Bundle
from recsys.snapshot.fits.changes import Changes
from recsys.snapshot.snapshot import Snapshot, with_cold_start
from recsys.workspace.workspace import Workspace
from retrieval.collaborative.config import RetrievalConfig
from retrieval.collaborative.models import Collaborative
from retrieval.related.models import Related

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
SHARE = 0.01
PARTS = ("collaborative", "related", "cold_start")


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the processor seconds of a call, and its result."""
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


def earlier_of(snapshot: Snapshot) -> Snapshot:
    """Return the data of a snapshot a day before, with other titles of some texts; its fitted parts stay."""
    chosen = np.random.default_rng(0).random(len(snapshot.text_vectors)) < SHARE
    title = pl.when(pl.Series(chosen[snapshot.text_of])).then(pl.col(TITLE) + " as it was").otherwise(TITLE)
    catalog = Catalog(snapshot.catalog.frame.with_columns(title.alias(TITLE)))
    return replace(snapshot, catalog=catalog, log=snapshot.log.between(None, snapshot.log.end - DAY))


def say(part: str, carried: float, fitted: float) -> None:
    """Print a row."""
    ratio = round(carried / fitted, 4)
    row = {"name": f"carried_over_{part}", "ratio": ratio, "low": ratio, "high": ratio, "target": None, "kept": None}
    print(json.dumps(row | {"carried_seconds": round(carried, 2), "fitted_seconds": round(fitted, 2)}), flush=True)


def main() -> None:
    """Print a row for each part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--part", action="append", choices=PARTS)
    given = parser.parse_args()
    bundle = Bundle.open(Workspace(given.workspace).bundles)
    snapshot = Snapshot.from_files(Subfolder(bundle.files, "snapshot"))
    retrieval = RetrievalConfig.from_stored(json.loads(bundle.read("model.json"))["retrieval"])
    before, log, now = earlier_of(snapshot), snapshot.log, snapshot.now
    seconds, changes = timed(lambda: Changes.between(before, snapshot))
    print(json.dumps({"compare_seconds": round(seconds, 2), "events": changes.events, "items": changes.items}), flush=True)
    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "collaborative": (
            lambda: snapshot.collaborative.carried_over(changes.rows, log, now),
            lambda: Collaborative.fit(log, now, retrieval, snapshot.review_words),
        ),
        "related": (
            lambda: snapshot.related.carried_over(changes.rows, log, snapshot.category_texts, now),
            lambda: Related.fit(log, snapshot.category_texts, now),
        ),
        "cold_start": (lambda: with_cold_start(snapshot, snapshot.cold_start), lambda: with_cold_start(snapshot)),
    }
    for part in given.part or PARTS:
        carry_over, fit = ways[part]
        say(part, timed(carry_over)[0], timed(fit)[0])


if __name__ == "__main__":
    main()
