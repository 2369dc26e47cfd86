"""Training of the towers: it learns, it goes on after a cut as if there had been none, and it ends at its best epoch."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer

from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from features.text.encoder import TextEncoder
from features.text.template import item_texts
from retrieval.two_tower.config import TrainConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.text_tuning import TrainableTexts, Tuning
from retrieval.two_tower.trainer import TrainingResult, TrainingRun, fit_towers, mine_negatives
from retrieval.two_tower.window_batches import WindowSampler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from retrieval.two_tower.window_batches import WindowBatch

WINDOW = 20 * DAY
SHORT = TrainConfig(users=16, positives=4, negatives=16, epochs=2, tuned_epochs=2, steps_per_epoch=2, texts_a_step=16, patience=9)


class Cut(Exception):
    """The power fails."""


@dataclass(frozen=True)
class RankingData:
    """The shop by distinct texts, and its log until and after the training window."""

    settings: object
    strings: list[str]
    log: Interactions
    cut: int

    @property
    def past(self) -> Interactions:
        return self.log.between(None, self.cut)

    def run(self, folder: Path, validate: Callable[[TwoTower, np.ndarray], float], tuning: Tuning = "upper") -> TrainingRun:
        encoder = TextEncoder.pretrained(self.settings.encoder)  # type: ignore[attr-defined]
        texts = TrainableTexts(encoder, self.strings, encoder.token_states(self.strings), tuning)
        torch.manual_seed(0)
        tower = TwoTower(encoder.width, self.settings.tower)  # type: ignore[attr-defined]
        tower.start_from(texts.pooled)
        return TrainingRun(WindowSampler(self.past, SHORT, WINDOW), tower, texts, validate, folder, seed=0)

    def validate(self, tower: TwoTower, vectors: np.ndarray) -> float:
        """Share of what is bought in the window after the cut that is among a user's first ten."""
        after = self.log.between(self.cut, self.cut + WINDOW)
        users = Histories.of_users(self.past, np.arange(self.log.n_users), self.cut)
        best = np.argsort(-(tower.user_vectors(users, vectors) @ vectors.T), axis=1)[:, :10]
        return float((best[after.user] == after.item[:, None]).any(axis=1).mean())


@pytest.fixture(scope="module")
def material(shop, tiny_settings) -> RankingData:
    texts = item_texts(shop.catalog)
    strings = texts.unique(maintain_order=True).to_list()
    text_of = np.array([strings.index(text) for text in texts], dtype=np.int32)
    log = replace(shop.log, item=text_of[shop.log.item], n_items=len(strings))
    return RankingData(tiny_settings, strings, log, log.start + 160 * DAY)


def always(_: TwoTower, __: np.ndarray) -> float:
    """Every epoch is as good as the best so far, so the last one is kept."""
    return 1.0


