"""Popularity: distinct buyers in recent windows and over all time, and the trend between the two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

from features.data.interactions import DAY
from features.storage.arrays import arrays_of
from retrieval.collaborative.scoring import gather

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.histories import Histories
    from features.data.interactions import Interactions
    from retrieval.collaborative.scoring import ItemScorer

# Windows in days over which buyers are counted; "popular" is the middle one.
WINDOWS = (7, 28, 90)


@dataclass(frozen=True)
class Popularity:
    """Distinct buyers of each item; a user who only viewed it or put it into the cart counts by the event's weight.

    Implements `ItemScorer`.

    Attributes
    ----------
    buyers : float32 (n_items, 4)
        In the last 7, 28 and 90 days, and over all time.
    """

    buyers: np.ndarray

    @classmethod
    def fit(cls, log: Interactions, now: int) -> Popularity:
        """Count over the events before `now` (seconds since the epoch)."""
        columns = [log.between(now - days * DAY, now) for days in WINDOWS] + [log.between(None, now)]
        return cls(np.stack([_buyers(part) for part in columns], axis=1))

    @property
    def n_items(self) -> int:
        return len(self.buyers)

    @property
    def recent(self) -> np.ndarray:
        """Buyers of the last 28 days, float32 (n_items,)."""
        return self.buyers[:, 1]

    @cached_property
    def ranking(self) -> np.ndarray:
        """Score of each item, float32 (n_items,): buyers in the last 28 days; all-time buyers break ties."""
        ever = self.buyers[:, -1]
        return self.recent + ever / (ever.max(initial=0) + 1)

    @cached_property
    def trend(self) -> np.ndarray:
        """Trend of each item, float32 (n_items,): sqrt(buyers in the last 28 days / sqrt(all-time buyers))."""
        return np.sqrt(self.recent / np.sqrt(np.maximum(self.buyers[:, -1], 1)))

    def scores(self, users: Histories) -> np.ndarray:
        """See `ItemScorer`; the scores are the same for every user."""
        return np.broadcast_to(self.ranking, (len(users), self.n_items))

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        return gather(self.scores(users), rows)

    def to_files(self) -> dict[str, bytes]:
        """Return the counts in one safetensors file."""
        return {"popularity.safetensors": save({"buyers": self.buyers})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Popularity:
        """Read the files of `to_files`."""
        return cls(arrays_of(files, "popularity.safetensors")["buyers"])


def _buyers(log: Interactions) -> np.ndarray:
    """Return the users of each item, each counted by the event of the largest weight, float32 (n_items,)."""
    key = log.user.astype(np.int64) * log.n_items + log.item
    pairs, pair_of = np.unique(key, return_inverse=True)
    weight = np.zeros(len(pairs), dtype=np.float32)
    np.maximum.at(weight, pair_of, log.weight)
    return np.bincount(pairs % log.n_items, weight, minlength=log.n_items).astype(np.float32)


@dataclass(frozen=True)
class Trended:
    """A scorer whose scores are multiplied by the trend of each item. Implements `ItemScorer`."""

    scorer: ItemScorer
    popularity: Popularity

    @property
    def n_items(self) -> int:
        return self.scorer.n_items

    def scores(self, users: Histories) -> np.ndarray:
        """See `ItemScorer`."""
        return self.scorer.scores(users) * self.popularity.trend

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        return self.scorer.pair_scores(users, rows) * self.popularity.trend[np.maximum(rows, 0)]
