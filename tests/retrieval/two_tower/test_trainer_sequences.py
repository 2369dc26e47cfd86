"""Training of sequence encoders: they learn transitions, and resume exactly after an interruption."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from features.text.encoder import TextEncoder
from features.text.template import item_texts
from retrieval.two_tower.config import TrainConfig
from retrieval.two_tower.model import ItemIdEmbedding, TwoTower
from retrieval.two_tower.sequence_batches import SequenceBatch, SequenceSampler, Teacher
from retrieval.two_tower.text_tuning import TrainableTexts
from retrieval.two_tower.trainer import TrainingResult, TrainingRun, fit_towers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

N_ITEMS, LENGTH = 38, 6
CONFIG = TrainConfig(users=32, negatives=30, epochs=2, tuned_epochs=1, steps_per_epoch=2, texts_a_step=64, lr=1e-3, patience=9)


class Cut(Exception):
    """The training is interrupted."""


def walks_from(starts: range, length: int) -> list[list[int]]:
    """Return histories in which item i + 1 follows item i: only the order predicts it, not sales or co-purchases."""
    return [[(start + i) % N_ITEMS for i in range(length)] for start in starts]


def log_of(walks: list[list[int]]) -> Interactions:
    """One purchase a day."""
    user = np.repeat(np.arange(len(walks)), [len(walk) for walk in walks]).astype(np.int32)
    item = np.array([row for walk in walks for row in walk], dtype=np.int32)
    time = np.concatenate([np.arange(len(walk)) for walk in walks]) * DAY
    ids = np.array([f"u{i:03}" for i in range(len(walks))], dtype=object)
    ones = np.ones(len(item), np.float32)
    return Interactions(ids, user, item, time, np.zeros(len(item), np.int8), ones, ones, N_ITEMS)


LOG = log_of(walks_from(range(0, N_ITEMS, 2), LENGTH) * 6)


def always(_: TwoTower, __: np.ndarray) -> float:
    """Return a constant metric: the last epoch is taken."""
    return 1.0


def hits(tower: TwoTower, vectors: np.ndarray) -> float:
    """Return how often the next item ranks first among new items, for histories unlike those of the log."""
    walks = walks_from(range(1, N_ITEMS, 2), 3)
    scores = tower.user_vectors(Histories.of_baskets(walks, now=0), vectors) @ vectors.T
    np.put_along_axis(scores, np.array(walks), -np.inf, axis=1)
    return float((scores.argmax(axis=1) == [(walk[-1] + 1) % N_ITEMS for walk in walks]).mean())


def state(run: TrainingRun) -> dict[str, torch.Tensor]:
    """Return a copy of all trained tensors and the pooled vectors."""
    modules = {"tower": run.tower, "encoder": run.texts.encoder.model, "learned": run.item_id_vectors}
    found = {f"{name}.{key}": tensor.clone() for name, module in modules.items() if module for key, tensor in module.state_dict().items()}
    return found | {"pooled": torch.from_numpy(run.texts.pooled.copy())}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.fixture
def begin(shop: Any, tiny_settings: Any) -> Callable[..., TrainingRun]:
    """Return a function that makes a new run."""
    strings = item_texts(shop.catalog).unique(maintain_order=True).to_list()[:N_ITEMS]
    assert len(strings) == N_ITEMS

    def make(folder: Path, validate: Callable[[TwoTower, np.ndarray], float], config: TrainConfig = CONFIG) -> TrainingRun:
        encoder = TextEncoder.pretrained(tiny_settings.encoder)
        texts = TrainableTexts(encoder, strings, encoder.token_states(strings), "upper")
        torch.manual_seed(0)
        sizes = tiny_settings.tower.model_copy(update={"user_encoder": "sequence", "dim": 32, "hidden": 32})
        tower = TwoTower(encoder.width, sizes)
        tower.start_from(texts.pooled)
        item_id_vectors = ItemIdEmbedding(N_ITEMS, sizes.dim, 0.2)
        return TrainingRun(
            SequenceSampler(LOG, config, sizes.history), tower, texts, validate, folder, seed=0, item_id_vectors=item_id_vectors
        )

    return make


def test_learns_transitions(begin: Callable[..., TrainingRun], tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"epochs": 25, "tuned_epochs": 0, "lr": 0.01})
    run = begin(tmp_path, hits, config)
    fitted = fit_towers(run, config)
    assert fitted.curve[0] < 0.3
    assert fitted.best > 0.8  # 1 / 35 by chance
    assert hits(run.tower, run.vectors()) == fitted.best


def test_a_tower_learns_from_teachers(begin: Callable[..., TrainingRun], tmp_path: Path) -> None:
    """What no log tells: teachers that never saw the walks say that item i + 7 follows."""
    config = CONFIG.model_copy(update={"epochs": 25, "tuned_epochs": 0, "lr": 0.01})
    run = begin(tmp_path, always, config)

    class Jumps(Teacher):
        def scores(self, rows: np.ndarray, lengths: np.ndarray, candidates: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(20.0 * (candidates == (rows[:, None] + 7) % N_ITEMS)).float()

    run.teachers = [Jumps(run.tower, run.vectors())]
    fit_towers(run, config)
    walks, vectors = walks_from(range(0, N_ITEMS, 2), 3), run.vectors()
    scores = run.tower.user_vectors(Histories.of_baskets(walks, now=0), vectors) @ vectors.T
    best = np.argsort(-scores, axis=1)[:, :2]
    last = np.array(walks)[:, -1:]
    assert (np.sort((best - last) % N_ITEMS, axis=1) == [1, 7]).all(axis=1).mean() > 0.8


def test_a_teacher_scores_as_the_users_of_its_tower(begin: Callable[..., TrainingRun], tmp_path: Path) -> None:
    run = begin(tmp_path, always)
    fit_towers(run, CONFIG)
    teacher = Teacher(run.tower.train(), run.vectors())  # without dropout, whatever the mode
    found = teacher.scores(np.array([4, 1, 2, 3]), np.array([1, 3]), np.array([0, 5, 9])).numpy()
    users = run.tower.user_vectors(Histories.of_baskets([[4], [1], [1, 2], [1, 2, 3]], now=0), teacher.vectors)
    assert np.allclose(found, run.tower.scale.exp().item() * users @ teacher.vectors[[0, 5, 9]].T, atol=1e-4)


class TestInterruption:
    def fitted(
        self, begin: Callable[..., TrainingRun], folder: Path, interrupted_at: int | None = None
    ) -> tuple[TrainingResult, dict[str, torch.Tensor]]:
        """Train; at validation number `interrupted_at` the training is interrupted and started again."""
        calls = 0

        def validate(*_: object) -> float:
            nonlocal calls
            calls += 1
            if calls == interrupted_at:
                raise Cut
            return 1.0

        run = begin(folder, validate)
        if interrupted_at is not None:
            with pytest.raises(Cut):
                fit_towers(run, CONFIG)
            torch.manual_seed(99)  # another process has another random state
            run = begin(folder, validate)
        return fit_towers(run, CONFIG), state(run)

    def test_a_resumed_training_equals_an_uninterrupted_one(self, begin: Callable[..., TrainingRun], tmp_path: Path) -> None:
        whole, wanted = self.fitted(begin, tmp_path / "whole")
        assert not same(wanted, state(begin(tmp_path / "none", always)))
        for interrupted_at in (2, 3, 4):
            fitted, found = self.fitted(begin, tmp_path / str(interrupted_at), interrupted_at)
            assert fitted.curve == whole.curve, interrupted_at
            assert same(found, wanted), interrupted_at


def test_the_text_phase_freezes_the_towers_and_item_id_vectors(begin: Callable[..., TrainingRun], tmp_path: Path) -> None:
    states: list[dict[str, torch.Tensor]] = []
    runs: list[TrainingRun] = []

    def validate(*_: object) -> float:
        states.append(state(runs[0]))
        return 1.0

    runs.append(begin(tmp_path, validate))
    fit_towers(runs[0], CONFIG)
    start, _, towers, text = states
    changed = [{name for name in one if not torch.equal(one[name], other[name])} for one, other in ((start, towers), (towers, text))]
    assert {"learned.table.weight", "tower.project.weight", "tower.scale"} <= changed[0]
    assert all(name.startswith(("learned.", "tower.")) for name in changed[0])
    assert "pooled" in changed[1]
    assert all(name == "pooled" or name.startswith("encoder.") for name in changed[1])


def test_a_batch_without_targets_keeps_weights_finite(begin: Callable[..., TrainingRun], tmp_path: Path) -> None:
    """Shops where nearly all events are views have such batches; a mean over no position is nan."""
    run = begin(tmp_path, always)
    draw = run.sampler.draw

    def nothing(*rest: Any) -> SequenceBatch:
        batch = draw(*rest)
        assert isinstance(batch, SequenceBatch)
        return replace(batch, targets=np.full_like(batch.targets, -1))

    run.sampler.draw = nothing  # type: ignore[method-assign]
    fit_towers(run, CONFIG.model_copy(update={"epochs": 1, "tuned_epochs": 0}))
    assert all(torch.isfinite(tensor).all() for tensor in state(run).values())
