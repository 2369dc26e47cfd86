"""Ranks what a search found: relevance, and among equals what sells and what the user prefers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.names import BUYERS_28, BUYERS_EVER, PREFERENCE, RELEVANCE

if TYPE_CHECKING:
    from features.behavior.item_stats import ItemStats
    from retrieval.candidates import Candidates

POPULAR, PREFERRED = 0.05, 0.5  # weights beside relevance


@dataclass(frozen=True)
class SearchRanker:
    """Orders candidates of a query; implements `retrieval.candidates.Ranker`."""

    stats: ItemStats

    def rank(self, candidates: Candidates) -> Candidates:
        """Return the candidates, best first."""
        relevance, preference = candidates.features[RELEVANCE], candidates.features[PREFERENCE]
        rows = np.maximum(candidates.rows, 0)
        sales = np.log1p(self.stats.columns[BUYERS_28]) + 0.1 * np.log1p(self.stats.columns[BUYERS_EVER])
        score = relevance + POPULAR * (sales / max(sales.max(initial=0), 1e-6))[rows]
        with np.errstate(invalid="ignore"):
            chance = 1 / (1 + np.exp(-preference))
        best = np.nanmax(np.where(candidates.valid, np.nan_to_num(chance), 0), axis=1, keepdims=True, initial=1e-9)
        score = score + PREFERRED * np.sqrt(np.nan_to_num(chance) / best)
        return candidates.ranked(score)
