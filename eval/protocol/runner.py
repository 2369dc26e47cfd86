"""Runs a system on the users of an evaluation, batch by batch, and stores its lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.metrics.intervals import Bootstrap, MetricValue
from eval.metrics.lists import ndcg, recall
from eval.metrics.probabilities import ScoredPairs
from features.data.histories import Histories
from features.storage.sorted_unique import sorted_unique
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from eval.metrics.user_items import UserItems
    from eval.protocol.ground_truth import GroundTruth

KS = (5, 10, 20)
STAGE_KS = (100, 200)
MAIN = ("all", "unseen")  # lists whose scores are evaluated too, so every user gets them

# users, k, allowed (n_items,) or (b, n_items) or None -> k items for each user, best first.
Recommend = Callable[[Histories, int, np.ndarray | None], Candidates]
# The same for several systems at once, by name.
RecommendSeveral = Callable[[Histories, int, np.ndarray | None], Mapping[str, Candidates]]
# What is being done, users done, users in total.
Progress = Callable[[str, int, int], None]


class EvaluateConfig(BaseModel):
    """Settings of an evaluation.

    Attributes
    ----------
    depth : candidates a user on which the scores are evaluated
    batch : users recommended to at once
    max_users : evaluate this many users, drawn at random; None: all
    tune : tune the baselines on this very log first; otherwise the settings of [baselines] are used
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    depth: int = Field(default=200, ge=max(KS))
    batch: int = Field(default=256, ge=1)
    resamples: int = Field(default=1000, ge=1)
    max_users: int | None = Field(default=None, ge=1)
    tune: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Lists:
    """The lists of one system.

    Attributes
    ----------
    rows_given : int32 (b, k), catalogue rows as the system gave them
    scores : float32 (b, k)
    """

    rows_given: np.ndarray
    scores: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The lists, int32 (b, k); the place of an item whose score is nan stays empty (-1)."""
        return np.where(np.isnan(self.scores), -1, self.rows_given)

    def pairs(self, bought: UserItems) -> ScoredPairs:
        """Return every candidate with its score and label."""
        user, place = np.nonzero(self.rows_given >= 0)
        return ScoredPairs(user, bought.has(user, self.rows_given[user, place]), self.scores[user, place], bought.n_users)


@dataclass(frozen=True)
class EvaluationRunner:
    """Gets lists from systems, batch by batch, for the users of a ground ground_truth."""

    ground_truth: GroundTruth
    config: EvaluateConfig
    progress: Progress

    @property
    def bootstrap(self) -> Bootstrap:
        """The bootstrap that the configuration asks for."""
        return Bootstrap(self.config.resamples, self.config.seed)

    def users_of(self, name: str) -> np.ndarray:
        """Return the users who get the list `name`: sorted places in `ground_truth.users`, int64 (m,)."""
        return np.arange(len(self.ground_truth.users)) if name in MAIN else sorted_unique(self.ground_truth.relevant(name).user)

    def run(self, recommend: Recommend, name: str, k: int, label: str = "ranking") -> Lists:
        """Return the lists `name` of a system.

        Only users to whom something in the list is relevant get one, except in `MAIN`. Other rows stay empty.
        """
        return self.run_several(lambda users, k, allowed: {label: recommend(users, k, allowed)}, (label,), name, k)[label]

    def run_several(self, recommend: RecommendSeveral, systems: Sequence[str], name: str, k: int) -> dict[str, Lists]:
        """Return the lists `name` of several systems that share most of their work, by system."""
        ground_truth = self.ground_truth
        users = self.users_of(name)
        shape = (len(ground_truth.users), k)
        out = {system: Lists(np.full(shape, -1, dtype=np.int32), np.full(shape, -np.inf, dtype=np.float32)) for system in systems}
        for begin in range(0, len(users), self.config.batch):
            part = users[begin : begin + self.config.batch]
            histories = ground_truth.split.histories(ground_truth.users[part])
            for system, found in recommend(histories, k, histories.permitted(ground_truth.allowed(name, part))).items():
                lists, width = out[system], min(k, found.rows.shape[1])
                lists.rows_given[part, :width], lists.scores[part, :width] = found.rows[:, :width], found.scores[:, :width]
            self.progress(f"{systems[0]}, {name} items", begin + len(part), len(users))
        return out

    def stages(self, stages: Mapping[str, Recommend], ranked: Mapping[str, Lists]) -> dict[str, dict[str, dict[str, MetricValue]]]:
        """Return the metrics of each candidate stage, and of the order after ranking: stage -> list -> metric."""
        out: dict[str, dict[str, dict[str, MetricValue]]] = {name: {} for name in (*stages, "ranking")}
        for kind in ("all", "new"):
            if kind not in ranked:
                continue
            relevant = self.ground_truth.relevant(kind)
            for name, stage in stages.items():
                found = self.run(stage, kind, max(STAGE_KS), name).rows
                values = {f"recall@{k}": recall(found, relevant, k) for k in STAGE_KS} | {"ndcg@10": ndcg(found, relevant, 10)}
                out[name][kind] = self.bootstrap.means(values)
            out["ranking"][kind] = self.bootstrap.means({"ndcg@10": ndcg(ranked[kind].rows, relevant, 10)})
        return out
