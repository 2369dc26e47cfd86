"""Retrieval at the start of a window, as it would have answered then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.behavior.item_stats import ItemStats
from ranking.cross_encoder.trainer import TrainingPairs
from ranking.ranker import with_features
from retrieval.collaborative.models import Collaborative
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    import numpy as np

    from eval.metrics.user_items import UserItems
    from features.data.histories import Histories
    from features.data.interactions import Interactions
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels


@dataclass(frozen=True)
class WindowRetriever:
    """Retriever and statistics of items over a history that ends at the window's start.

    Attributes
    ----------
    depth : candidates a user, at most.
    """

    retriever: HybridRetriever
    stats: ItemStats
    depth: int

    @classmethod
    def of(
        cls,
        job: TrainingJob,
        models: TextModels,
        history: Interactions,
        start: int,
        vectors: np.ndarray,
        collaborative: Collaborative | None = None,
    ) -> WindowRetriever:
        """Fit what retrieval needs on a history.

        Parameters
        ----------
        vectors : of the distinct texts, float32 (t, dim); see `TextModels`.
        collaborative : models that were already fitted on it.
        """
        settings = job.settings
        collaborative = collaborative or Collaborative.fit(history, start, settings.retrieval, job.review_words)
        index = ItemIndex.build(vectors, settings.index)
        towers = TwoTowerRetriever(models.tower, vectors, index, models.text_of, collaborative.popularity.ranking)
        texts = job.text_similarity(models.text_of, collaborative)
        stats = ItemStats.fit(history, job.catalog, start)
        return cls(HybridRetriever(collaborative, towers, settings.retrieval, texts=texts), stats, settings.retrieval.candidates)

    def labelled(self, users: Histories, bought: UserItems, allowed: np.ndarray | None = None) -> TrainingPairs:
        """Return candidates with all their features, and which of them were bought.

        Parameters
        ----------
        bought : of the users, by their place in `users`.
        allowed : items that may be returned, bool (n_items,) or (b, n_items).
        """
        candidates = with_features(self.retriever.retrieve(users, self.depth, allowed), self.stats)
        return TrainingPairs(candidates, bought.hits(candidates.rows))
