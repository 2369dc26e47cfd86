"""What it costs never-sold items that their expert is carried over, by the share of texts that have changed since its fit.

    python -m benchmarks.refit_texts [--workspace DIR] [--users N] [--share S]

The expert is fitted on the log before the last 28 days of the bundle in use, over texts of which a share have each other's vectors. It is
then carried over to the texts as they are, and ranks what nobody had bought by then for those who bought some of it in these 28 days. A row
a share: the area under the ROC curve, a user at a time, over that of an expert that was fitted on the texts as they are, with a bootstrap
over users. An exchange changes more than a shop does, which mends a title.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from eval.metrics.intervals import Bootstrap
from eval.protocol.ground_truth import GroundTruth
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import Split
from features.storage.arrays import Subfolder
from recsys.artifacts.bundle import Bundle
from recsys.snapshot.snapshot import Snapshot
from recsys.workspace.workspace import Workspace
from retrieval.collaborative.als import ALS
from retrieval.index import ItemIndex
from retrieval.new_items.cold_start import ColdStart

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from retrieval.collaborative.als import ALSConfig

SHARES, DAYS = (0.05, 0.1), 28


def fit_each_log_once() -> None:
    """Keep the collaborative fits of past windows, which read no texts."""
    fit, of_length = ALS.fit, {}

    def once(log: Interactions, config: ALSConfig | None = None) -> ALS:
        if len(log) not in of_length:
            of_length[len(log)] = fit(log, config)
        return of_length[len(log)]

    ALS.fit = staticmethod(once)


def main() -> None:
    """Print a row for each share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--share", type=float, action="append")
    given = parser.parse_args()
    snapshot = Snapshot.from_files(Subfolder(Bundle.open(Workspace(given.workspace).bundles).files, "snapshot"))
    catalog, vectors, text_of = snapshot.catalog, snapshot.text_vectors, snapshot.text_of
    cut = snapshot.log.end - DAYS * DAY
    truth = GroundTruth.of(Split.by_time(snapshot.log, cut), given.users)
    log, config = truth.split.history, snapshot.collaborative.als.config
    sold = np.bincount(log.item, minlength=len(catalog)) > 0
    debut = ~sold[truth.bought.item]
    judged, user = np.unique(truth.bought.user[debut], return_inverse=True)
    unsold = np.flatnonzero(~sold)
    hits = np.zeros((len(judged), len(unsold)), dtype=bool)
    hits[user, np.searchsorted(unsold, truth.bought.item[debut])] = True
    users = Histories.of_users(log, truth.users[judged], cut)
    fit_each_log_once()
    als = ALS.fit(log.capped(), config)
    true_index = ItemIndex.build(vectors)

    @cache
    def scores(share: float) -> np.ndarray:
        random, other = np.random.default_rng(0), vectors.copy()
        moved = random.choice(len(vectors), int(share * len(vectors)), replace=False)
        other[moved] = vectors[np.roll(moved, 1)]
        fitted = ColdStart.fit(log, catalog, cut, (other, text_of, ItemIndex.build(other)), als, DAYS)
        carried = fitted.carried_over(log, catalog, cut, (vectors, text_of, true_index), als)
        found = carried.scorer(catalog, text_of, als).scores(users)[:, unsold]
        return np.array([roc_auc_score(hit, of_user) for hit, of_user in zip(hits, found, strict=True)])

    for share in given.share or SHARES:
        one, fresh = scores(share), scores(0.0)
        ratio = Bootstrap().paired_ratio(one, fresh)
        row = {"name": f"refit_texts_{share:g}", "ratio": ratio.value, "low": ratio.low, "high": ratio.high}
        print(json.dumps(row | {"target": 0.99, "kept": float(one.mean()), "users": len(judged)}), flush=True)


if __name__ == "__main__":
    main()
