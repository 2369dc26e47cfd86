"""Properties of the sequence user encoder for any weights; for the set encoder see test_two_tower_model.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from features.data.histories import Histories, RecentItems
from features.data.interactions import DAY
from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.user_encoders import SequenceUserEncoder, dropout

WIDTH, N_ITEMS, MOST = 12, 30, 6
CONFIG = TowerConfig(dim=8, hidden=16, layers=2, heads=2, history=MOST, dropout=0.5, user_encoder="sequence")
RNG = np.random.default_rng(0)
POOLED = (RNG.normal(size=(N_ITEMS, WIDTH)) + 3).astype(np.float32)
HISTORIES = [[3, 9, 4], [], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [7], [5, 5, 2, 5]]


def tower_of(config: TowerConfig = CONFIG, *, shaken: bool = True) -> TwoTower:
    """Return a tower with random weights, or untrained."""
    torch.manual_seed(0)
    tower = TwoTower(WIDTH, config).eval()
    with torch.no_grad():
        for weight in tower.parameters() if shaken else ():
            weight.add_(torch.randn_like(weight) * 0.3)
    return tower


def users_of(histories: list[list[int]]) -> Histories:
    """One purchase a day, the last one at the present."""
    baskets = Histories.of_baskets(histories, now=400 * DAY)
    age = np.concatenate([np.zeros(0), *(np.arange(len(items))[::-1] for items in histories)]).astype(np.float32)
    return Histories(baskets.offsets, baskets.item, age, baskets.event, baskets.weight, baskets.price, baskets.now)


def found(tower: TwoTower, histories: list[list[int]]) -> np.ndarray:
    return tower.user_vectors(users_of(histories), tower.item_vectors(POOLED))


def positions(tower: TwoTower, rows: list[int]) -> np.ndarray:
    """Return the vectors after each position (n, dim)."""
    with torch.inference_mode():
        return tower.encode_positions(torch.from_numpy(tower.item_vectors(POOLED)[rows])[None])[0].numpy()


@pytest.fixture(scope="module", params=[16, 8], ids=["input projection", "no input projection"])
def tower(request: pytest.FixtureRequest) -> TwoTower:
    return tower_of(CONFIG.model_copy(update={"hidden": request.param}))


def test_an_untrained_user_is_the_last_item() -> None:
    tower = tower_of(shaken=False)
    items = tower.item_vectors(POOLED)
    assert np.allclose(found(tower, HISTORIES), items[[4, 0, 11, 7, 5]] * np.array([1, 0, 1, 1, 1])[:, None], atol=1e-6)
    assert np.allclose(positions(tower, [3, 9, 4]), items[[3, 9, 4]], atol=1e-6)


def test_attention_is_causal(tower: TwoTower) -> None:
    rows = [3, 9, 4, 1, 7, 2]
    before = positions(tower, rows)
    for place in range(len(rows)):
        changed = positions(tower, [20 if i == place else row for i, row in enumerate(rows)])
        assert np.allclose(changed[:place], before[:place], atol=1e-6)
        # All later positions do change: nothing is masked by mistake.
        assert (np.abs(changed - before)[place:].max(axis=1) > 1e-3).all()


def test_each_position_equals_the_user_of_the_history_so_far(tower: TwoTower) -> None:
    rows = [3, 9, 4, 1, 7, 2]
    alone = found(tower, [rows[: n + 1] for n in range(len(rows))])
    assert np.allclose(positions(tower, rows), alone, atol=1e-5)


def test_packed_histories_equal_each_alone(tower: TwoTower) -> None:
    """Also where there are fewer histories than groups, and where a group mixes lengths."""
    items, rng = torch.from_numpy(tower.item_vectors(POOLED)), np.random.default_rng(0)
    for n_users in (1, 3, 40):
        lengths = np.sort(rng.integers(1, MOST + 1, n_users))
        rows = [rng.integers(N_ITEMS, size=length).tolist() for length in lengths]
        with torch.inference_mode():
            packed = tower.encode_packed(items[torch.from_numpy(np.concatenate(rows).astype(np.int64))], lengths).numpy()
        assert np.allclose(packed, np.concatenate([positions(tower, some) for some in rows]), atol=1e-5)


def test_packed_histories_have_the_gradients_of_padded_ones(tower: TwoTower) -> None:
    rows = [[7], [3, 9], [1, 2, 3, 4]]
    found = []
    for packed in (True, False):
        items = torch.from_numpy(tower.item_vectors(POOLED)).requires_grad_()
        if packed:
            vectors = tower.encode_packed(items[torch.tensor([7, 3, 9, 1, 2, 3, 4])], np.array([1, 2, 4]))
        else:
            vectors = torch.cat([tower.encode_positions(items[torch.tensor(some)][None])[0] for some in rows])
        (vectors * torch.arange(8)).sum().backward()
        assert items.grad is not None
        found.append(items.grad.numpy())
    assert np.abs(found[0]).max() > 0.01
    assert np.allclose(*found, atol=1e-4)


class TestDropout:
    def test_share_and_scale(self) -> None:
        torch.manual_seed(0)
        for rate in (0.1, 0.3, 0.9):
            x = dropout(torch.ones(50_001, 3), rate)
            zero = x == 0
            assert zero.float().mean().item() == pytest.approx(rate, abs=0.01)
            assert x.mean().item() == pytest.approx(1, abs=0.03)  # the expectation stays
            assert len(x[~zero].unique()) == 1

    def test_elements_are_independent(self) -> None:
        """Eight of them share a drawn number."""
        torch.manual_seed(0)
        kept = (dropout(torch.ones(20_000, 8), 0.5) > 0).double().numpy()
        assert np.abs(np.corrcoef(kept.T) - np.eye(8)).max() < 0.04
        assert np.abs(kept.mean(axis=0) - 0.5).max() < 0.02

    def test_follows_the_seed(self) -> None:
        draws = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            draws.append(dropout(torch.ones(100), 0.5))
        assert torch.equal(draws[0], draws[1])
        assert not torch.equal(draws[0], draws[2])

    def test_a_rate_of_zero_changes_nothing(self) -> None:
        x = torch.randn(7)
        assert torch.equal(dropout(x, 0), x)

    def test_gradients_flow_through_what_is_kept(self) -> None:
        x = torch.ones(64, requires_grad=True)
        y = dropout(x, 0.5)
        y.sum().backward()
        assert x.grad is not None
        assert torch.equal(x.grad, y.detach())


def test_padding_has_no_effect(tower: TwoTower) -> None:
    items = torch.from_numpy(tower.item_vectors(POOLED))
    answers = []
    for filler in (0, 17):
        rows = np.array([[3, 9, 4, -1, -1], [-1, -1, -1, -1, -1], [5, -1, -1, -1, -1]])
        plain = np.zeros(rows.shape, np.float32)
        recent = RecentItems(rows, plain, plain, plain.astype(np.int8))
        with torch.inference_mode():
            answers.append(tower.user(items[torch.from_numpy(np.where(rows < 0, filler, rows))], recent).numpy())
    assert np.allclose(answers[0], answers[1], atol=1e-6)
    assert np.allclose(answers[0][[0, 2]], found(tower, [[3, 9, 4], [5]]), atol=1e-5)


def test_a_batch_equals_its_single_users(tower: TwoTower) -> None:
    together = found(tower, HISTORIES)
    for user, history in enumerate(HISTORIES):
        assert np.allclose(found(tower, [history])[0], together[user], atol=1e-5)
    many = found(tower, [HISTORIES[i % 5] for i in range(1100)])  # more than one batch
    assert np.allclose(many, together[np.arange(1100) % 5], atol=1e-5)


def test_unit_norm_and_zero_without_history(tower: TwoTower) -> None:
    vectors = found(tower, HISTORIES)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 1, 1], atol=1e-5)
    assert not found(tower, [[], []]).any()
    assert found(tower, []).shape == (0, CONFIG.dim)


def test_order_and_repeats_matter(tower: TwoTower) -> None:
    one, other, again = found(tower, [[3, 9, 4], [9, 3, 4], [3, 9, 9, 4]])
    assert not np.allclose(one, other, atol=1e-3)
    assert not np.allclose(one, again, atol=1e-3)


def test_only_the_last_events_count(tower: TwoTower) -> None:
    long = HISTORIES[2]
    assert np.allclose(*found(tower, [long, long[-MOST:]]), atol=1e-6)
    assert not np.allclose(*found(tower, [long, long[1 - MOST :]]), atol=1e-3)


def test_files_round_trip(tower: TwoTower) -> None:
    back = TwoTower.from_files(tower.to_files())
    assert back.config == tower.config
    assert isinstance(back.user_encoder, SequenceUserEncoder)
    assert back.to_files() == tower.to_files()
    assert np.array_equal(found(back, HISTORIES), found(tower, HISTORIES))


def test_a_set_encoder_has_no_positions() -> None:
    with pytest.raises(TypeError, match="encodes sets"):
        positions(tower_of(CONFIG.model_copy(update={"user_encoder": "set"})), [1, 2])
    with pytest.raises(TypeError, match="encodes sets"):
        tower_of(CONFIG.model_copy(update={"user_encoder": "set"})).encode_packed(torch.zeros(1, 8), np.array([1]))


def test_user_vectors_are_without_dropout(tower: TwoTower) -> None:
    """`user_vectors` switches to evaluation mode."""
    tower.train()
    once = found(tower, HISTORIES)
    assert np.array_equal(found(tower, HISTORIES), once)
    assert not tower.training
