"""The parts of a snapshot that are computed from its log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.behavior.item_stats import ItemStats
from features.data.shop_profile import ShopProfile
from retrieval.collaborative.models import Collaborative

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from retrieval.collaborative.config import RetrievalConfig
    from retrieval.collaborative.review_words import ReviewWords


@dataclass(frozen=True)
class LogAggregates:
    """The parts of a snapshot that are computed from its log and the words of its reviews, and these."""

    log: Interactions
    collaborative: Collaborative
    stats: ItemStats
    buys_again: bool
    review_words: ReviewWords | None = None

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        log: Interactions,
        now: int,
        retrieval: RetrievalConfig,
        collaborative: Collaborative | None = None,
        review_words: ReviewWords | None = None,
    ) -> LogAggregates:
        """Compute them from a log that ends before `now`; `collaborative` passes models that were already fitted."""
        return cls(
            log=log,
            collaborative=collaborative or Collaborative.fit(log, now, retrieval, review_words),
            stats=ItemStats.fit(log, catalog, now),
            buys_again=ShopProfile.of(log).buys_again,
            review_words=review_words,
        )
