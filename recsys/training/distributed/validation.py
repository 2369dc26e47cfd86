"""The metric that stops a training of towers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.shop_profile import ShopProfile
from retrieval.topk import top_k

if TYPE_CHECKING:
    from eval.metrics.user_items import UserItems
    from features.data.histories import Histories
    from features.data.split import Split
    from retrieval.two_tower.model import TwoTower

VALIDATION_USERS = 2_000  # for early stopping of the towers


@dataclass(frozen=True)
class ValidationNdcg:
    """A tower's NDCG@10 on the split's labels, given vectors of all texts, float32 (n_texts, dim).

    It ranks all items, or those new to the user in a shop without repeat purchases.
    """

    split: Split

    def __call__(self, tower: TwoTower, vectors: np.ndarray) -> float:
        """Return the metric."""
        histories, relevant, allowed = self._judged
        users = tower.user_vectors(histories, vectors)
        # Some users at a time, so that their scores fit into the processor's cache.
        parts = [slice(begin, begin + 64) for begin in range(0, len(users), 64)]
        rows = np.concatenate([top_k(np.where(allowed[part], users[part] @ vectors.T, -np.inf), 10)[0] for part in parts])
        return float(np.nanmean(ndcg(rows, relevant, 10)))

    @cached_property
    def _judged(self) -> tuple[Histories, UserItems, np.ndarray]:
        ground_truth = GroundTruth.of(self.split, VALIDATION_USERS)
        kind = "all" if ShopProfile.of(self.split.history).buys_again else "unseen"
        count = len(ground_truth.users)
        allowed = ground_truth.allowed(kind, np.arange(count))
        return self.split.histories(ground_truth.users), ground_truth.relevant(kind), np.broadcast_to(allowed, (count, allowed.shape[-1]))
