"""Item id vectors are looked up by item id, whatever became of the texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.item_ids import ItemIdVectors, in_space
from retrieval.two_tower.model import ItemIdEmbedding, TwoTower

TABLE = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


def ids(*names: str) -> np.ndarray:
    return np.array(names, dtype=object)


# "a" and "b" shared a text in training, "c" and "d" had one each.
TRAINED = ItemIdVectors(ids("a", "b", "c", "d"), np.array([0, 0, 1, 2], np.int32), TABLE)


class TestOfTexts:
    def test_the_same_catalogue_gets_the_trained_vectors(self) -> None:
        assert np.array_equal(TRAINED.of_texts(TRAINED.ids, TRAINED.row.astype(np.int64), 3), TABLE)

    def test_items_may_come_in_another_order(self) -> None:
        found = TRAINED.of_texts(ids("d", "b", "c", "a"), np.array([0, 1, 2, 1]), 3)
        assert np.array_equal(found, TABLE[[2, 0, 1]])

    def test_a_text_is_the_mean_of_its_items(self) -> None:
        # "c" and "d" share a text now, and "a" and "b" do not.
        found = TRAINED.of_texts(ids("a", "b", "c", "d"), np.array([0, 1, 2, 2]), 3)
        assert found.tolist() == [[1, 2], [1, 2], [4, 5]]
        assert found.dtype == np.float32

    def test_unknown_items_have_zero_vectors(self) -> None:
        found = TRAINED.of_texts(ids("new", "c"), np.array([0, 1]), 2)
        assert found.tolist() == [[0, 0], [3, 4]]

    def test_an_unknown_item_does_not_change_the_mean(self) -> None:
        found = TRAINED.of_texts(ids("c", "new", "d"), np.array([0, 0, 0]), 1)
        assert found.tolist() == [[4, 5]]

    def test_an_edited_text_keeps_the_vector_of_its_item(self) -> None:
        # A fourth text appears, for "b" alone; the others stay.
        found = TRAINED.of_texts(ids("a", "b", "c", "d"), np.array([0, 3, 1, 2]), 4)
        assert np.array_equal(found, TABLE[[0, 1, 2, 0]])

    def test_an_empty_catalogue(self) -> None:
        assert TRAINED.of_texts(ids(), np.zeros(0, np.int64), 0).shape == (0, 2)


def test_files_round_trip() -> None:
    item_id_vectors = ItemIdVectors(ids("é", "お茶", 'x"y'), np.array([1, 0, 1], np.int32), TABLE[:2])
    back = ItemIdVectors.from_files(item_id_vectors.to_files())
    assert back.ids.tolist() == item_id_vectors.ids.tolist()
    assert back.ids.dtype == object
    for name in ("row", "table"):
        assert np.array_equal(getattr(back, name), getattr(item_id_vectors, name))
        assert getattr(back, name).dtype == getattr(item_id_vectors, name).dtype
    assert back.to_files() == item_id_vectors.to_files()


class TestItemIdEmbedding:
    def test_vectors_are_dropped_in_training(self) -> None:
        torch.manual_seed(0)
        module, texts = ItemIdEmbedding(2000, 4, id_dropout=0.3).train(), torch.arange(2000)
        hidden = (module(texts) == 0).all(1)
        assert 500 < int(hidden.sum()) < 700  # 600 by chance; 20 is one deviation
        seen = module(texts)
        present = (seen != 0).any(1)
        assert torch.equal(seen[present], module.table.weight[present])
        assert not torch.equal(present, ~hidden)  # random at each call

    def test_no_vector_is_dropped_in_evaluation_or_at_probability_0(self) -> None:
        texts = torch.tensor([3, 3, 0])
        for module in (ItemIdEmbedding(5, 4, id_dropout=0.9).eval(), ItemIdEmbedding(5, 4, id_dropout=0.0).train()):
            assert torch.equal(module(texts), module.table.weight[texts])

    def test_vectors_returns_a_copy(self) -> None:
        module = ItemIdEmbedding(5, 4, id_dropout=0.9).train()
        vectors = module.vectors()
        assert (vectors.shape, vectors.dtype) == ((5, 4), np.float32)
        assert np.array_equal(vectors, module.table.weight.detach().numpy())
        with torch.no_grad():
            module.table.weight.zero_()
        assert vectors.any()


class TestInSpace:
    def test_equals_the_tower(self) -> None:
        rng = np.random.default_rng(0)
        torch.manual_seed(0)
        tower = TwoTower(12, TowerConfig(dim=8, hidden=16, heads=2)).eval()
        pooled, item_id_vectors = rng.normal(size=(9, 12)).astype(np.float32), rng.normal(size=(9, 8)).astype(np.float32)
        moved = in_space(tower.item_vectors(pooled), item_id_vectors)
        assert moved == pytest.approx(tower.item_vectors(pooled, item_id_vectors), abs=1e-6)
        assert np.linalg.norm(moved, axis=1) == pytest.approx(np.ones(9), abs=1e-6)
        assert not np.allclose(moved, tower.item_vectors(pooled), atol=1e-2)

    def test_no_or_zero_vectors_change_nothing(self) -> None:
        texts = np.eye(3, dtype=np.float32)
        assert in_space(texts, None) is texts
        assert np.array_equal(in_space(texts, np.zeros((3, 3), np.float32)), texts)
