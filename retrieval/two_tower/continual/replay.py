"""Batches that mix new events with replayed old ones, for towers that go on from an earlier training.

Training on new events alone forgets the old ones. The log still holds them, so a share of each batch is drawn from the
whole log (experience replay: Rolnick et al. 2019, arXiv 1811.11682).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.storage.sorted_unique import sorted_unique
from retrieval.two_tower.sequence_batches import SequenceSampler
from retrieval.two_tower.window_batches import WindowSampler

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from retrieval.two_tower.config import TrainConfig


class ReplayWindowSampler(WindowSampler):
    """Sampler whose moments lie among the new events, but for a share that is drawn from the whole log.

    Parameters
    ----------
    log, config, horizon
        As of `WindowSampler`.
    since : int
        Seconds since the epoch; later events are new. A moment whose window reaches into them counts as new.
    replay : float
        Share of the moments that are drawn from the whole log.
    """

    def __init__(self, log: Interactions, config: TrainConfig, horizon: int, since: int, replay: float) -> None:
        super().__init__(log, config, horizon)
        self.new = np.flatnonzero(log.time >= since - horizon)
        self.replay = replay

    def event(self, rng: np.random.Generator) -> int:
        """Return the position of a random event in the log, at whose time histories end."""
        if not len(self.new) or rng.random() < self.replay:
            return super().event(rng)
        return int(self.new[rng.integers(len(self.new))])


class ReplaySequenceSampler(SequenceSampler):
    """Sampler of users with new events, but for a share that is drawn from all users.

    An epoch is one pass over the users with new events.

    Parameters
    ----------
    log, config, most
        As of `SequenceSampler`.
    since : int
        Seconds since the epoch; later events are new.
    replay : float
        Share of the users that are drawn from all.
    """

    def __init__(self, log: Interactions, config: TrainConfig, most: int, since: int, replay: float) -> None:
        super().__init__(log, config, most)
        self.new = sorted_unique(log.user[self.label & (log.time >= since)])
        self.replay = replay

    @property
    def pass_over(self) -> int:
        """Users of an epoch."""
        return int(len(self.new) / max(1 - self.replay, 0.1)) if len(self.new) else len(self.users)

    def choose(self, rng: np.random.Generator, most: int) -> np.ndarray:
        """Return at most `most` random users, int64."""
        new = rng.choice(self.new, min(len(self.new), round(most * (1 - self.replay))), replace=False)
        others = self.users[~np.isin(self.users, new)]
        return np.concatenate([new, rng.choice(others, min(len(others), most - len(new)), replace=False)])
