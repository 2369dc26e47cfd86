"""The untrained towers, and properties of the set encoder that hold for any weights."""

from __future__ import annotations

import json
from typing import Literal

import numpy as np
import pytest
import safetensors.torch
import torch

from features.behavior.log_buckets import BUCKETS
from features.data.histories import Histories
from features.data.interactions import DAY
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.user_encoders import buckets

WIDTH, N_ITEMS = 12, 30
CONFIG = TowerConfig(dim=8, hidden=16, layers=2, heads=2, history=6)
RNG = np.random.default_rng(0)
POOLED = (RNG.normal(size=(N_ITEMS, WIDTH)) + 3).astype(np.float32)


def tower_of(config: TowerConfig = CONFIG, width: int = WIDTH) -> TwoTower:
    torch.manual_seed(0)
    return TwoTower(width, config).eval()


def test_the_event_embedding_keeps_the_size_of_stored_towers() -> None:
    """A purchase, a cart, a view, a rating; kinds that histories do not hold have none."""
    assert tower_of().state_dict()["user_encoder.event.weight"].shape == (4, CONFIG.hidden)


def shaken() -> TwoTower:
    """Return a tower with random weights."""
    tower = tower_of()
    with torch.no_grad():
        for weight in tower.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return tower


def some_users() -> Histories:
    lengths = [3, 0, 11, 1, 6]
    n = sum(lengths)
    age = np.concatenate([np.sort(RNG.uniform(0, 300, length))[::-1] for length in lengths])
    return Histories(
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        item=RNG.integers(0, N_ITEMS, n).astype(np.int32),
        age=age.astype(np.float32),
        event=RNG.integers(0, 4, n).astype(np.int8),
        weight=np.ones(n, np.float32),
        price=np.full(n, np.nan, np.float32),
        now=400 * DAY,
    )


USERS = some_users()


