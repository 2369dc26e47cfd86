"""Two towers on ids alone, as a baseline: our user tower and training, over a learned vector an item in place of text.

The difference to ours is what text adds. On a log of steps this would be SASRec, which has a row of its own
(`benchmarks/sasrec`).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from features.data.interactions import DAY
from retrieval.two_tower.config import TowerConfig, TrainConfig
from retrieval.two_tower.model import ItemIdEmbedding, TwoTower
from retrieval.two_tower.trainer import TrainingRun, fit_towers, no_validation
from retrieval.two_tower.window_batches import WindowSampler

if TYPE_CHECKING:
    from eval.baselines.id_towers_config import IdTowersConfig
    from features.data.histories import Histories
    from features.data.interactions import Interactions

HORIZON = 28.0  # days of purchases that training predicts


@dataclass(frozen=True)
class IdTowers:
    """A trained user tower and the learned item vectors.

    Attributes
    ----------
    vectors : float32 (n_items, dim), unit norm
    bought : bool (n_items,), whether the item was ever bought
    """

    tower: TwoTower
    vectors: np.ndarray
    bought: np.ndarray

    @classmethod
    def fit(cls, log: Interactions, config: IdTowersConfig) -> IdTowers:
        """Train on the whole log, for as many epochs as configured; tuning chooses how many."""
        torch.manual_seed(config.seed)
        tower = TwoTower(1, TowerConfig(user_encoder="set", history=config.history))
        item_id_vectors = ItemIdEmbedding(log.n_items, tower.config.dim, id_dropout=0.0)
        train = TrainConfig(epochs=config.epochs, patience=config.epochs, lr=config.lr, tuned_epochs=0, tuning="frozen")
        sampler = WindowSampler(log, train, int(HORIZON * DAY))
        with tempfile.TemporaryDirectory() as folder:
            run = TrainingRun(
                sampler,
                tower,
                cast("Any", _NoTexts(log.n_items)),
                no_validation,
                Path(folder),
                config.seed,
                item_id_vectors=item_id_vectors,
            )
            fit_towers(run, train)
        return cls(tower, run.vectors(), np.bincount(log.item, minlength=log.n_items) > 0)

    def scores(self, users: Histories) -> np.ndarray:
        """Return float32 (b, n_items): cosine + 1, so that items never bought, with 0, come last."""
        return (self.tower.user_vectors(users, self.vectors) @ self.vectors.T + 1) * self.bought


class _NoTexts:
    """What the training expects of texts, with vectors of zeros and an encoder without weights."""

    tuning, encoder = "frozen", torch.nn.Identity()

    def __init__(self, n_items: int) -> None:
        self.pooled = np.zeros((n_items, 1), np.float32)

    def modules(self) -> dict[str, torch.nn.Module]:
        """Return no module."""
        return {}

    def finish(self) -> None:
        """Do nothing."""
