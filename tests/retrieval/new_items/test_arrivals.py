"""New arrivals are scored by text for users who bought something similar, and for nobody else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from features.data.histories import Histories
from retrieval.index import ItemIndex
from retrieval.new_items.arrivals import Arrivals
from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.retriever import TwoTowerRetriever

# Items 0 and 1 share a text; item 4 is an arrival similar to that text; item 5 is an arrival similar to nothing.
VECTORS = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0.96, 0.28, 0], [0, 0, 1]], dtype=np.float32)
TEXT_OF = np.array([0, 0, 1, 2, 3, 4])


@pytest.fixture
def arrivals() -> Arrivals:
    torch.manual_seed(0)
    tower = TwoTower(8, TowerConfig(dim=8, hidden=8, heads=2)).eval()
    towers = TwoTowerRetriever(tower, VECTORS, ItemIndex.build(VECTORS), TEXT_OF, np.zeros(6, dtype=np.float32))
    return Arrivals.of(towers, np.array([4, 5]))


def test_score_is_the_sum_of_cosines_to_what_was_bought(arrivals: Arrivals) -> None:
    users = Histories.of_baskets([[0], [1, 2], [3, 3], []], now=0)
    scores = arrivals.scores(users)
    assert scores[:, 4] == pytest.approx([0.96, 0.96 + 0.936, 0.28, 0], abs=1e-5)
    assert not scores[:, 5].any()  # nothing is similar to it
    assert not scores[:, :4].any()  # no arrivals


def test_pair_scores_are_those_of_the_whole(arrivals: Arrivals) -> None:
    users = Histories.of_baskets([[0], [2]], now=0)
    found = arrivals.pair_scores(users, np.array([[4, 0, -1], [5, 4, 2]]))
    assert found == pytest.approx(np.array([[0.96, 0, 0], [0, 0.936, 0]]), abs=1e-5)
