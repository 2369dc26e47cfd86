"""The ONNX graph of the user tower agrees with torch."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from features.data.histories import Histories
from features.errors import BundleError, ConfigError
from features.onnx.session import OnnxSession
from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.export import user_tower_files
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.onnx_model import OnnxUserTower

WIDTH, DIM, N_ITEMS = 32, 16, 40


def shaken(module: torch.nn.Module) -> None:
    """Randomise all weights, including those that start at zero."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)


@pytest.fixture(params=[("set", 32, 2), ("set", 16, 1), ("sequence", 16, 2), ("sequence", 24, 1)], ids=str)
def tower(request: pytest.FixtureRequest) -> TwoTower:
    """Hidden as wide as the space, or not."""
    kind: Literal["set", "sequence"]
    kind, hidden, layers = request.param
    torch.manual_seed(3)
    tower = TwoTower(WIDTH, TowerConfig(dim=DIM, hidden=hidden, layers=layers, heads=4, history=7, user_encoder=kind)).eval()
    shaken(tower)
    return tower


def item_vectors(item_id_vectors: bool = False) -> np.ndarray:
    vectors = np.random.default_rng(int(item_id_vectors)).standard_normal((N_ITEMS, DIM), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("users", [[0, 5, -1, 17, 59], [12], [-1], [-1, -1]], ids=str)
def test_the_same_user_vectors(tower: TwoTower, shop, users: list[int]) -> None:
    histories = Histories.of_users(shop.log, np.array(users), shop.log.end)
    found = OnnxUserTower.from_files(user_tower_files(tower)).user_vectors(histories, item_vectors())
    expected = tower.user_vectors(histories, item_vectors())
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-4)
    assert not found[np.array(users) < 0].any()
    assert np.allclose(np.linalg.norm(found[np.array(users) >= 0], axis=1), 1, atol=1e-5)


def test_histories_of_every_length(tower: TwoTower, shop) -> None:
    """From empty to longer than the encoder sees, as a batch and one by one, with item id vectors too."""
    baskets = [list(range(n)) for n in range(10)]
    users = Histories.of_baskets(baskets, shop.log.end)
    onnx, vectors = OnnxUserTower.from_files(user_tower_files(tower)), item_vectors(item_id_vectors=True)
    together = onnx.user_vectors(users, vectors)
    alone = [onnx.user_vectors(users.take(np.array([b])), vectors)[0] for b in range(len(baskets))]
    assert np.allclose(together, tower.user_vectors(users, vectors), atol=1e-4)
    assert np.allclose(together, alone, atol=1e-5)
    assert len(np.unique(together.round(3), axis=0)) == len(baskets)


def test_no_users(tower: TwoTower, shop) -> None:
    none = Histories.of_users(shop.log, np.zeros(0, dtype=np.int64), shop.log.end)
    assert OnnxUserTower.from_files(user_tower_files(tower)).user_vectors(none, np.eye(DIM, dtype=np.float32)).shape == (0, DIM)


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(BundleError, match="recsys build-index"):
        OnnxSession(b"no graph")


def test_a_missing_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ConfigError, match="onnxruntime-gpu"):
        OnnxSession(b"", "cuda")
