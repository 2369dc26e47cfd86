"""NDCG@10 and recall@10 of every user by RecTools and ranx. Runs in the environment of requirements-metrics.txt."""

# The environment of the project, in which types are checked, has no rivals.
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ranx import Qrels, Run, evaluate
from rectools.metrics import NDCG, Recall, calc_metrics


class Metrics:
    """The lists in the format of each library, converted before the clock starts."""

    def take(self, folder: str) -> dict[str, Any]:
        """Load lists (b, k) of item rows, and the relevant pairs."""
        rows, user, item = (np.load(Path(folder) / f"{name}.npy") for name in ("rows", "user", "item"))
        b, k = rows.shape
        flat = {"user_id": np.repeat(np.arange(b), k), "item_id": rows.ravel(), "rank": np.tile(np.arange(1, k + 1), b)}
        self.lists = pd.DataFrame(flat)
        self.bought = pd.DataFrame({"user_id": user, "item_id": item})
        relevant: dict[str, dict[str, int]] = {str(u): {} for u in range(b)}
        for u, i in zip(user.tolist(), item.tolist(), strict=True):
            relevant[str(u)][str(i)] = 1
        self.qrels = Qrels(relevant)
        self.run = Run({str(u): {str(i): float(k - place) for place, i in enumerate(row)} for u, row in enumerate(rows.tolist())})
        return {"users": b}

    def rectools(self) -> dict[str, Any]:
        """Return the mean metrics, and the time they took."""
        begun = time.perf_counter()
        metrics = {"ndcg": NDCG(10, divide_by_achievable=True), "recall": Recall(10)}
        found = calc_metrics(metrics, self.lists, self.bought)
        return {"seconds": time.perf_counter() - begun, **{name: float(value) for name, value in found.items()}}

    def ranx(self) -> dict[str, Any]:
        """Return the mean metrics, and the time they took."""
        begun = time.perf_counter()
        found = evaluate(self.qrels, self.run, ["ndcg@10", "recall@10"])
        return {"seconds": time.perf_counter() - begun, "ndcg": float(found["ndcg@10"]), "recall": float(found["recall@10"])}


def main() -> None:
    """Answer until the input ends."""
    metrics = Metrics()
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(metrics, request.pop("do"))(**request)), flush=True)


if __name__ == "__main__":
    main()
