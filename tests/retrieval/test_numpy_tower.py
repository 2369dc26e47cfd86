"""The towers in numpy say what those of torch say."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional as F

from features.histories import Histories
from retrieval.numpy_layers import gelu, softmax, unit
from retrieval.numpy_tower import NumpyTower
from retrieval.tower import TwoTower
from retrieval.tower_config import TowerConfig

WIDTH, N_ITEMS = 24, 40


@pytest.fixture(params=[("set", 32, 2), ("set", 16, 1), ("sequence", 16, 2), ("sequence", 24, 1)], ids=str)
def tower(request: pytest.FixtureRequest) -> TwoTower:
    """With all weights at random; hidden as wide as the space, or not."""
    reads: Literal["set", "sequence"]
    reads, hidden, layers = request.param
    torch.manual_seed(3)
    tower = TwoTower(WIDTH, TowerConfig(dim=16, hidden=hidden, layers=layers, heads=4, history=7, reads=reads)).eval()
    with torch.no_grad():
        for weight in tower.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return tower


def test_the_same_user_vectors(tower: TwoTower, shop) -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((N_ITEMS, 16), dtype=np.float32))
    users = Histories.of_users(shop.log, np.array([0, 5, -1, 17, 59]), shop.log.end)
    users = users.then(Histories.of_baskets([[], [3, 3, 4], [], [9], []], shop.log.end))
    expected = tower.user_vectors(users, vectors)
    found = NumpyTower.from_files(tower.to_files()).user_vectors(users, vectors)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)
    assert not found[2].any()
    assert expected.std() > 0.01


def test_the_same_item_vectors(tower: TwoTower) -> None:
    pooled = np.random.default_rng(1).standard_normal((9, WIDTH), dtype=np.float32)
    assert np.allclose(NumpyTower.from_files(tower.to_files()).item_vectors(pooled), tower.item_vectors(pooled), atol=1e-6)


def test_nobody(tower: TwoTower, shop) -> None:
    none = Histories.of_users(shop.log, np.zeros(0, dtype=np.int64), shop.log.end)
    assert NumpyTower.from_files(tower.to_files()).user_vectors(none, np.eye(16, dtype=np.float32)).shape == (0, 16)


@given(hnp.arrays(np.float32, (3, 5), elements=st.floats(-20, 20, width=32)))
def test_functions_are_those_of_torch(x: np.ndarray) -> None:
    assert np.allclose(gelu(x), F.gelu(torch.from_numpy(x)).numpy(), atol=1e-6)
    assert np.allclose(softmax(x), torch.from_numpy(x).softmax(-1).numpy(), atol=1e-6)
