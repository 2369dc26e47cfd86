"""Labelled candidates in the order of the base booster, as the ranker's later stages see them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ranking.ranker import order_by_base

if TYPE_CHECKING:
    from ranking.cross_encoder.trainer import TrainingPairs
    from ranking.gbdt import Booster


def ordered_by_base(pairs: TrainingPairs, base: Booster) -> TrainingPairs:
    """Return candidates and labels in the order of the base booster."""
    at = np.broadcast_to(np.arange(pairs.labels.shape[1], dtype=np.float32), pairs.labels.shape)
    with_place = replace(pairs.candidates, features=pairs.candidates.features | {"_place": at})
    candidates = order_by_base(with_place, base)
    place = np.nan_to_num(candidates.features.pop("_place")).astype(np.int64)
    return replace(pairs, candidates=candidates, labels=np.take_along_axis(pairs.labels, place, axis=1) & candidates.valid)


def first_of(pairs: TrainingPairs, k: int) -> TrainingPairs:
    """Return the first k candidates of each user."""
    k = min(k, pairs.labels.shape[1])
    order = np.broadcast_to(np.arange(k), (len(pairs.labels), k))
    return replace(pairs, candidates=pairs.candidates.take(order), labels=pairs.labels[:, :k])
