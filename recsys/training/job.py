"""Inputs of training: the shop's data with its settings, and what the ranking is fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from features.progress import silent, unwatched
from retrieval.collaborative.review_words import ReviewWords

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from features.data.queries import Queries
    from features.data.reviews import Reviews
    from features.progress import EpochWatch, Progress
    from features.reviews.polarities import Polarities
    from features.text.token_states import ItemTokens
    from ranking.cross_encoder.trainer import TrainingPairs
    from recsys.artifacts.ranking import Ranking
    from recsys.settings.settings import Settings
    from recsys.training.windows import Windows


@dataclass(frozen=True)
class RankingData:
    """Labelled candidates that a ranking is fitted on, in the order of retrieval.

    Attributes
    ----------
    base : of the windows of the base booster, anonymous baskets included.
    residual, calibration : of the windows of the residual booster and of the calibration.
    """

    base: tuple[TrainingPairs, ...]
    residual: TrainingPairs
    calibration: TrainingPairs
    tokens: ItemTokens
    settings: Settings
    seed: int


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

    @cached_property
    def review_words(self) -> ReviewWords | None:
        """The words of the reviews; None for a shop without them, or where nothing reads them."""
        return None if self.reviews is None or not self.settings.retrieval.reviews else ReviewWords.of(self.reviews)
