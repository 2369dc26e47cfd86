"""The protocol: one function judges our recommender and every baseline.

Users are those with events before the cut and a purchase after it. Each is asked three lists, always ranked over the whole catalogue:

| list | may hold | relevant |
|---|---|---|
| all | items known before the cut | known items bought after it, repeats included |
| new | known items that the user had not bought | those of them bought after the cut |
| cold | every item that the user had not bought | items never sold before the cut |

The slice "repeat" judges the list "all", as it is, on what the user had bought before; so do the thirds of users by activity ("light", "medium",
"heavy") on all that was relevant to them. A user with nothing relevant is left out of a figure; its interval's `users` says how many remain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.intervals import Bootstrap, Figure
from eval.metrics import average_precision, coverage, diversity, mrr, ndcg, novelty, recall
from eval.probability import Reliability, ScoredPairs, reliability
from eval.result import Report
from eval.truth import ACTIVITY, Truth
from features.histories import Histories
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from eval.pairs import Pairs
    from features.split import Split

KS = (5, 10, 20)
STAGE_KS = (100, 200)
CURVE_KS = (1, 2, 5, 10, 20, 50, 100, 200)

# users, k, allowed (n_items,) or (b, n_items) or None -> k items for each user, best first.
Recommend = Callable[[Histories, int, np.ndarray | None], Candidates]
# what is being done, users done, users in all.
Progress = Callable[[str, int, int], None]


class EvaluateConfig(BaseModel):
    """`depth`: candidates a user on which the scores are judged. `max_users`: judge on a random part of the users; None: on all."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    depth: int = Field(default=200, ge=max(KS))
    batch: int = Field(default=256, ge=1)
    resamples: int = Field(default=1000, ge=1)
    max_users: int | None = Field(default=None, ge=1)
    seed: int = 0


@dataclass(frozen=True)
class System:
    """What is judged.

    Attributes
    ----------
    recommend: the whole of it. stages: parts of it that find candidates, by name, asked the same way. calibrated: its scores are probabilities.
    """

    recommend: Recommend
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
    judge = _Judge(Truth.of(split, config.max_users, config.seed), config, progress or (lambda _label, _done, _total: None))
    truth, boot = judge.truth, judge.bootstrap
    lists = {name: judge.ask(system.recommend, name, config.depth if name == "all" else max(KS)) for name in ("all", "new", "cold")}
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


@dataclass(frozen=True)
class _Lists:
    """Answers: rows int32 (b, k) and scores float32 (b, k), as they were given."""

    rows_given: np.ndarray
    scores: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The lists; an item whose score is nan is no answer, its place stays empty."""
        return np.where(np.isnan(self.scores), -1, self.rows_given)

    def pairs(self, bought: Pairs) -> ScoredPairs:
        """Every candidate with its label."""
        user, place = np.nonzero(self.rows_given >= 0)
        return ScoredPairs(user, bought.has(user, self.rows_given[user, place]), self.scores[user, place], bought.n_users)


@dataclass(frozen=True)
class _Judge:
    """Asks for lists, batch by batch."""

    truth: Truth
    config: EvaluateConfig
    progress: Progress

    @property
    def bootstrap(self) -> Bootstrap:
        return Bootstrap(self.config.resamples, self.config.seed)

    def ask(self, recommend: Recommend, name: str, k: int, label: str = "ranking") -> _Lists:
        """The lists `name`; only users to whom something in it is relevant are asked, except for 'all', whose scores are judged too."""
        truth = self.truth
        asked = np.arange(len(truth.users)) if name == "all" else np.unique(truth.relevant(name).user)
        rows = np.full((len(truth.users), k), -1, dtype=np.int32)
        scores = np.full((len(truth.users), k), -np.inf, dtype=np.float32)
        for begin in range(0, len(asked), self.config.batch):
            part = asked[begin : begin + self.config.batch]
            found = recommend(truth.split.histories(truth.users[part]), k, truth.allowed(name, part))
            width = min(k, found.rows.shape[1])
            rows[part, :width], scores[part, :width] = found.rows[:, :width], found.scores[:, :width]
            self.progress(f"{label}, {name} items", begin + len(part), len(asked))
        return _Lists(rows, scores)

    def stages(self, stages: Mapping[str, Recommend], ranked: Mapping[str, _Lists]) -> dict[str, dict[str, dict[str, Figure]]]:
        """What each stage found, and what ranking made of it: stage -> list -> metric -> figure."""
        out: dict[str, dict[str, dict[str, Figure]]] = {name: {} for name in (*stages, "ranking")}
        for kind in ("all", "new"):
            relevant = self.truth.relevant(kind)
            for name, stage in stages.items():
                found = self.ask(stage, kind, max(STAGE_KS), name).rows
                values = {f"recall@{k}": recall(found, relevant, k) for k in STAGE_KS} | {"ndcg@10": ndcg(found, relevant, 10)}
                out[name][kind] = self.bootstrap.means(values)
            out["ranking"][kind] = self.bootstrap.means({"ndcg@10": ndcg(ranked[kind].rows, relevant, 10)})
        return out


def _accuracy(rows: np.ndarray, relevant: Pairs) -> dict[str, np.ndarray]:
    metrics = {"recall": recall, "ndcg": ndcg, "mrr": mrr, "map": average_precision}
    return {f"{name}@{k}": metric(rows, relevant, k) for k in KS for name, metric in metrics.items()}


def _beyond_accuracy(judge: _Judge, rows: np.ndarray, vectors: np.ndarray | None) -> dict[str, Figure]:
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
