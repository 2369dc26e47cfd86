"""Inputs of the user encoders as arrays, shared by torch (training) and onnxruntime (inference)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.behavior.log_buckets import bucket_codes

if TYPE_CHECKING:
    import numpy as np

    from features.data.histories import Histories, RecentItems
    from retrieval.two_tower.config import TowerConfig

BATCH = 512  # users that are encoded at once


def recent_of(users: Histories, n_items: int, config: TowerConfig) -> RecentItems:
    """Return the newest items (sets) or events (sequences) of each history that the user encoder sees, oldest first."""
    return users.last_events(config.history) if config.user_encoder == "sequence" else users.recent_items(n_items, config.history)


def user_inputs(recent: RecentItems, config: TowerConfig) -> dict[str, np.ndarray]:
    """Return the inputs of a user encoder other than item vectors.

    Returns
    -------
    dict of str to array
        For sequences `lengths`, int64 (b,). For sets `real`, bool (b, n), False where padded; `event`, the kind of the
        last event, and `age` and `count` as bucket codes, int64 (b, n).
    """
    real = recent.rows >= 0
    if config.user_encoder == "sequence":
        return {"lengths": real.sum(axis=1)}
    event = recent.event.astype("int64")
    return {"real": real, "event": event, "age": bucket_codes(recent.age), "count": bucket_codes(recent.count)}