def normed(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class TestUntrained:
    def test_a_user_is_the_mean_of_the_history(self) -> None:
        tower = tower_of()
        items = tower.item_vectors(POOLED)
        found = tower.user_vectors(USERS, items)
        for user in (0, 2, 3, 4):
            rows = USERS.item[USERS.offsets[user] : USERS.offsets[user + 1]]
            newest = list(dict.fromkeys(rows[::-1]))[: CONFIG.history]  # distinct items
            assert found[user] == pytest.approx(normed(items[newest].mean(0)), abs=1e-5)

    @pytest.mark.parametrize(("dim", "rank"), [(12, 12), (8, 8), (16, 12), (8, 5)])
    def test_principal_components_keep_cosines(self, dim: int, rank: int) -> None:
        pooled = (RNG.normal(size=(N_ITEMS, rank)) @ RNG.normal(size=(rank, WIDTH)) + 5).astype(np.float32)
        tower = tower_of(TowerConfig(dim=dim, hidden=16, heads=2))
        tower.start_from(pooled)
        centred = normed(pooled - pooled.mean(0))
        vectors = tower.item_vectors(pooled)
        assert vectors.shape == (N_ITEMS, dim)
        assert np.allclose(vectors @ vectors.T, centred @ centred.T, atol=1e-4)

    def test_fewer_dimensions_keep_the_largest_variance(self) -> None:
        spread = np.array([9.0] * 8 + [0.01] * 4)
        pooled = (RNG.normal(size=(N_ITEMS, WIDTH)) * spread).astype(np.float32)
        tower = tower_of()
        tower.start_from(pooled)
        centred = normed(pooled - pooled.mean(0))
        vectors = tower.item_vectors(pooled)
        assert np.allclose(vectors @ vectors.T, centred @ centred.T, atol=0.02)

    def test_as_is_keeps_cosines(self) -> None:
        tower = tower_of(TowerConfig(dim=WIDTH, hidden=16, heads=2))
        tower.start_as_is()
        assert np.allclose(tower.item_vectors(POOLED), normed(POOLED), atol=1e-6)


class TestAnyWeights:
    tower = shaken()
    items = tower.item_vectors(POOLED)
    found = tower.user_vectors(USERS, items)

    def test_unit_norm(self) -> None:
        assert np.allclose(np.linalg.norm(self.items, axis=1), 1, atol=1e-5)
        assert np.allclose(np.linalg.norm(self.found, axis=1), [1, 0, 1, 1, 1], atol=1e-5)
        assert (self.items.dtype, self.found.dtype) == (np.float32, np.float32)

    def test_no_history_is_zero(self) -> None:
        assert not self.found[1].any()
        unknown = Histories.of_baskets([[], []], now=DAY)
        assert np.array_equal(self.tower.user_vectors(unknown, self.items), np.zeros((2, CONFIG.dim)))
        assert self.tower.user_vectors(unknown.take(np.array([], dtype=np.int64)), self.items).shape == (0, CONFIG.dim)

    def test_a_batch_equals_its_single_users(self) -> None:
        for user in range(len(USERS)):
            alone = self.tower.user_vectors(USERS.take(np.array([user])), self.items)
            assert np.allclose(alone[0], self.found[user], atol=1e-5)
        many = self.tower.user_vectors(USERS.take(np.arange(1100) % len(USERS)), self.items)  # more than one batch
        assert np.allclose(many, self.found[np.arange(1100) % len(USERS)], atol=1e-5)

    def test_order_within_a_basket_does_not_matter(self) -> None:
        found = self.tower.user_vectors(Histories.of_baskets([[3, 9, 4], [9, 4, 3], [3, 9]], now=DAY), self.items)
        assert np.allclose(found[0], found[1], atol=1e-6)
        assert not np.allclose(found[0], found[2], atol=1e-3)

    def test_only_the_newest_items_count(self) -> None:
        basket = list(range(10))
        longer = Histories.of_baskets([[20, *basket[-CONFIG.history :]], basket[-CONFIG.history :]], now=DAY)
        age = np.where(longer.item == 20, 50, 0).astype(np.float32)
        aged = Histories(longer.offsets, longer.item, age, longer.event, longer.weight, longer.price, longer.now)
        found = self.tower.user_vectors(aged, self.items)
        assert np.allclose(found[0], found[1], atol=1e-6)

    @pytest.mark.parametrize("column", ["age", "event"])
    def test_age_and_event_matter(self, column: str) -> None:
        basket = Histories.of_baskets([[3, 9, 4]], now=DAY)
        changed = {"age": np.array([200, 100, 0], np.float32), "event": np.array([2, 2, 0], np.int8)}
        arrays = {name: getattr(basket, name) for name in ("offsets", "item", "age", "event", "weight", "price", "now")}
        other = Histories(**arrays | {column: changed[column]})
        both = [self.tower.user_vectors(users, self.items)[0] for users in (basket, other)]
        assert not np.allclose(*both, atol=1e-3)

    def test_count_matters(self) -> None:
        found = self.tower.user_vectors(Histories.of_baskets([[3, 9, 4], [3, 3, 3, 3, 9, 4]], now=DAY), self.items)
        assert not np.allclose(found[0], found[1], atol=1e-3)

    def test_files_round_trip(self) -> None:
        back = TwoTower.from_files(self.tower.to_files())
        assert back.config == CONFIG
        assert np.array_equal(back.item_vectors(POOLED), self.items)
        assert np.array_equal(back.user_vectors(USERS, back.item_vectors(POOLED)), self.found)

    @pytest.mark.parametrize("kind", ["set", "sequence"])
    def test_tensor_names_of_files_do_not_change(self, kind: Literal["set", "sequence"]) -> None:
        """Stored models and checkpoints of older versions have these names."""
        tower = tower_of(CONFIG.model_copy(update={"user_encoder": kind}))
        stored = safetensors.torch.load(tower.to_files()["tower.safetensors"])
        layers = {"set": {"enter", "event", "age", "count", "norm", "body", "attend", "leave"}}
        layers["sequence"] = {"enter", "place", "norm", "body", "last_norm", "leave"}
        assert {name.split(".")[1] for name in stored if name.startswith("reader.")} == layers[kind]
        assert {name for name in stored if not name.startswith("reader.")} == {"mean", "project.weight", "scale"}
        back = TwoTower(WIDTH, tower.config)
        back.load_state_dict(stored)
        assert all(torch.equal(tensor, back.state_dict()[name]) for name, tensor in tower.state_dict().items())

    def test_a_model_of_an_older_version_is_read(self) -> None:
        files = self.tower.to_files()
        header = json.loads(files["tower.json"])
        header["tower"]["reads"] = header["tower"].pop("user_encoder")
        back = TwoTower.from_files(files | {"tower.json": json.dumps(header).encode()})
        assert back.config == CONFIG
        assert np.array_equal(back.user_vectors(USERS, self.items), self.found)


def test_a_new_product_is_near_similar_products_by_its_text(tiny_bert) -> None:
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))

    def pooled(texts: list[str]) -> np.ndarray:
        return encoder.pool(encoder.token_states(texts))

    known = ["green tea small", "black tea small", "rye bread large", "seed roll large"]
    tower = tower_of(width=encoder.width)
    tower.start_from(pooled(known))
    near = tower.item_vectors(pooled(["iced tea small"])) @ tower.item_vectors(pooled(known)).T
    assert near.shape == (1, 4)
    assert near[0, :2].min() > near[0, 2:].max()


def test_buckets_double_in_width() -> None:
    values = np.array([-1, 0, 1e-6, 0.5, 0.99, 1, 1.99, 2, 3.99, 4, 8191, 8192, 16384, 1e9])
    assert buckets(values).tolist() == [0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 14, 15, BUCKETS - 1, BUCKETS - 1]
