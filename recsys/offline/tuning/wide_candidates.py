"""Candidates of a window with room for every quota of a search: narrower quotas are read off them without another retrieval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from eval.protocol.ground_truth import GroundTruth
from features.behavior.item_stats import ItemStats
from features.data.shop_profile import ShopProfile
from features.names import FUSED_SCORE, TOWER_RANK
from ranking.cross_encoder.trainer import TrainingPairs
from ranking.ranker import with_features
from recsys.training.ranking import anonymous_baskets
from retrieval.collaborative.models import Collaborative
from retrieval.hybrid import FUSION, HybridRetriever
from retrieval.index import ItemIndex
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    from eval.metrics.user_items import UserItems
    from features.data.histories import Histories
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels
    from recsys.training.windows import Window
    from retrieval.candidates import Candidates
    from retrieval.collaborative.config import RetrievalConfig

USERS_AT_ONCE = 64
QUOTA_OF = {"own": "repeat_purchases"}  # sources whose quota has another name


@dataclass(frozen=True)
class WideCandidates:
    """Candidates of all sources at their widest quotas.

    Attributes
    ----------
    candidates : in any order, with all features.
    ranks : each candidate's rank in the list of each source, int64 (b, k); -1 where the source does not list it.
    bought : what the users bought in the window.
    """

    candidates: Candidates
    ranks: dict[str, np.ndarray]
    bought: UserItems

    def narrowed(self, config: RetrievalConfig) -> TrainingPairs:
        """Return the candidates that these quotas retrieve, as `recsys.training.ranking.window_candidates` has them."""
        fused, tower_rank = np.zeros(self.candidates.rows.shape, dtype=np.float32), self.candidates.features[TOWER_RANK]
        for source, rank in self.ranks.items():
            listed = (rank >= 0) & (rank < getattr(config, QUOTA_OF.get(source, source)))
            fused = (fused + np.where(listed, 1 / (FUSION + 1 + rank), 0)).astype(np.float32)  # rounded as the retrieval rounds
            if source == "tower":
                tower_rank = np.where(listed, rank, np.nan).astype(np.float32)
        features = self.candidates.features | {FUSED_SCORE: fused, TOWER_RANK: tower_rank}
        order = np.lexsort((self.candidates.rows, -fused), axis=1)
        order = np.where(np.take_along_axis(fused, order, axis=1) > 0, order, -1)
        width = max(1, min(config.candidates, int((order >= 0).sum(axis=1).max(initial=1))))
        found = replace(self.candidates, scores=np.where(fused > 0, fused, -np.inf), features=features).take(order[:, :width])
        return TrainingPairs(found, self.bought.hits(found.rows))


@dataclass(frozen=True)
class JudgedWindow:
    """The candidates of one window's users, and what a list of theirs is judged by.

    Attributes
    ----------
    anonymous : of anonymous baskets.
    ground_truth : of the users.
    kind : the shop's main list, see `main_list`.
    """

    users: WideCandidates
    anonymous: WideCandidates
    ground_truth: GroundTruth
    kind: str

    @classmethod
    def of(cls, job: TrainingJob, models: TextModels, window: Window, users: int) -> JudgedWindow:
        """Retrieve at the window's start for at most so many users who bought in it, with the quotas of the job's settings."""
        split, settings = window.split(job.log), job.settings
        ground_truth = GroundTruth.of(split, users, job.seed)
        collaborative = Collaborative.fit(split.history, window.start, settings.retrieval, job.review_words)
        index = ItemIndex.build(models.vectors, settings.index)
        towers = TwoTowerRetriever(models.tower, models.vectors, index, models.text_of, collaborative.popularity.ranking)
        retriever, stats = (
            HybridRetriever(collaborative, towers, settings.retrieval),
            ItemStats.fit(split.history, job.catalog, window.start),
        )
        baskets, rest = anonymous_baskets(split, settings.gbdt.visitors, np.random.default_rng([job.seed, len(split.labels)]))
        return cls(
            _wide(retriever, stats, split.histories(ground_truth.users), ground_truth.bought),
            _wide(retriever, stats, baskets, rest),
            ground_truth,
            main_list(job),
        )

    @property
    def relevant(self) -> UserItems:
        """What is relevant in the main list."""
        return self.ground_truth.relevant(self.kind)

    def allowed(self, candidates: Candidates) -> Candidates:
        """Return the candidates that the main list may hold."""
        order = np.empty(candidates.rows.shape, dtype=np.int64)
        for begin in range(0, len(order), USERS_AT_ONCE):
            part = np.arange(begin, min(begin + USERS_AT_ONCE, len(order)))
            mask, rows = self.ground_truth.allowed(self.kind, part), candidates.rows[part]
            may = (mask[rows] if mask.ndim == 1 else np.take_along_axis(mask, np.maximum(rows, 0), axis=1)) & (rows >= 0)
            first = np.argsort(~may, axis=1, kind="stable")
            order[part] = np.where(np.take_along_axis(may, first, axis=1), first, -1)
        return candidates.take(order)


def main_list(job: TrainingJob) -> str:
    """Return the list that a shop is judged by: all items, or those that the user never bought where nobody buys a thing twice."""
    return "all" if ShopProfile.of(job.log).buys_again else "unseen"


def _wide(retriever: HybridRetriever, stats: ItemStats, users: Histories, bought: UserItems) -> WideCandidates:
    config = retriever.config
    most = sum(getattr(config, QUOTA_OF.get(source, source)) for source in (*QUOTA_OF, "ease", "item_knn", "als", "tower", "popular"))
    candidates = with_features(retriever.retrieve(users, most + config.markov + config.reviews), stats)
    parts = []
    for begin in range(0, max(1, len(users)), USERS_AT_ONCE):
        part = np.arange(begin, min(begin + USERS_AT_ONCE, len(users)))
        parts.append(retriever.places(users.take(part), candidates.rows[part]))
    ranks = {source: np.concatenate([part[source] for part in parts]) for source in parts[0]} if len(users) else {}
    return WideCandidates(candidates, ranks, bought)