def weights(run: TrainingRun) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for module in (run.tower, run.texts.encoder.model) for name, tensor in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_loss_falls_and_validation_rises(material: RankingData, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = SHORT.model_copy(update={"users": 40, "epochs": 5, "steps_per_epoch": 8, "lr": 0.01})
    run = material.run(tmp_path, material.validate)
    with caplog.at_level(logging.INFO, "retrieval.two_tower.trainer"):
        fitted = fit_towers(run, config)
    assert len(fitted.curve) == 1 + config.epochs + config.tuned_epochs
    assert fitted.best == max(fitted.curve) > fitted.curve[0]
    assert material.validate(run.tower, run.vectors()) == fitted.best
    losses = [
        float(re.findall(r"loss (\S+),", record.getMessage())[0])
        for record in caplog.records
        if record.name == "retrieval.two_tower.trainer"
    ]
    assert len(losses) == config.epochs + config.tuned_epochs
    assert losses[config.epochs - 1] < losses[0]


class TestCutOff:
    def fitted(
        self, material: RankingData, folder: Path, tuning: Tuning, config: TrainConfig, cut_at: int | None = None
    ) -> tuple[TrainingResult, dict]:
        """Train; at validation number `cut_at` the power fails, and the training is begun again."""
        calls = 0

        def validate(tower: TwoTower, _: np.ndarray) -> float:
            nonlocal calls
            calls += 1
            if calls == cut_at:
                raise Cut
            # How far the scores are from the untrained ones: higher from epoch to epoch, so that the last one is kept.
            return float(tower.project.weight.detach().sub(start).norm() + np.abs(run.texts.pooled - first).sum())

        run = material.run(folder, validate, tuning)
        start, first = run.tower.project.weight.detach().clone(), run.texts.pooled.copy()
        if cut_at is not None:
            with pytest.raises(Cut):
                fit_towers(run, config)
            torch.manual_seed(99)  # another process has another chance
            run = material.run(folder, validate, tuning)
        fitted = fit_towers(run, config)
        return fitted, weights(run) | {"pooled": torch.from_numpy(run.texts.pooled)}

    @pytest.mark.parametrize(
        ("tuning", "options"), [("upper", {}), ("lora", {}), ("full", {"accumulate": 2}), ("frozen", {"hard_negatives": 2})]
    )
    def test_a_resumed_training_is_the_training_itself(self, material: RankingData, tmp_path: Path, tuning: Tuning, options: dict) -> None:
        config = SHORT.model_copy(update={"steps_per_epoch": 1, "encoder_lr": 1e-3} | options)
        whole, wanted = self.fitted(material, tmp_path / "whole", tuning, config)
        assert whole.curve == sorted(whole.curve)
        for cut_at in range(2, len(whole.curve) + 1):
            fitted, found = self.fitted(material, tmp_path / str(cut_at), tuning, config, cut_at)
            assert fitted.curve == whole.curve, cut_at
            assert same(found, wanted), cut_at

    def test_a_finished_training_is_not_repeated(self, material: RankingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        whole, wanted = self.fitted(material, tmp_path, "upper", SHORT)

        def refuse(*_: object) -> None:
            raise AssertionError("there was nothing left to train")

        monkeypatch.setattr(WindowSampler, "draw", refuse)
        again, found = self.fitted(material, tmp_path, "upper", SHORT)
        assert again.curve == whole.curve
        assert same(found, wanted)


class TestEarlyStopping:
    def fitted(
        self, material: RankingData, folder: Path, values: list[float], **options: int
    ) -> tuple[list[dict], TrainingResult, TrainingRun]:
        """Validated by the given values; return the weights at each validation."""
        seen: list[dict] = []
        runs: list[TrainingRun] = []

        def validate(_: TwoTower, __: np.ndarray) -> float:
            seen.append(weights(runs[0]))
            return values[len(seen) - 1]

        runs.append(material.run(folder, validate))
        fitted = fit_towers(runs[0], SHORT.model_copy(update={"steps_per_epoch": 1} | options))
        return seen, fitted, runs[0]

    def test_stops_after_patience_and_ends_at_the_best(self, material: RankingData, tmp_path: Path) -> None:
        values = [0.1, 0.2, 0.5, 0.3, 0.4, 0.45, 0.9]
        seen, fitted, run = self.fitted(material, tmp_path, values, epochs=20, patience=3, tuned_epochs=0)
        assert fitted.curve == values[:6]
        assert fitted.best == 0.5
        assert same(weights(run), seen[2])
        assert not same(seen[2], seen[5])

    def test_a_training_that_makes_it_worse_ends_where_it_began(self, material: RankingData, tmp_path: Path) -> None:
        seen, fitted, run = self.fitted(material, tmp_path, [0.5, 0.4, 0.3, 0.2, 0.1], epochs=2, tuned_epochs=2)
        assert fitted.best == 0.5
        assert same(weights(run), seen[0])

    def test_the_texts_best_epoch(self, material: RankingData, tmp_path: Path) -> None:
        seen, fitted, run = self.fitted(material, tmp_path, [0.1, 0.2, 0.3, 0.6, 0.4, 0.5], epochs=2, tuned_epochs=3)
        assert fitted.best == 0.6
        assert same(weights(run), seen[3])
        assert not same(seen[3], seen[2])
        assert np.allclose(run.texts.pooled, run.texts.encoder.pool(run.texts.states))


@pytest.mark.parametrize("tuning", ["frozen", "upper", "lora", "full"])
def test_every_tuning_leaves_a_plain_encoder(material: RankingData, tmp_path: Path, tuning: Tuning) -> None:
    run = material.run(tmp_path, always, tuning)
    before, lower, kept = run.texts.encoder.fingerprint, run.texts.encoder.model.embeddings.word_embeddings.weight.clone(), run.texts.pooled
    kept = kept.copy()
    fitted = fit_towers(run, SHORT.model_copy(update={"epochs": 1, "tuned_epochs": 1}))
    encoder = run.texts.encoder
    assert len(fitted.curve) == (2 if tuning == "frozen" else 3)
    assert (encoder.fingerprint == before) == (tuning == "frozen")
    assert np.array_equal(run.texts.pooled, kept) == (tuning == "frozen")
    assert torch.equal(encoder.model.embeddings.word_embeddings.weight, lower) == (tuning != "full")
    assert not any(isinstance(module, LoraLayer) for module in encoder.modules())
    assert not any(module.training for module in (*encoder.modules(), *run.tower.modules()))
    back = TextEncoder.from_files(encoder.to_files())
    assert back.fingerprint == encoder.fingerprint
    # What the towers were validated on is what the finished encoder says.
    assert np.allclose(back.pool(back.token_states(material.strings)), run.texts.pooled, atol=1e-2)


def test_what_lies_after_the_training_window_is_not_seen(material: RankingData, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    later = material.log.time >= material.cut
    scrambled = replace(material.log, item=np.where(later, rng.permutation(material.log.item), material.log.item).astype(np.int32))
    assert not np.array_equal(scrambled.item, material.log.item)
    config = SHORT.model_copy(update={"hard_negatives": 2})
    found = []
    for name, log in (("true", material.log), ("scrambled", scrambled)):
        run = replace(material, log=log).run(tmp_path / name, always)
        fit_towers(run, config)
        found.append(weights(run))
    assert same(*found)


def test_the_seed_decides(material: RankingData, tmp_path: Path) -> None:
    found = []
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        run = material.run(tmp_path / name, always)
        run.seed = seed
        fit_towers(run, SHORT.model_copy(update={"tuned_epochs": 0}))
        found.append(weights(run))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_every_epoch_draws_batches_of_its_own(material: RankingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, drawn = WindowSampler.draw, []

    def noted(self: WindowSampler, *rest: Any) -> WindowBatch:
        drawn.append(draw(self, *rest))
        return drawn[-1]

    monkeypatch.setattr(WindowSampler, "draw", noted)
    fit_towers(material.run(tmp_path, always), SHORT.model_copy(update={"epochs": 3, "tuned_epochs": 2, "steps_per_epoch": 2}))
    assert len({(batch.users.now, *batch.candidates.tolist()) for batch in drawn}) == len(drawn) == 10


class TestMining:
    def test_mined_are_items_near_the_user_that_were_never_bought(self, material: RankingData, tmp_path: Path) -> None:
        run = material.run(tmp_path, always)
        sampler = WindowSampler(material.past, SHORT, WINDOW)
        log, known = sampler.log, sampler.known
        mined = mine_negatives(run, sampler, pool=6, skip=3)
        assert mined.shape == (log.n_users, 6)
        vectors = run.tower.item_vectors(run.texts.pooled)
        for user in range(log.n_users):
            history = Histories.of_users(log, np.array([user]), log.end)
            scores = (run.tower.user_vectors(history, vectors) @ vectors.T)[0]
            unbought = np.setdiff1d(known, log.item[log.user == user])
            wanted = unbought[np.argsort(-scores[unbought])][3:9]
            assert set(mined[user].tolist()) == (set(wanted.tolist()) or {-1}), user

    def test_a_shop_of_few_items_has_none(self, material: RankingData, tmp_path: Path) -> None:
        run = material.run(tmp_path, always)
        assert (mine_negatives(run, WindowSampler(material.past, SHORT, WINDOW), pool=6, skip=len(material.strings)) == -1).all()
