"""Time of NDCG@10 and recall@10 of 100,000 users, compared with RecTools and ranx on the same lists.

    python -m benchmarks.metrics

The first call of ranx compiles it and is not counted.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.paired import ROUNDS, Rival, say
from eval.metrics.lists import ndcg, recall
from eval.metrics.user_items import UserItems

USERS, ITEMS, K, BOUGHT = 100_000, 20_000, 10, 8
TARGETS = {"rectools": 10, "ranx": 3}


def main() -> None:
    """Print a row for each library. `kept` is 1 where the metrics agree to 1e-9."""
    rng = np.random.default_rng(0)
    # A skewed draw, so that some lists have hits; no item is twice in a list.
    rows = (rng.zipf(1.3, (USERS, 1)) + np.cumsum(rng.integers(1, 40, (USERS, K)), axis=1)) % ITEMS
    user = np.repeat(np.arange(USERS), BOUGHT)
    relevant = UserItems.of(user, (rng.zipf(1.3, USERS * BOUGHT) + rng.integers(0, 200, USERS * BOUGHT)) % ITEMS, USERS, ITEMS)
    with tempfile.TemporaryDirectory() as folder, Rival("metrics.py", "METRIC_RIVALS") as rival:
        for name, array in {"rows": rows, "user": relevant.user, "item": relevant.item}.items():
            np.save(Path(folder) / f"{name}.npy", array)
        rival.ask(do="take", folder=folder)
        for name, target in TARGETS.items():
            ratios, difference, ours = [], 0.0, {}
            for turn in range(-1, ROUNDS):
                begun = time.perf_counter()
                ours = {"ndcg": float(ndcg(rows, relevant, K).mean()), "recall": float(recall(rows, relevant, K).mean())}
                seconds = time.perf_counter() - begun
                theirs = rival.ask(do=name)
                difference = max(difference, *(abs(ours[metric] - theirs[metric]) for metric in ours))
                if turn >= 0:
                    ratios.append(theirs["seconds"] / seconds)
            say(f"metrics_{name}", ratios, target, float(difference < 1e-9), largest_difference=difference, **ours)


if __name__ == "__main__":
    main()
