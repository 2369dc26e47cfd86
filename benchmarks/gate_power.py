"""Power of the gate on NDCG@10, which asks 50 users first, compared with one that always asks 200.

    python -m benchmarks.gate_power [--workspace DIR] [--users N]

Lists of the bundle in use predict what customers bought in the last 7 days of its log. A harmful bundle is made of them in two ways: each
customer loses the whole list with some probability (their ids no longer match), or each item is gone from all lists (its id no longer
matches). Of either, 200 customers are drawn many times. A row a harm: `ratio` is the share of harmful bundles that the gate refuses, over
the share that a gate refuses which always asks 200; `few` is the share of draws in which 50 customers decide, and `unharmed` is that of
bundles that lose nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.paired import say
from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import Split
from recsys.recommend.open import open_recommender
from recsys.recommend.pipeline import Recommender
from recsys.refresh.offline_check import FEW, K, surely_within
from recsys.settings.refresh import RefreshConfig
from recsys.snapshot.aggregates import LogAggregates
from recsys.workspace.workspace import Workspace

DRAWS, SHARES = 4_000, (0.0, 0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5)


def decisions(before: np.ndarray, after: np.ndarray, config: RefreshConfig, random: np.random.Generator) -> np.ndarray:
    """Return for some draws whether the gate refuses, whether one of all users does, and whether few decide, bool (draws, 3)."""
    found = np.zeros((DRAWS, 3), dtype=bool)
    for draw in found:
        chosen = random.choice(len(before), config.judged_users, replace=False)
        scores = np.array([before[chosen], after[chosen]])
        few = surely_within(scores[:, :FEW], config.max_ndcg_drop)
        mean = scores.mean(axis=1)
        harmful = 1 - mean[1] / mean[0] > config.max_ndcg_drop
        draw[:] = harmful and not few, harmful, few
    return found


def main() -> None:
    """Print a row for each harm."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--users", type=int, default=1_000)
    given = parser.parse_args()
    opened, config = open_recommender(Workspace(given.workspace)), RefreshConfig()
    log = opened.snapshot.log
    cut = log.end // DAY * DAY - config.judged_days * DAY
    truth = GroundTruth.of(Split.by_time(log, cut), given.users)
    history, snapshot, retrieval = truth.split.history, opened.snapshot, opened.model.retrieval
    models = snapshot.collaborative.carried_over(np.arange(log.n_items), history, cut)
    aggregates = LogAggregates.of(snapshot.catalog, history, cut, retrieval, models, snapshot.review_words)
    recommender = Recommender(opened.model, replace(snapshot, now=cut, **vars(aggregates)))
    lists = recommender.recommend(Histories.of_users(history, truth.users, cut), K).rows
    before, random = ndcg(lists, truth.bought, K), np.random.default_rng(0)
    for share in SHARES:
        lost = random.random(len(before)) < share
        gone = random.random(log.n_items) < share
        harms = {"lists": np.where(lost, 0.0, before), "items": ndcg(np.where(gone[lists], -1, lists), truth.bought, K)}
        for name, after in harms.items():
            ours, whole, few = decisions(before, after, config, random).mean(axis=0)
            drop = round(float(1 - after.mean() / before.mean()), 3)
            figures = {
                "drop": drop,
                "refused": round(float(ours), 4),
                "refused_by_200": round(float(whole), 4),
                "few": round(float(few), 4),
            }
            say(f"gate_power_{name}_{share}", [1.0 if ours == whole else ours / whole], 1.0, None, **figures)


if __name__ == "__main__":
    main()
