"""What kinds of merchandising rules cost in NDCG and bring in revenue, on a workspace's own log: the rules of `RULES`, each alone.

The bundle in use answers at the moment of `recsys evaluate`'s cut, with everything counted there; its weights may have seen the weeks
since.
`recsys rules price` trains a model that has not, and judges a shop's own rules.

    python benchmarks/merchandising.py WORKSPACE [USERS]
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluateConfig, EvaluationRunner
from features.behavior.recent_buyers import RecentBuyers
from features.data.split import Split
from ranking.merchandising.rules import OBJECTIVE, MerchandisingRules
from recsys.apps.storefront.rule_price import Pricer
from recsys.environment import prepare_environment
from recsys.offline.evaluate import evaluation_cut
from recsys.recommend.open import open_recommender
from recsys.recommend.pipeline import Recommender
from recsys.snapshot.aggregates import LogAggregates
from recsys.workspace.workspace import Workspace


def at_cut(workspace: Workspace) -> tuple[Recommender, Split]:
    """Return the bundle's recommender as of the evaluation's cut, and the log split there."""
    opened = open_recommender(workspace)
    snapshot = opened.snapshot
    split = Split.by_time(snapshot.log, evaluation_cut(snapshot.log))
    counted = LogAggregates.of(snapshot.catalog, split.history, split.cut, opened.model.retrieval, review_words=snapshot.review_words)
    return Recommender(opened.model, replace(snapshot, now=split.cut, **vars(counted))), split


def rules_of(recommender: Recommender) -> MerchandisingRules:
    """Return one rule of each kind and strength over a catalogue: its second most frequent brand, and items by how well they sell."""
    snapshot = recommender.snapshot
    ids = snapshot.catalog.ids
    buyers = RecentBuyers.of(snapshot.log, snapshot.stats, snapshot.now).recent
    by_sales = np.argsort(-buyers, kind="stable")
    selling = int((buyers > 0).sum())
    best, middle = str(ids[by_sales[20]]), str(ids[by_sales[selling // 10]])
    brand = snapshot.catalog.frame["brand"].drop_nulls().value_counts(sort=True)["brand"][1]
    weeks = [str(item) for item in ids[by_sales[selling // 20 : selling // 20 + 40]]]
    return MerchandisingRules.model_validate(
        {
            "objective": {"by": "expected_profit", "margin": 0.3},
            "pin": [
                {"name": "pin of a best seller at 1", "item": best, "position": 1},
                {"name": "pin of a slow seller at 1", "item": middle, "position": 1, "days": ["mon"]},
                {"name": "pin of a slow seller at 10", "item": middle, "position": 10, "days": ["tue"]},
            ],
            "boost": [
                {"name": "boost of a brand, 1.2", "brands": [brand], "factor": 1.2},
                {"name": "boost of a brand, 2", "brands": [brand], "factor": 2},
                {"name": "boost of a brand, 10", "brands": [brand], "factor": 10},
            ],
            "bury": [{"name": "bury of a brand, .5", "brands": [brand], "factor": 0.5}],
            "limit": [
                {"name": "3 of a category", "by": "category", "most": 3, "first": 10},
                {"name": "1 of a category", "by": "category", "most": 1, "first": 10},
            ],
            "campaign": [
                {"name": "1 place for 40 products", "items": weeks, "at_least": 1},
                {"name": "3 places for 40 products", "items": weeks, "at_least": 3},
            ],
        }
    )


def main(root: str, users: str = "800") -> None:
    """Print one JSON line a rule."""
    prepare_environment()
    recommender, split = at_cut(Workspace(Path(root)))
    rules = rules_of(recommender)
    config = EvaluateConfig(max_users=int(users))
    runner = EvaluationRunner(GroundTruth.of(split, config.max_users), config, lambda _label, _done, _total: None)
    pricer = Pricer(recommender, np.ones(len(recommender.snapshot.catalog), dtype=bool), rules)
    for price in pricer.prices(runner, [*rules.names, OBJECTIVE]):
        print(json.dumps(price.to_dict()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
