"""Pre-training within the training of a model: off, on, undone, and what it may see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from recsys.training import pretraining, towers
from recsys.training.pretraining import NO_PAIRS, NO_STATES, OFF
from recsys.training.towers import fit_text_models
from retrieval.pretraining.config import PretrainConfig
from retrieval.pretraining.trainer import PretrainingResult
from tests.recsys.futures import Case, case

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["timed", "steps"])
def world(request: pytest.FixtureRequest, shop: Any) -> Case:
    return case(request.param, shop)


def job_of(world: Case, settings: Any, **changed: Any) -> TrainingJob:
    return world.training(settings.model_copy(update={"pretrain": PretrainConfig(**{"steps": 6, "batch": 8, "lr": 1e-3} | changed)}))


def fit(job: TrainingJob, folder: Path) -> TextModels:
    return fit_text_models(job, CPU, folder / "work", folder)


def upper(models: TextModels) -> list[torch.Tensor]:
    return [weight.detach().clone() for layer in models.encoder.upper_layers for weight in layer.parameters()]


def test_it_is_off_unless_asked_for(world: Case, tiny_settings: Any, tmp_path: Path) -> None:
    assert fit(world.training(tiny_settings), tmp_path).report["pretraining"] == {"kept": False, "why": OFF}


def test_what_gains_is_kept_and_search_keeps_the_encoder_as_it_was(
    world: Case, tiny_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining, "significant_gain", lambda _: True)
    values = iter([0.1, 0.2])
    monkeypatch.setattr(pretraining, "_untrained", lambda *_: next(values))
    frozen = tiny_settings.model_copy(update={"train": tiny_settings.train.model_copy(update={"tuning": "frozen"})})
    plain = fit(world.training(frozen), tmp_path / "plain")
    trained = fit(job_of(world, frozen), tmp_path / "trained")
    report = trained.report["pretraining"]
    assert report["kept"]
    assert report["ndcg@10_of_untrained_towers"] == [0.1, 0.2]
    assert set(report["pairs"]) >= {"title and category", "bought together"}
    assert not all(torch.equal(one, other) for one, other in zip(upper(plain), upper(trained), strict=True))
    assert trained.query_tower.fingerprint == plain.query_tower.fingerprint
    assert not np.allclose(trained.vectors, plain.vectors)


@pytest.mark.parametrize(("gains", "values"), [(False, (0.1, 0.2)), (True, (0.2, 0.1)), (True, (0.1, 0.1))])
def test_what_does_not_gain_is_undone(
    shop: Any, tiny_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gains: bool, values: tuple[float, float]
) -> None:
    left = iter(values)
    monkeypatch.setattr(pretraining, "significant_gain", lambda _: gains)
    monkeypatch.setattr(pretraining, "_untrained", lambda *_: next(left))
    world = case("timed", shop)
    plain = fit(world.training(tiny_settings), tmp_path / "plain")
    trained = fit(job_of(world, tiny_settings), tmp_path / "trained")
    assert not trained.report["pretraining"]["kept"]
    assert all(torch.equal(one, other) for one, other in zip(upper(plain), upper(trained), strict=True))
    assert np.array_equal(plain.vectors, trained.vectors)


def test_it_says_why_it_was_not_done(shop: Any, tiny_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = case("timed", shop)
    full = tiny_settings.model_copy(update={"train": tiny_settings.train.model_copy(update={"tuning": "full"})})
    assert fit(job_of(world, full), tmp_path / "full").report["pretraining"]["why"] == NO_STATES
    monkeypatch.setattr(pretraining, "fit_upper_layers", lambda *_: None)
    assert fit(job_of(world, tiny_settings), tmp_path / "few").report["pretraining"]["why"] == NO_PAIRS


def test_all_that_it_sees_lies_before_the_towers_validation_window(
    world: Case, tiny_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a log that goes on, and of one with another future: the same pairs."""
    seen: list[Any] = []

    def noted(_encoder: object, training: Any, _config: object) -> PretrainingResult | None:
        seen.append([(pairs.kind, pairs.owner.tolist()) for pairs in training.pairs] + [training.positives.together.tolist()])

    monkeypatch.setattr(pretraining, "fit_upper_layers", noted)
    logs: list[Any] = []
    plain = pretraining.pairs_together
    monkeypatch.setattr(pretraining, "pairs_together", lambda log, *rest: logs.append(log) or plain(log, *rest))
    job = job_of(world, tiny_settings)
    fit(job, tmp_path / "one")
    start = job.windows.validation.start
    late = job.log.time >= start
    other = np.where(late, np.random.default_rng(0).permutation(job.log.item), job.log.item).astype(np.int32)
    assert (other != job.log.item).any()
    fit(replace(job, log=replace(job.log, item=other)), tmp_path / "other")
    assert all(log.time.max() < start for log in logs)
    assert seen[0] == seen[1]


def test_training_that_continues_is_the_same(shop: Any, tiny_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "significant_gain", lambda _: True)
    monkeypatch.setattr(pretraining, "_untrained", lambda *_: next(values))
    job = job_of(case("timed", shop), tiny_settings)
    values = iter([0.1, 0.2] * 3)
    whole = fit(job, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(towers, "fit_towers", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fit(job, tmp_path / "part")
    assert np.array_equal(fit(job, tmp_path / "part").vectors, whole.vectors)
