"""What it costs the list that collaborative models are carried over and not fitted again, by the share of events since their fit.

    python -m benchmarks.refit_share [--workspace DIR] [--users N] [--share S]

Lists of the bundle in use predict what was bought in the last 28 days of its log. The models are fitted on the log before them without its
newest events, and everything else is counted on all of it, as in a refresh. A row a share: NDCG@10 over that of models that were fitted on
all of it, with a bootstrap over users; the trained weights are the same in all of them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.intervals import Bootstrap
from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import Split
from recsys.recommend.open import open_recommender
from recsys.recommend.pipeline import Recommender
from recsys.snapshot.aggregates import LogAggregates
from recsys.workspace.workspace import Workspace
from retrieval.collaborative.models import Collaborative
from retrieval.collaborative.scoring import TopScores

if TYPE_CHECKING:
    from retrieval.candidates import Candidates
    from retrieval.collaborative.scoring import ItemScorer

SHARES = (0.01, 0.02, 0.05, 0.1)
DAYS, K = 28, 10


def main() -> None:
    """Print a row for each share and model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--share", type=float, action="append")
    given = parser.parse_args()
    opened = open_recommender(Workspace(given.workspace))
    snapshot, model = opened.snapshot, opened.model
    cut = snapshot.log.end - DAYS * DAY
    truth = GroundTruth.of(Split.by_time(snapshot.log, cut), given.users)
    history, rows = truth.split.history, np.arange(len(snapshot.catalog))
    users, times = Histories.of_users(history, truth.users, cut), np.sort(history.time)
    counted = LogAggregates.of(snapshot.catalog, history, cut, model.retrieval, review_words=snapshot.review_words)

    def of(found: Candidates) -> np.ndarray:
        return ndcg(found.rows, truth.bought, K)

    def lists(collaborative: Collaborative) -> dict[str, np.ndarray]:
        aggregates = replace(counted, collaborative=collaborative)
        answered = Recommender(model, replace(snapshot, now=cut, **vars(aggregates))).recommend(users, K)
        return {"list": of(answered)} | {name: of(_best(getattr(collaborative, name), users)) for name in ("ease", "item_knn", "als")}

    fresh = lists(counted.collaborative)
    for share in given.share or SHARES:
        # Of n events that a model has learned from, n * share have come since.
        until = int(times[int(len(times) / (1 + share))])
        earlier = history.between(None, until)
        fitted = Collaborative.fit(earlier, until, model.retrieval, snapshot.review_words)
        figures = {"events": len(history) - len(earlier), "days": round((cut - until) / DAY, 1)}
        for name, one in lists(fitted.carried_over(rows, history, cut)).items():
            ratio = Bootstrap().paired_ratio(one, fresh[name])
            row = {"name": f"refit_share_{share:g}_{name}", "ratio": ratio.value, "low": ratio.low, "high": ratio.high, "target": 0.99}
            print(json.dumps(row | {"kept": float(np.nanmean(one))} | figures), flush=True)


def _best(scorer: ItemScorer, users: Histories) -> Candidates:
    return TopScores(scorer, "score").retrieve(users, K)


if __name__ == "__main__":
    main()
