"""Asks a system for its lists, batch by batch, and keeps the answers."""

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
MAIN = ("all", "unseen")  # lists whose scores are judged, and so everybody is asked for them

# users, k, allowed (n_items,) or (b, n_items) or None -> k items for each user, best first.
Recommend = Callable[[Histories, int, np.ndarray | None], Candidates]
# The same, the lists of several systems at once, by their names.
RecommendSeveral = Callable[[Histories, int, np.ndarray | None], Mapping[str, Candidates]]
# what is being done, users done, users in all.
Progress = Callable[[str, int, int], None]


class EvaluateConfig(BaseModel):
    """`depth`: candidates a user on which the scores are judged. `max_users`: judge on a random part of the users; None: on all.

    `tune`: give the baselines their best settings for this very log first; otherwise those of [baselines] are taken.
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
    """Answers: rows int32 (b, k) and scores float32 (b, k), as they were given."""

    rows_given: np.ndarray
    scores: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The lists; an item whose score is nan is no answer, its place stays empty."""
        return np.where(np.isnan(self.scores), -1, self.rows_given)

    def pairs(self, bought: UserItems) -> ScoredPairs:
        """Every candidate with its label."""
        user, place = np.nonzero(self.rows_given >= 0)
        return ScoredPairs(user, bought.has(user, self.rows_given[user, place]), self.scores[user, place], bought.n_users)


@dataclass(frozen=True)
class EvaluationRunner:
    """Asks for lists, batch by batch."""

    truth: GroundTruth
    config: EvaluateConfig
    progress: Progress

    @property
    def bootstrap(self) -> Bootstrap:
        return Bootstrap(self.config.resamples, self.config.seed)

    def asked(self, name: str) -> np.ndarray:
        """Who is asked for a list: users of the evaluation, sorted, int64 (m,)."""
        return np.arange(len(self.truth.users)) if name in MAIN else sorted_unique(self.truth.relevant(name).user)

    def ask(self, recommend: Recommend, name: str, k: int, label: str = "ranking") -> Lists:
        """The lists `name`; only users to whom something in it is relevant are asked, except for those whose scores are judged too."""
        return self.ask_several(lambda users, k, allowed: {label: recommend(users, k, allowed)}, (label,), name, k)[label]

    def ask_several(self, recommend: RecommendSeveral, systems: Sequence[str], name: str, k: int) -> dict[str, Lists]:
        """`ask` of systems that share most of their work, so that they answer together."""
        truth = self.truth
        asked = self.asked(name)
        shape = (len(truth.users), k)
        out = {system: Lists(np.full(shape, -1, dtype=np.int32), np.full(shape, -np.inf, dtype=np.float32)) for system in systems}
        for begin in range(0, len(asked), self.config.batch):
            part = asked[begin : begin + self.config.batch]
            for system, found in recommend(truth.split.histories(truth.users[part]), k, truth.allowed(name, part)).items():
                lists, width = out[system], min(k, found.rows.shape[1])
                lists.rows_given[part, :width], lists.scores[part, :width] = found.rows[:, :width], found.scores[:, :width]
            self.progress(f"{systems[0]}, {name} items", begin + len(part), len(asked))
        return out

    def stages(self, stages: Mapping[str, Recommend], ranked: Mapping[str, Lists]) -> dict[str, dict[str, dict[str, MetricValue]]]:
        """What each stage found, and what ranking made of it: stage -> list -> metric -> figure."""
        out: dict[str, dict[str, dict[str, MetricValue]]] = {name: {} for name in (*stages, "ranking")}
        for kind in ("all", "new"):
            if kind not in ranked:
                continue
            relevant = self.truth.relevant(kind)
            for name, stage in stages.items():
                found = self.ask(stage, kind, max(STAGE_KS), name).rows
                values = {f"recall@{k}": recall(found, relevant, k) for k in STAGE_KS} | {"ndcg@10": ndcg(found, relevant, 10)}
                out[name][kind] = self.bootstrap.means(values)
            out["ranking"][kind] = self.bootstrap.means({"ndcg@10": ndcg(ranked[kind].rows, relevant, 10)})
        return out
