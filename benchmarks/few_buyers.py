"""NDCG@10 on items with fewer than five buyers: ours over ours without its text parts.

    python -m benchmarks.few_buyers SHOP [--data DIR] [--workspace DIR] [--users N]

SHOP is a shop of `recsys benchmark`, and the same cached results are used: what is missing is ingested, trained and
evaluated first, which takes as long as there, less the baselines. A row's interval is a paired bootstrap over users.
`kept` is NDCG@10 of the main list over that of the same system without the part. With `gbdt.few_buyer_users = 0` in
recsys.toml, or RECSYS_GBDT__FEW_BUYER_USERS=0, the rows are of a ranking that was trained without lists of such items.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from eval.metrics.intervals import Bootstrap
from recsys.offline.benchmark import Bench
from recsys.offline.evaluate import progress
from recsys.offline.options import BenchmarkOptions
from recsys.settings.names import ShopName
from recsys.settings.settings import load_settings
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from eval.protocol.benchmark_table import EvaluatedSystem

METRIC = "ndcg@10"
TARGETS = {"without text": 1.15, "without cross-encoder": 1.03, "without towers": None}


def say(ours: EvaluatedSystem, other: EvaluatedSystem, main: str) -> None:
    """Print the row of a part."""
    over = {part: Bootstrap().paired_ratio(ours.per_user[part][METRIC], other.per_user[part][METRIC]) for part in ("few", main)}
    few = over["few"]
    row = {
        "name": f"few buyers, ours over {other.name}",
        "ratio": round(few.value, 4),
        "low": round(few.low, 4),
        "high": round(few.high, 4),
    }
    more = {"target": TARGETS[other.name], "kept": round(over[main].value, 4), "users": few.users, "note": ours.note}
    print(json.dumps(row | more), flush=True)


def main() -> None:
    """Print a row for each text part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shop", choices=get_args(ShopName))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--users", type=int, default=10_000)
    given = parser.parse_args()
    options = BenchmarkOptions(given.shop, given.data, max_users=given.users)
    with progress() as report:
        bench = Bench.open(Workspace(given.workspace), load_settings(), options, report)
        ours, *others = bench.ours()
    for other in others:
        if other.name in TARGETS:
            say(ours, other, bench.kinds[0])


if __name__ == "__main__":
    main()
