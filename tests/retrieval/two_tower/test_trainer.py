"""Training of the towers: it learns, resumes exactly after an interruption, and ends at its best epoch."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from features.text.encoder import TextEncoder
from features.text.template import item_texts
from retrieval.two_tower.config import AugmentConfig, TrainConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.text_tuning import TrainableTexts, Tuning
from retrieval.two_tower.trainer import TrainingResult, TrainingRun, fit_towers
from retrieval.two_tower.tuning.augmentation import Augmentation
from retrieval.two_tower.window_batches import WindowSampler, mine_negatives

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from retrieval.two_tower.window_batches import WindowBatch

WINDOW = 20 * DAY
SHORT = TrainConfig(users=16, positives=4, negatives=16, epochs=2, tuned_epochs=2, steps_per_epoch=2, texts_a_step=16, patience=9)


class Cut(Exception):
    """The training is interrupted."""


@dataclass(frozen=True)
class TrainingData:
    """Distinct texts of the shop, and its log, whose training part ends at the cut."""

    settings: object
    strings: list[str]
    log: Interactions
    cut: int

    @property
    def past(self) -> Interactions:
        return self.log.between(None, self.cut)

    def run(
        self, folder: Path, validate: Callable[[TwoTower, np.ndarray], float], tuning: Tuning = "upper", config: TrainConfig = SHORT
    ) -> TrainingRun:
        encoder = TextEncoder.pretrained(self.settings.encoder)  # type: ignore[attr-defined]
        augmentation = Augmentation.of(encoder, self.strings, config.augment, ())
        texts = TrainableTexts(encoder, self.strings, encoder.token_states(self.strings), tuning, augmentation, config.adversarial)
        torch.manual_seed(0)
        tower = TwoTower(encoder.width, self.settings.tower)  # type: ignore[attr-defined]
        tower.start_from(texts.pooled)
        return TrainingRun(WindowSampler(self.past, SHORT, WINDOW), tower, texts, validate, folder, seed=0)

    def validate(self, tower: TwoTower, vectors: np.ndarray) -> float:
        """Return the share of purchases in the window after the cut that are among a user's top 10."""
        after = self.log.between(self.cut, self.cut + WINDOW)
        users = Histories.of_users(self.past, np.arange(self.log.n_users), self.cut)
        best = np.argsort(-(tower.user_vectors(users, vectors) @ vectors.T), axis=1)[:, :10]
        return float((best[after.user] == after.item[:, None]).any(axis=1).mean())


@pytest.fixture(scope="module")
def data(shop, tiny_settings) -> TrainingData:
    texts = item_texts(shop.catalog)
    strings = texts.unique(maintain_order=True).to_list()
    text_of = np.array([strings.index(text) for text in texts], dtype=np.int32)
    log = replace(shop.log, item=text_of[shop.log.item], n_items=len(strings))
    return TrainingData(tiny_settings, strings, log, log.start + 160 * DAY)


def always(_: TwoTower, __: np.ndarray) -> float:
    """Return a constant metric: the last epoch is taken."""
    return 1.0


