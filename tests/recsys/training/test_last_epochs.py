"""The towers' last epochs: on everything, after all else is fitted."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from features.data.interactions import DAY
from recsys.training import towers
from recsys.training.job import TrainingJob
from recsys.training.pipeline import train_model
from recsys.training.towers import LAST_RATE, TextModels, fit_last_epochs, fit_text_models
from recsys.training.windows import Windows

if TYPE_CHECKING:
    from pathlib import Path

    from retrieval.two_tower.config import TrainConfig
    from retrieval.two_tower.trainer import TrainingRun

CPU = torch.device("cpu")


def with_settings(shop: TrainingJob, reads: str, **train: Any) -> TrainingJob:
    settings = shop.settings
    update = {"tower": settings.tower.model_copy(update={"user_encoder": reads}), "train": settings.train.model_copy(update=train)}
    return replace(shop, settings=settings.model_copy(update=update))


@pytest.fixture(scope="module")
def small(shop: Any, tiny_settings: Any) -> TrainingJob:
    until = shop.log.start + 150 * DAY
    log = shop.log.between(None, until)
    return with_settings(TrainingJob(shop.catalog, log, Windows.plan(log, until), tiny_settings, 0), "sequence", last_epochs=2)


@pytest.fixture(scope="module")
def fitted(small: TrainingJob, tmp_path_factory: pytest.TempPathFactory) -> TextModels:
    folder = tmp_path_factory.mktemp("language")
    return fit_text_models(small, CPU, folder / "work", folder)


@pytest.fixture
def language(fitted: TextModels) -> TextModels:
    """To change."""
    return deepcopy(fitted)


def state(language: TextModels) -> dict[str, np.ndarray]:
    assert language.item_id_vectors is not None
    parts = {"tower": language.tower, "learned": language.item_id_vectors}
    return {f"{part}.{name}": tensor.numpy().copy() for part, module in parts.items() for name, tensor in module.state_dict().items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(values, other[name]) for name, values in one.items())


def test_towers_and_what_was_learned_of_items_go_on_in_place(small: TrainingJob, language: TextModels, tmp_path: Path) -> None:
    before, vectors, encoder = state(language), language.vectors.copy(), language.encoder.fingerprint
    fit_last_epochs(small, language, tmp_path)
    after = state(language)
    assert not np.array_equal(after["tower.project.weight"], before["tower.project.weight"])
    assert not np.array_equal(after["learned.table.weight"], before["learned.table.weight"])
    # The texts' encoder stays, and so do the vectors that the ranking stands on.
    assert language.encoder.fingerprint == encoder
    assert np.array_equal(language.vectors, vectors)
    assert not language.tower.training


def test_they_learn_from_the_windows_that_they_had_not_seen(small: TrainingJob, fitted: TextModels, tmp_path: Path) -> None:
    late = small.log.time >= small.windows.calibration.start
    item = np.where(late, (small.log.item + 7) % small.log.n_items, small.log.item).astype(np.int32)
    found = []
    for name, log in (("one", small.log), ("again", small.log), ("other", replace(small.log, item=item))):
        language = deepcopy(fitted)
        fit_last_epochs(replace(small, log=log), language, tmp_path / name)
        found.append(state(language))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_every_epoch_is_taken_at_a_lower_rate(
    small: TrainingJob, language: TextModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little patience the training before had."""
    rates = []

    def epoch(_run: TrainingRun, config: TrainConfig, *_: Any) -> float:
        rates.append(config.lr)
        return 0.0

    monkeypatch.setattr("retrieval.two_tower.trainer._epoch", epoch)
    fit_last_epochs(with_settings(small, "sequence", last_epochs=6, patience=1), language, tmp_path)
    assert rates == [pytest.approx(small.settings.train.lr * LAST_RATE)] * 6


def test_a_training_that_was_cut_off_in_them_goes_on(small: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_model(small, CPU, tmp_path / "whole", tmp_path / "cache")
    original, begun = towers.fit_towers, []

    def cut(run: TrainingRun, config: TrainConfig) -> Any:
        """In the second of the last epochs."""
        if run.folder.name == "rest":
            with monkeypatch.context() as patch:
                from retrieval.two_tower.trainer import _epoch

                def epoch(*arguments: Any) -> float:
                    begun.append(arguments[3])
                    if arguments[3] == 1:
                        raise KeyboardInterrupt
                    return _epoch(*arguments)

                patch.setattr("retrieval.two_tower.trainer._epoch", epoch)
                return original(run, config)
        return original(run, config)

    monkeypatch.setattr(towers, "fit_towers", cut)
    with pytest.raises(KeyboardInterrupt):
        train_model(small, CPU, tmp_path / "cut", tmp_path / "cache")
    assert begun == [0, 1]
    monkeypatch.setattr(towers, "fit_towers", original)
    torch.manual_seed(1234)  # another process, another state of chance
    assert train_model(small, CPU, tmp_path / "cut", tmp_path / "cache").to_files() == whole.to_files()


def test_the_ranking_is_fitted_before_them(small: TrainingJob, tmp_path: Path) -> None:
    one, other = (train_model(with_settings(small, "sequence", last_epochs=n), CPU, tmp_path / str(n), tmp_path).to_files() for n in (0, 2))
    changed = {name for name in one if one[name] != other[name]}
    assert changed == {"tower/tower.safetensors", "learned/learned.safetensors"}


def test_towers_of_sets_have_none(small: TrainingJob, tmp_path: Path) -> None:
    """Whatever a recsys.toml says of them."""
    one, other = (train_model(with_settings(small, "set", last_epochs=n), CPU, tmp_path / str(n), tmp_path) for n in (0, 2))
    assert one.item_id_vectors is None
    assert one.to_files() == other.to_files()
