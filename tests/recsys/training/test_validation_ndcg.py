"""NDCG by which the towers' epochs are judged: the same however many users are ranked at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.interactions import DAY, Interactions
from features.data.split import Split
from recsys.training.distributed.validation import ValidationNdcg
from retrieval.topk import top_k


@pytest.mark.parametrize("buys_again", [True, False])
def test_more_users_than_are_ranked_at_a_time_get_what_one_ranking_of_all_gives(buys_again: bool) -> None:
    users, items, rng = 150, 30, np.random.default_rng(0)
    first = np.stack([rng.permutation(items) for _ in range(users)])
    bought = np.concatenate([first[:, :4], first[:, :4], first[:, :2]], axis=1) if buys_again else first[:, :10]
    split = Split.by_time(_log(bought, items), 8 * DAY)
    truth = GroundTruth.of(split)
    scores = rng.normal(size=(len(truth.users), items)).astype(np.float32)
    tower: Any = SimpleNamespace(user_vectors=lambda _histories, _vectors: scores)

    kind = "all" if buys_again else "unseen"
    allowed = truth.allowed(kind, np.arange(len(truth.users)))
    rows = top_k(np.where(allowed, scores, -np.inf), 10)[0]

    assert len(truth.users) > 64
    found = ValidationNdcg(split)(tower, np.eye(items, dtype=np.float32))
    assert found == pytest.approx(float(np.nanmean(ndcg(rows, truth.relevant(kind), 10))))


def _log(bought: np.ndarray, n_items: int) -> Interactions:
    """Return a log in which each row's user buys its items, one a day."""
    users, days = bought.shape
    ids = np.array([f"u{user:03}" for user in range(users)], dtype=object)
    user, day = np.repeat(np.arange(users, dtype=np.int32), days), np.tile(np.arange(days), users)
    ones = np.ones(bought.size, np.float32)
    events = np.zeros(bought.size, np.int8)
    return Interactions(ids, user, bought.ravel().astype(np.int32), day * DAY, events, ones, ones, n_items)
