"""The evaluation protocol: one function evaluates our recommender and every baseline.

Users are those with events before the cut and a purchase after it. Each gets these lists, always ranked over the whole
catalogue:

| list | may hold | relevant |
|---|---|---|
| all | items known before the cut | known items bought after it, repeats included |
| new | known items that the user had not bought | those of them bought after the cut |
| few | known items with fewer than five buyers that the user had not bought | those of them bought after the cut |
| cold | every item that the user had not bought | items never sold before the cut |
| unseen | every item that the user had not bought | those of them bought after the cut, known or not |

A log whose times carry only an order is evaluated on "unseen" too: leave-one-out as it is published, with seen items
masked.

The slice "repeat" evaluates the list "all", as it is, on what the user had bought before. The thirds of users by
activity ("light", "medium", "heavy") evaluate it on everything relevant to them. A user with nothing relevant is left
out of a metric; its `users` says how many remain. Users with nothing relevant in "new", "few" or "cold" get no
such list.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.exposure import gini, popularity, seen
from eval.metrics.intervals import Bootstrap, MetricValue
from eval.metrics.lists import average_precision, coverage, diversity, hit_rate, mrr, ndcg, novelty, recall
from eval.metrics.probabilities import Reliability, ScoredPairs, reliability
from eval.protocol.ground_truth import ACTIVITY, GroundTruth
from eval.protocol.report import Report
from eval.protocol.runner import KS, EvaluateConfig, EvaluationRunner, Progress, Recommend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.user_items import UserItems
    from eval.protocol.runner import Lists
    from features.data.split import Split

CURVE_KS = (1, 2, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True)
class System:
    """The system to evaluate.

    Attributes
    ----------
    recommend : the whole system
    explore : recommends for the lists "new", "few", "cold" and "unseen"; None: `recommend` does
    stages : its candidate stages, by name, called in the same way
    calibrated : whether its scores are probabilities
    unsold_items : recommends for the list "cold"; None: `explore` or `recommend` does
    """

    recommend: Recommend
    explore: Recommend | None = None
    stages: Mapping[str, Recommend] = field(default_factory=dict)
    calibrated: bool = False
    unsold_items: Recommend | None = None

    def recommender_of(self, name: str) -> Recommend:
        """Return what recommends for the list `name`."""
        if name == "all":
            return self.recommend
        return (self.unsold_items if name == "cold" else None) or self.explore or self.recommend


def lists_of(split: Split) -> tuple[str, ...]:
    """Return the lists that a split is evaluated on, the main one first: AUC and calibration are of its candidates."""
    return ("all", "new", "few", "cold", *(("unseen",) if split.history.ordinal else ()))


def evaluate(
    system: System,
    split: Split,
    config: EvaluateConfig | None = None,
    vectors: np.ndarray | None = None,
    progress: Progress | None = None,
    kinds: tuple[str, ...] | None = None,
) -> Report:
    """Evaluate a system on a split.

    Parameters
    ----------
    vectors : float (n_items, dim), in which the diversity of the lists is measured; None leaves diversity out
    kinds : which lists; None: `lists_of` the split. The report's metrics are those of the first

    Raises
    ------
    DataError
        The split has no users to evaluate.
    """
    config = config or EvaluateConfig()
    runner = EvaluationRunner(
        GroundTruth.of(split, config.max_users, config.seed), config, progress or (lambda _label, _done, _total: None)
    )
    lists = {}
    for name in kinds or lists_of(split):
        lists[name] = runner.run(system.recommender_of(name), name, max(KS) if lists else config.depth)
    report = build_report(runner, lists, vectors, calibrated=system.calibrated)
    return replace(report, stages=runner.stages(system.stages, lists)) if system.stages else report


def build_report(
    runner: EvaluationRunner, lists: Mapping[str, Lists], vectors: np.ndarray | None = None, *, calibrated: bool = False
) -> Report:
    """Return the report of one system's lists, by name, the main one first; without stages."""
    ground_truth, boot = runner.ground_truth, runner.bootstrap
    main = next(iter(lists))
    rows_of = {name: found.rows for name, found in lists.items()} | ({"repeat": lists["all"].rows} if "all" in lists else {})
    tables = {name: _accuracy(rows, ground_truth.relevant(name)) for name, rows in rows_of.items()}
    order = sorted(tables.keys() - {main}, key=("repeat", "new", "few", "cold", "all", "unseen").index)
    third = ground_truth.activity()
    by_activity = {
        name: {metric: np.where(third == i, values, np.nan) for metric, values in tables[main].items()} for i, name in enumerate(ACTIVITY)
    }
    pairs = lists[main].pairs(ground_truth.bought)
    points = reliability(pairs.labels, pairs.scores) if calibrated else None
    depth = lists[main].rows.shape[1]
    return Report(
        metrics=boot.means(tables[main]) | _beyond_accuracy(runner, lists[main].rows, vectors) | _score_metrics(boot, pairs, points),
        slices={name: boot.means(values) for name, values in ({name: tables[name] for name in order} | by_activity).items()},
        stages={},
        curve=boot.means({str(k): recall(lists[main].rows, ground_truth.relevant(main), k) for k in CURVE_KS if k <= depth}),
        reliability=points,
        per_user=tables,
        cut=datetime.fromtimestamp(ground_truth.split.cut, UTC).isoformat(),
        users=len(ground_truth.users),
        items=int(ground_truth.known.sum()),
        shown=lists[main].rows[:, :10],
    )


def _accuracy(rows: np.ndarray, relevant: UserItems) -> dict[str, np.ndarray]:
    metrics = {"recall": recall, "ndcg": ndcg, "mrr": mrr, "map": average_precision, "hit_rate": hit_rate}
    return {f"{name}@{k}": metric(rows, relevant, k) for name, metric in metrics.items() for k in KS}


def _beyond_accuracy(runner: EvaluationRunner, rows: np.ndarray, vectors: np.ndarray | None) -> dict[str, MetricValue]:
    known, buyers = runner.ground_truth.known, runner.ground_truth.buyers()
    item_coverage, inequality = coverage(rows, 10, int(known.sum())), gini(seen(rows[:, :10], len(known))[known])
    values = {"novelty@10": novelty(rows, *buyers, 10), "arp@10": popularity(rows, *buyers, 10)}
    if vectors is not None:
        values["diversity@10"] = diversity(rows, vectors, 10)
    pooled = {"coverage@10": item_coverage, "gini@10": inequality}  # of all lists together: no interval
    return {name: MetricValue(value, np.nan, np.nan, len(rows)) for name, value in pooled.items()} | runner.bootstrap.means(values)


def _score_metrics(boot: Bootstrap, pairs: ScoredPairs, points: Reliability | None) -> dict[str, MetricValue]:
    metrics = {"auc": boot.auc(pairs)}
    if points is not None:
        metrics |= {"log_loss": boot.log_loss(pairs), "ece": boot.calibration_error(pairs, points)}
    return metrics
