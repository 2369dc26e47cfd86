"""What exploration costs: `python -m benchmarks.exploration --workspace DIR [--users 1000]`.

The workspace has a bundle that was trained until a date, and a log that goes on for 28 days after it. Customers of both get ten of their
twenty best items. NDCG@10 on what they bought afterwards is linear in the places, so that of epsilon is exact, over all that may be drawn.
Thompson sampling, from a beta distribution around each probability, is drawn 200 times, below the same upper places.

A row for each share: the mean loss of NDCG@10 with a paired bootstrap interval over customers, as a difference and as a part of it; how
many of the drawn places show another item than without; and how many impressions are worth 100 of another order of the lower places.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics.intervals import Bootstrap
from eval.metrics.user_items import UserItems
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from recsys.apps.storefront.exploration import place_probabilities
from recsys.recommend.open import open_recommender
from recsys.workspace.workspace import Workspace

K, RANKED, DRAWS, WINDOW = 10, 20, 200, 28
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
KEPT = (5, 0)
STRENGTHS = (30.0, 10.0, 3.0)  # pseudo-observations behind a probability: the fewer, the more is explored
ENOUGH = 100  # effective impressions, as `recsys off-policy` asks for
DISCOUNT = 1 / np.log2(np.arange(K) + 2)


@dataclass(frozen=True)
class Judged:
    """The best items of customers: whether each was bought, bool (b, 20), its probability, (b, 20), and the best possible DCG@10, (b,)."""

    hits: np.ndarray
    probability: np.ndarray
    ideal: np.ndarray

    @classmethod
    def of(cls, workspace: Workspace, count: int, seed: int) -> Judged:
        """Open a workspace whose log goes on after its bundle."""
        recommender = open_recommender(workspace)
        known, now = recommender.snapshot.log, recommender.snapshot.now
        _, log = workspace.load()
        after = log.between(now, now + WINDOW * DAY)
        after = after.where(np.isin(after.event, LABEL_EVENTS))
        rows = known.user_rows(log.user_ids.tolist())[after.user]
        items = recommender.snapshot.catalog.rows(workspace.load()[0].ids.tolist())[after.item]
        kept = (rows >= 0) & (items >= 0)
        users = np.unique(rows[kept])
        users = np.sort(np.random.default_rng(seed).choice(users, min(count, len(users)), replace=False))
        bought = UserItems.of(*_of_users(rows[kept], items[kept], users), len(users), len(recommender.snapshot.catalog))
        found = [
            recommender.recommend(Histories.of_users(known, users[start : start + 64], now), RANKED) for start in range(0, len(users), 64)
        ]
        hits = bought.hits(np.concatenate([one.rows for one in found]))
        ideal = np.cumsum(DISCOUNT)[np.minimum(bought.counts, K) - 1]
        return cls(hits, np.concatenate([one.scores for one in found]), ideal)

    def epsilon(self, share: float, kept: int) -> np.ndarray:
        """Return the expected NDCG@10 of each customer."""
        return self.hits @ (place_probabilities(RANKED, K, share, kept).T @ DISCOUNT) / self.ideal

    def thompson(self, strength: float, kept: int, seed: int) -> tuple[np.ndarray, float]:
        """Return the mean NDCG@10 of each customer, and the share of drawn places with another item."""
        rng, p = np.random.default_rng(seed), np.clip(self.probability, 1e-4, 1 - 1e-4)
        total, moved = np.zeros(len(p)), 0.0
        for _ in range(DRAWS):
            drawn = rng.beta(strength * p, strength * (1 - p))
            drawn[:, :kept] = 2 - np.arange(kept) / K  # the upper places stay
            order = np.argsort(-drawn, axis=1)[:, :K]
            total += np.take_along_axis(self.hits, order, axis=1) @ DISCOUNT
            moved += float((order != np.arange(K))[:, kept:].mean())
        return total / DRAWS / self.ideal, moved / DRAWS


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    judged = Judged.of(Workspace(options.workspace), options.users, options.seed)
    best = judged.epsilon(0.0, K)
    print(json.dumps({"name": "nothing drawn", "ndcg": float(best.mean()), "users": len(best)}), flush=True)
    for kept in KEPT:
        pool = min(RANKED - kept, 2 * (K - kept))
        for share in SHARES:
            row = _row(best, judged.epsilon(share, kept), share * (1 - 1 / pool))
            print(json.dumps({"name": f"epsilon {share:g}, first {kept} kept", **row, "impressions": ENOUGH * pool / share}), flush=True)
        for strength in STRENGTHS:
            values, moved = judged.thompson(strength, kept, options.seed)
            print(json.dumps({"name": f"thompson {strength:g}, first {kept} kept", **_row(best, values, moved)}), flush=True)


def _row(best: np.ndarray, values: np.ndarray, moved: float) -> dict[str, Any]:
    bootstrap = Bootstrap(1_000, 0)
    difference, ratio = bootstrap.paired_difference(values, best), bootstrap.paired_ratio(values, best)
    return {
        "difference": round(difference.value, 5),
        "low": round(difference.low, 5),
        "high": round(difference.high, 5),
        "lost": round(1 - ratio.value, 4),
        "lost_at_most": round(1 - ratio.low, 4),
        "places_moved": round(moved, 4),
    }


def _of_users(rows: np.ndarray, items: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.searchsorted(users, rows)
    place = np.minimum(place, len(users) - 1)
    found = users[place] == rows
    return place[found], items[found]


if __name__ == "__main__":
    main()
