"""The protocol: one function judges our recommender and every baseline.

Users are those with events before the cut and a purchase after it. Each is asked three lists, always ranked over the whole catalogue:

| list | may hold | relevant |
|---|---|---|
| all | items known before the cut | known items bought after it, repeats included |
| new | known items that the user had not bought | those of them bought after the cut |
| cold | every item that the user had not bought | items never sold before the cut |

The slice "repeat" judges the list "all", as it is, on what the user had bought before; so do the thirds of users by activity ("light",
"medium", "heavy") on all that was relevant to them. A user with nothing relevant is left out of a figure; its `users` says how many remain.
Users who have nothing relevant in "new" or "cold" are not asked for that list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from eval.intervals import Bootstrap, Figure
from eval.judge import KS, EvaluateConfig, Judge, Progress, Recommend
from eval.metrics import average_precision, coverage, diversity, hit_rate, mrr, ndcg, novelty, recall
from eval.probability import Reliability, ScoredPairs, reliability
from eval.result import Report
from eval.truth import ACTIVITY, Truth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.pairs import Pairs
    from features.split import Split

CURVE_KS = (1, 2, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True)
class System:
    """What is judged.

    Attributes
    ----------
    recommend: the whole of it. explore: what answers for new and cold items; None: `recommend` as well.
    stages: parts of it that find candidates, by name, asked the same way. calibrated: its scores are probabilities.
    """

    recommend: Recommend
    explore: Recommend | None = None
    stages: Mapping[str, Recommend] = field(default_factory=dict)
    calibrated: bool = False


def evaluate(
    system: System,
    split: Split,
    config: EvaluateConfig | None = None,
    vectors: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge a system on a split.

    Parameters
    ----------
    vectors: float (n_items, dim), in which the diversity of the lists is measured; None leaves it out.

    Raises
    ------
    DataError: the split has no users to judge on.
    """
    config = config or EvaluateConfig()
    judge = Judge(Truth.of(split, config.max_users, config.seed), config, progress or (lambda _label, _done, _total: None))
    truth, boot = judge.truth, judge.bootstrap
    lists = {"all": judge.ask(system.recommend, "all", config.depth)}
    lists |= {name: judge.ask(system.explore or system.recommend, name, max(KS)) for name in ("new", "cold")}
    relevant = {name: truth.relevant(name) for name in ("all", "repeat", "new", "cold")}
    everyone = _accuracy(lists["all"].rows, relevant["all"])
    tables = {name: _accuracy(lists["all" if name == "repeat" else name].rows, relevant[name]) for name in ("repeat", "new", "cold")}
    third = truth.activity()
    for i, name in enumerate(ACTIVITY):
        tables[name] = {metric: np.where(third == i, values, np.nan) for metric, values in everyone.items()}
    pairs = lists["all"].pairs(truth.bought)
    points = reliability(pairs.labels, pairs.scores) if system.calibrated else None
    return Report(
        metrics=boot.means(everyone) | _beyond_accuracy(judge, lists["all"].rows, vectors) | _score_figures(boot, pairs, points),
        slices={name: boot.means(values) for name, values in tables.items()},
        stages=judge.stages(system.stages, lists) if system.stages else {},
        curve=boot.means({str(k): recall(lists["all"].rows, relevant["all"], k) for k in CURVE_KS if k <= config.depth}),
        reliability=points,
        per_user={"all": everyone, "new": tables["new"]},
        cut=datetime.fromtimestamp(split.cut, UTC).isoformat(),
        users=len(truth.users),
        items=int(truth.known.sum()),
    )


def _accuracy(rows: np.ndarray, relevant: Pairs) -> dict[str, np.ndarray]:
    metrics = {"recall": recall, "ndcg": ndcg, "mrr": mrr, "map": average_precision, "hit_rate": hit_rate}
    return {f"{name}@{k}": metric(rows, relevant, k) for name, metric in metrics.items() for k in KS}


def _beyond_accuracy(judge: Judge, rows: np.ndarray, vectors: np.ndarray | None) -> dict[str, Figure]:
    share = coverage(rows, 10, int(judge.truth.known.sum()))
    values = {"novelty@10": novelty(rows, *judge.truth.buyers(), 10)}
    if vectors is not None:
        values["diversity@10"] = diversity(rows, vectors, 10)
    return {"coverage@10": Figure(share, np.nan, np.nan, len(rows)), **judge.bootstrap.means(values)}


def _score_figures(boot: Bootstrap, pairs: ScoredPairs, points: Reliability | None) -> dict[str, Figure]:
    figures = {"auc": boot.auc(pairs)}
    if points is not None:
        figures |= {"log_loss": boot.log_loss(pairs), "ece": boot.calibration_error(pairs, points)}
    return figures
