"""What a user tower is told of histories, as arrays: the same for torch, which trains it, and for onnxruntime, which answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.behavior.log_buckets import bucket_codes

if TYPE_CHECKING:
    import numpy as np

    from features.data.histories import Histories, RecentItems
    from retrieval.two_tower.config import TowerConfig

BATCH = 512  # users whose vectors are worked out at once


def recent_of(users: Histories, n_items: int, config: TowerConfig) -> RecentItems:
    """What is read of each history."""
    return users.last_events(config.history) if config.user_encoder == "sequence" else users.recent_items(n_items, config.history)


def user_inputs(recent: RecentItems, config: TowerConfig) -> dict[str, np.ndarray]:
    """Beside the items' vectors: of a sequence its length, int64 (b,); of a set which places are real, bool, and codes, int64 (b, n)."""
    real = recent.rows >= 0
    if config.user_encoder == "sequence":
        return {"lengths": real.sum(axis=1)}
    event = recent.event.astype("int64")
    return {"real": real, "event": event, "age": bucket_codes(recent.age), "count": bucket_codes(recent.count)}