def weights(run: TrainingRun) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for module in (run.tower, run.texts.encoder.model) for name, tensor in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_loss_falls_and_validation_rises(data: TrainingData, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = SHORT.model_copy(update={"users": 40, "epochs": 5, "steps_per_epoch": 8, "lr": 0.01})
    run = data.run(tmp_path, data.validate)
    with caplog.at_level(logging.INFO, "retrieval.two_tower.trainer"):
        fitted = fit_towers(run, config)
    assert len(fitted.curve) == 1 + config.epochs + config.tuned_epochs
    assert fitted.best == max(fitted.curve) > fitted.curve[0]
    assert data.validate(run.tower, run.vectors()) == fitted.best
    losses = [
        float(re.findall(r"loss (\S+),", record.getMessage())[0])
        for record in caplog.records
        if record.name == "retrieval.two_tower.trainer"
    ]
    assert len(losses) == config.epochs + config.tuned_epochs
    assert losses[config.epochs - 1] < losses[0]


class TestInterruption:
    def fitted(
        self, data: TrainingData, folder: Path, tuning: Tuning, config: TrainConfig, interrupted_at: int | None = None
    ) -> tuple[TrainingResult, dict]:
        """Train; at validation number `interrupted_at` the training is interrupted and started again."""
        calls = 0

        def validate(tower: TwoTower, _: np.ndarray) -> float:
            nonlocal calls
            calls += 1
            if calls == interrupted_at:
                raise Cut
            # Distance from the untrained weights: it rises each epoch, so the last epoch is taken.
            return float(tower.project.weight.detach().sub(start).norm() + np.abs(run.texts.pooled - first).sum())

        run = data.run(folder, validate, tuning, config)
        start, first = run.tower.project.weight.detach().clone(), run.texts.pooled.copy()
        if interrupted_at is not None:
            with pytest.raises(Cut):
                fit_towers(run, config)
            torch.manual_seed(99)  # another process has another random state
            run = data.run(folder, validate, tuning, config)
        fitted = fit_towers(run, config)
        return fitted, weights(run) | {"pooled": torch.from_numpy(run.texts.pooled)}

    @pytest.mark.parametrize(
        ("tuning", "options"),
        [
            ("upper", {"augment": AugmentConfig(word_drop=0.3, synonyms=0.5), "adversarial": 0.05}),
            ("lora", {}),
            ("adalora", {}),
            ("full", {"accumulate": 2}),
            ("frozen", {"hard_negatives": 2}),
        ],
    )
    def test_a_resumed_training_equals_an_uninterrupted_one(
        self, data: TrainingData, tmp_path: Path, tuning: Tuning, options: dict
    ) -> None:
        config = SHORT.model_copy(update={"steps_per_epoch": 1, "encoder_lr": 1e-3} | options)
        whole, wanted = self.fitted(data, tmp_path / "whole", tuning, config)
        assert whole.curve == sorted(whole.curve)
        for interrupted_at in range(2, len(whole.curve) + 1):
            fitted, found = self.fitted(data, tmp_path / str(interrupted_at), tuning, config, interrupted_at)
            assert fitted.curve == whole.curve, interrupted_at
            assert same(found, wanted), interrupted_at

    def test_a_finished_training_is_not_repeated(self, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        whole, wanted = self.fitted(data, tmp_path, "upper", SHORT)

        def refuse(*_: object) -> None:
            raise AssertionError("nothing was left to train")

        monkeypatch.setattr(WindowSampler, "draw", refuse)
        again, found = self.fitted(data, tmp_path, "upper", SHORT)
        assert again.curve == whole.curve
        assert same(found, wanted)


class TestEarlyStopping:
    def fitted(
        self, data: TrainingData, folder: Path, values: list[float], **options: int
    ) -> tuple[list[dict], TrainingResult, TrainingRun]:
        """Validated by the given values; return the weights at each validation."""
        seen: list[dict] = []
        runs: list[TrainingRun] = []

        def validate(_: TwoTower, __: np.ndarray) -> float:
            seen.append(weights(runs[0]))
            return values[len(seen) - 1]

        runs.append(data.run(folder, validate))
        fitted = fit_towers(runs[0], SHORT.model_copy(update={"steps_per_epoch": 1} | options))
        return seen, fitted, runs[0]

    def test_stops_after_patience_and_ends_at_the_best(self, data: TrainingData, tmp_path: Path) -> None:
        values = [0.1, 0.2, 0.5, 0.3, 0.4, 0.45, 0.9]
        seen, fitted, run = self.fitted(data, tmp_path, values, epochs=20, patience=3, tuned_epochs=0)
        assert fitted.curve == values[:6]
        assert fitted.best == 0.5
        assert same(weights(run), seen[2])
        assert not same(seen[2], seen[5])

    def test_a_training_without_improvement_ends_with_the_initial_weights(self, data: TrainingData, tmp_path: Path) -> None:
        seen, fitted, run = self.fitted(data, tmp_path, [0.5, 0.4, 0.3, 0.2, 0.1], epochs=2, tuned_epochs=2)
        assert fitted.best == 0.5
        assert same(weights(run), seen[0])

    def test_the_text_phase_ends_at_its_best_epoch(self, data: TrainingData, tmp_path: Path) -> None:
        seen, fitted, run = self.fitted(data, tmp_path, [0.1, 0.2, 0.3, 0.6, 0.4, 0.5], epochs=2, tuned_epochs=3)
        assert fitted.best == 0.6
        assert same(weights(run), seen[3])
        assert not same(seen[3], seen[2])
        assert np.allclose(run.texts.pooled, run.texts.encoder.pool(run.texts.states))


@pytest.mark.parametrize("tuning", get_args(Tuning))
def test_every_tuning_leaves_a_plain_encoder(data: TrainingData, tmp_path: Path, tuning: Tuning) -> None:
    run = data.run(tmp_path, always, tuning)
    before, lower, kept = run.texts.encoder.fingerprint, run.texts.encoder.model.embeddings.word_embeddings.weight.clone(), run.texts.pooled
    kept = kept.copy()
    fitted = fit_towers(run, SHORT.model_copy(update={"epochs": 1, "tuned_epochs": 1}))
    encoder = run.texts.encoder
    assert len(fitted.curve) == (2 if tuning == "frozen" else 3)
    assert (encoder.fingerprint == before) == (tuning == "frozen")
    assert np.array_equal(run.texts.pooled, kept) == (tuning == "frozen")
    assert torch.equal(encoder.model.embeddings.word_embeddings.weight, lower) == (tuning != "full")
    assert not any(isinstance(module, BaseTunerLayer) for module in encoder.modules())
    assert not any(module.training for module in (*encoder.modules(), *run.tower.modules()))
    back = TextEncoder.from_files(encoder.to_files())
    assert back.fingerprint == encoder.fingerprint
    # What the towers were validated on is what the finished encoder says.
    assert np.allclose(back.pool(back.token_states(data.strings)), run.texts.pooled, atol=1e-2)


def test_events_after_the_cut_have_no_effect(data: TrainingData, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    later = data.log.time >= data.cut
    scrambled = replace(data.log, item=np.where(later, rng.permutation(data.log.item), data.log.item).astype(np.int32))
    assert not np.array_equal(scrambled.item, data.log.item)
    config = SHORT.model_copy(update={"hard_negatives": 2})
    found = []
    for name, log in (("true", data.log), ("scrambled", scrambled)):
        run = replace(data, log=log).run(tmp_path / name, always)
        fit_towers(run, config)
        found.append(weights(run))
    assert same(*found)


def test_the_seed_decides(data: TrainingData, tmp_path: Path) -> None:
    found = []
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        run = data.run(tmp_path / name, always)
        run.seed = seed
        fit_towers(run, SHORT.model_copy(update={"tuned_epochs": 0}))
        found.append(weights(run))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_every_epoch_draws_new_batches(data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, drawn = WindowSampler.draw, []

    def noted(self: WindowSampler, *rest: Any) -> WindowBatch:
        drawn.append(draw(self, *rest))
        return drawn[-1]

    monkeypatch.setattr(WindowSampler, "draw", noted)
    fit_towers(data.run(tmp_path, always), SHORT.model_copy(update={"epochs": 3, "tuned_epochs": 2, "steps_per_epoch": 2}))
    assert len({(batch.users.now, *batch.candidates.tolist()) for batch in drawn}) == len(drawn) == 10


class TestMining:
    def test_hard_negatives_are_near_items_that_the_user_never_bought(self, data: TrainingData, tmp_path: Path) -> None:
        run = data.run(tmp_path, always)
        sampler = WindowSampler(data.past, SHORT, WINDOW)
        log, known = sampler.log, sampler.known
        mined = mine_negatives(run.tower, run.vectors(), sampler, pool=6, skip=3)
        assert mined.shape == (log.n_users, 6)
        vectors = run.tower.item_vectors(run.texts.pooled)
        for user in range(log.n_users):
            history = Histories.of_users(log, np.array([user]), log.end)
            scores = (run.tower.user_vectors(history, vectors) @ vectors.T)[0]
            unbought = np.setdiff1d(known, log.item[log.user == user])
            wanted = unbought[np.argsort(-scores[unbought])][3:9]
            assert set(mined[user].tolist()) == (set(wanted.tolist()) or {-1}), user

    def test_a_small_catalogue_has_no_hard_negatives(self, data: TrainingData, tmp_path: Path) -> None:
        run, sampler = data.run(tmp_path, always), WindowSampler(data.past, SHORT, WINDOW)
        assert (mine_negatives(run.tower, run.vectors(), sampler, pool=6, skip=len(data.strings)) == -1).all()
