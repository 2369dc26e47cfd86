"""Inputs of training: the shop's data with its settings, and what the ranking is fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from features.progress import silent, unwatched
from features.text.embeddings import group
from features.text.template import item_texts, text_hashes
from retrieval.collaborative.models import Collaborative
from retrieval.collaborative.review_words import ReviewWords
from retrieval.lexical.fields import text_fields
from retrieval.lexical.index import LexicalIndex
from retrieval.text_similarity import TextSimilarity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from features.data.queries import Queries
    from features.data.reviews import Reviews
    from features.progress import EpochWatch, Progress
    from features.reviews.polarities import Polarities
    from features.text.token_states import ItemTokens
    from ranking.cross_encoder.trainer import TrainingPairs
    from recsys.artifacts.ranking import Ranking
    from recsys.compute.job import Cluster
    from recsys.settings.settings import Settings
    from recsys.training.windows import Window, Windows


@dataclass(frozen=True)
class RankingData:
    """Labelled candidates that a ranking is fitted on, in the order of retrieval.

    Attributes
    ----------
    base : of the windows of the base booster, anonymous baskets and lists of items with few buyers included.
    residual, calibration : of the windows of the residual booster and of the calibration.
    few_residual, few_calibration : lists of items with few buyers in the same windows; None where there are none.
    """

    base: tuple[TrainingPairs, ...]
    residual: TrainingPairs
    calibration: TrainingPairs
    tokens: ItemTokens
    settings: Settings
    seed: int
    few_residual: TrainingPairs | None = None
    few_calibration: TrainingPairs | None = None


@dataclass(frozen=True)
class TrainingJob:
    """One training: a shop's data, its windows and settings.

    Attributes
    ----------
    log : ends where training must not look further.
    queries, reviews : the shop's search log and reviews; None for a shop without them.
    polarities : what people labelled in sentences of reviews; None for a shop without such labels.
    watch : called with the ranking and the data that it was fitted on.
    progress : reports the long stages.
    on_epoch : told how the towers stand after each epoch.
    cluster : encodes the catalogue, trains the towers, and retrieves the windows' candidates, in place of this process.
    cache : the workspace's cache, where the cluster's workers read and write; None without a cluster.
    """

    catalog: Catalog
    log: Interactions
    windows: Windows
    settings: Settings
    seed: int
    queries: Queries | None = None
    reviews: Reviews | None = None
    watch: Callable[[RankingData, Ranking], None] | None = None
    progress: Progress = silent
    polarities: Polarities | None = None
    on_epoch: EpochWatch = unwatched
    cluster: Cluster | None = None
    cache: Path | None = None

    @cached_property
    def review_words(self) -> ReviewWords | None:
        """The words of the reviews; None for a shop without them, or where nothing reads them."""
        return None if self.reviews is None or not self.settings.retrieval.reviews else ReviewWords.of(self.reviews)

    def collaborative(self, window: Window) -> Collaborative:
        """Return the collaborative models of the events before a window; the last ones, if it begins at the same moment.

        With step times all windows do, and search stands where the calibration's window begins.
        """
        if window.start not in self._collaborative:
            self._collaborative.clear()
            history = self.log.between(None, window.start)
            self._collaborative[window.start] = Collaborative.fit(history, window.start, self.settings.retrieval, self.review_words)
        return self._collaborative[window.start]

    @cached_property
    def _collaborative(self) -> dict[int, Collaborative]:
        return {}

    @cached_property
    def distinct_texts(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """An item of each distinct text, int64 (t,), each item's text, int64 (n_items,), and the texts."""
        texts = item_texts(self.catalog)
        first, text_of = group(text_hashes(texts))
        return first, text_of, texts.gather(first).to_list()

    @cached_property
    def lexical(self) -> LexicalIndex:
        """The words of the catalogue's distinct texts."""
        first, text_of, _ = self.distinct_texts
        return LexicalIndex.build(text_fields(self.catalog.frame, text_of, first), self.settings.search.words)

    def text_similarity(self, text_of: np.ndarray, models: Collaborative) -> TextSimilarity | None:
        """Return the similarity of the catalogue's texts; None if the settings do not use it."""
        return TextSimilarity.of(self.lexical, text_of, models) if self.settings.retrieval.texts else None
