"""Candidates of a window with room for every quota of a search: narrower quotas are read off them without another retrieval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from eval.protocol.ground_truth import GroundTruth
from features.data.shop_profile import ShopProfile
from features.names import (
    FUSED_SCORE,
    MARKOV_SCORE,
    NEXT_ITEM_SCORE,
    REVIEW_EASE_SCORE,
    TOWER_RANK,
    WORDS_KNN,
    WORDS_LAST,
    WORDS_SIMILARITY,
)
from ranking.cross_encoder.trainer import TrainingPairs
from ranking.ranker import with_features
from recsys.training.few_buyers.lists import MOST, few_buyer_users
from recsys.training.few_buyers.window_retriever import WindowRetriever
from recsys.training.ranking import WindowCandidates, anonymous_baskets
from retrieval.hybrid import FUSION

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
QUOTAS = ("repeat_purchases", "ease", "item_knn", "als", "tower", "popular", "markov", "reviews", "texts")
# Candidate features that exist only where a source has a quota, by the quota.
FEATURES_OF = {
    "markov": (MARKOV_SCORE, NEXT_ITEM_SCORE),
    "reviews": (REVIEW_EASE_SCORE,),
    "texts": (WORDS_LAST, WORDS_SIMILARITY, WORDS_KNN),
}


@dataclass(frozen=True)
class WideCandidates:
    """Candidates of all sources at their widest quotas.

    Attributes
    ----------
    candidates : in any order, with all features.
    ranks : each candidate's rank in the list of each source, int64 (b, k); -1 where the source does not list it.
    bought : what the users bought in the window.
    most : candidates a user, at most; None for as many as the settings say.
    stands_for : see `ranking.cross_encoder.trainer.TrainingPairs`.
    """

    candidates: Candidates
    ranks: dict[str, np.ndarray]
    bought: UserItems
    most: int | None = None
    stands_for: float = 1.0

    def narrowed(self, config: RetrievalConfig) -> TrainingPairs:
        """Return the candidates that these quotas retrieve, with the features that a retrieval with these quotas gives."""
        fused, tower_rank = np.zeros(self.candidates.rows.shape, dtype=np.float32), self.candidates.features[TOWER_RANK]
        for source, rank in self.ranks.items():
            listed = (rank >= 0) & (rank < getattr(config, QUOTA_OF.get(source, source)))
            fused = (fused + np.where(listed, 1 / (FUSION + 1 + rank), 0)).astype(np.float32)  # rounded as the retrieval rounds
            if source == "tower":
                tower_rank = np.where(listed, rank, np.nan).astype(np.float32)
        missing = {name for quota, names in FEATURES_OF.items() if not getattr(config, quota) for name in names}
        features = {name: column for name, column in self.candidates.features.items() if name not in missing}
        features |= {FUSED_SCORE: fused, TOWER_RANK: tower_rank}
        order = np.lexsort((self.candidates.rows, -fused), axis=1)
        order = np.where(np.take_along_axis(fused, order, axis=1) > 0, order, -1)
        most = config.candidates if self.most is None else min(config.candidates, self.most)
        width = max(1, min(most, int((order >= 0).sum(axis=1).max(initial=1))))
        found = replace(self.candidates, scores=np.where(fused > 0, fused, -np.inf), features=features).take(order[:, :width])
        return TrainingPairs(found, self.bought.hits(found.rows), self.stands_for)


@dataclass(frozen=True)
class JudgedWindow:
    """The wide candidates that a ranking is fitted on in one window, and what a list of the window's users is judged by.

    Attributes
    ----------
    users : of users who bought in the window.
    anonymous : of anonymous baskets.
    few : of each kind of list of items with few buyers, see `recsys.training.few_buyers.lists`; empty where nobody bought one.
    ground_truth : of the users.
    kind : the shop's main list, see `main_list`.
    """

    users: WideCandidates
    anonymous: WideCandidates
    few: tuple[WideCandidates, ...]
    ground_truth: GroundTruth
    kind: str

    @classmethod
    def of(cls, job: TrainingJob, models: TextModels, window: Window, users: int) -> JudgedWindow:
        """Retrieve at the window's start for at most so many users of each kind, with the quotas of the job's settings."""
        split, settings = window.split(job.log), job.settings
        ground_truth = GroundTruth.of(split, users, job.seed)
        found = WindowRetriever.of(job, models, split.history, window.start, models.vectors, job.collaborative(window))
        baskets, rest = anonymous_baskets(split, settings.gbdt.visitors, np.random.default_rng([job.seed, len(split.labels)]))
        few = (
            replace(_wide(each.found, each.histories, each.bought, each.allowed), most=MOST, stands_for=each.stands_for)
            for each in few_buyer_users(job, models, split, found, users)
        )
        return cls(
            _wide(found, split.histories(ground_truth.users), ground_truth.bought),
            _wide(found, baskets, rest),
            tuple(few),
            ground_truth,
            main_list(job),
        )

    def narrowed(self, config: RetrievalConfig) -> WindowCandidates:
        """Return what these quotas retrieve, as `recsys.training.ranking.window_candidates` has it."""
        pairs, few = self.users.narrowed(config), [wide.narrowed(config) for wide in self.few]
        recall = float(pairs.labels.sum() / max(self.users.bought.counts.sum(), 1))
        return WindowCandidates(pairs, self.anonymous.narrowed(config), recall, TrainingPairs.joined(few) if few else None)

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


def _wide(found: WindowRetriever, users: Histories, bought: UserItems, allowed: np.ndarray | None = None) -> WideCandidates:
    """Retrieve all that any source lists.

    Parameters
    ----------
    bought : of the users, by their place in `users`.
    allowed : items that may be returned, bool (b, n_items).
    """
    retriever = found.retriever
    most = sum(getattr(retriever.config, quota) for quota in QUOTAS)
    candidates = with_features(retriever.retrieve(users, most, allowed), found.stats)
    parts = []
    for begin in range(0, max(1, len(users)), USERS_AT_ONCE):
        part = np.arange(begin, min(begin + USERS_AT_ONCE, len(users)))
        parts.append(retriever.places(users.take(part), candidates.rows[part], None if allowed is None else allowed[part]))
    ranks = {source: np.concatenate([part[source] for part in parts]) for source in parts[0]} if len(users) else {}
    return WideCandidates(candidates, ranks, bought)
