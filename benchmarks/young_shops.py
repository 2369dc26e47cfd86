"""Young shops: a public shop with only its first customers, trained with the defaults, against tuned baselines.

    python -m benchmarks.young_shops --data DIR [--workspace DIR] [--shop NAME]... [--share SHARE]... [--baseline NAME]...

DIR holds the folders of the shops' files. A young shop has the first 2, 5 or 10% of the customers, by their first purchase, or by
their row where times carry only an order. It has the whole catalogue, and its purchases go on until the benchmark's cut. Each row is
NDCG@10 of the shop's main list over that of the best baseline, with the paired interval over customers. All baselines are tuned on
validation data. Results are kept in the workspace, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.baselines.registry import BASELINES, NEED_TIMES
from eval.metrics.intervals import Bootstrap
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluationRunner
from features.data.split import Split
from recsys.offline.benchmark import Bench
from recsys.offline.options import BenchmarkOptions
from recsys.offline.public_datasets import SHOPS, ingest_once, source_of
from recsys.settings.settings import load_settings
from recsys.training.options import TrainOptions
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from recsys.settings.names import ShopName

YOUNG: tuple[ShopName, ...] = ("online_retail", "beauty")
SHARES = (0.02, 0.05, 0.1)
TARGET = 1.1


def first_users(log: Interactions, share: float) -> Interactions:
    """Return the events of the first customers."""
    n = max(1, round(share * log.n_users))
    first = np.full(log.n_users, np.iinfo(np.int64).max)
    if log.ordinal:  # all begin at about the same step
        first = np.arange(log.n_users)
    else:
        np.minimum.at(first, log.user, log.time)
    chosen = np.zeros(log.n_users, dtype=bool)
    chosen[np.argsort(first, kind="stable")[:n]] = True
    return log.where(chosen[log.user]).with_known_users()


def measure(name: ShopName, share: float, options: argparse.Namespace) -> None:
    """Train and evaluate one young shop, and print its row."""
    settings, whole = load_settings(), Workspace(options.workspace / name)
    ingest_once(source_of(name, options.data), whole)
    catalog, log = whole.load(settings.events)
    split = Split.by_time(first_users(log, share), SHOPS[name].cut_of(log))
    place = Workspace(options.workspace / f"{name}-{share}")
    place.root.mkdir(parents=True, exist_ok=True)
    if not place.cache.exists():  # the texts are the same
        whole.cache.mkdir(parents=True, exist_ok=True)
        place.cache.symlink_to(whole.cache.resolve())
    runner = EvaluationRunner(GroundTruth.of(split, None), settings.evaluate, lambda _label, _done, _total: None)
    bench_options = BenchmarkOptions(name, options.data, TrainOptions(seed=options.seed), ablations=False)
    bench = Bench(place, settings, bench_options, catalog, runner)
    kind = SHOPS[name].lists[0]
    ours = bench.ours()[0]
    names = [other for other in options.baseline or BASELINES if not (log.ordinal and other in NEED_TIMES)]
    others = {other: bench.baseline(other).per_user[kind]["ndcg@10"] for other in names}
    best = max(others, key=lambda other: float(np.nanmean(others[other])))
    found = ours.per_user[kind]["ndcg@10"]
    ratio = Bootstrap().paired_ratio(found, others[best])
    row = {"name": f"{name}, first {100 * share:g}%", "ratio": ratio.value, "low": ratio.low, "high": ratio.high, "target": TARGET}
    row |= {"kept": float(np.nanmean(found)), "best": best, "ndcg@10_of_best": float(np.nanmean(others[best])), "users": ratio.users}
    row |= {"customers": split.history.n_users, "events": len(split.history), "fit_s": ours.seconds.get("fit")}
    print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}), flush=True)


def main() -> None:
    """Print a row for each young shop; `kept` is our NDCG@10."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workspace", type=Path, default=Path("workspace-young"))
    parser.add_argument("--shop", action="append", choices=YOUNG)
    parser.add_argument("--share", action="append", type=float)
    parser.add_argument("--baseline", action="append", choices=BASELINES)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.shop or YOUNG:
        for share in options.share or SHARES:
            measure(name, share, options)


if __name__ == "__main__":
    main()
