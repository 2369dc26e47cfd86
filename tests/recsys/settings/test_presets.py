"""Presets and devices fill in what the user left open, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from features.errors import ConfigError
from recsys.settings.auto import SEQUENCE
from recsys.settings.presets import FULL, GPU, find_device, with_preset
from recsys.settings.settings import Settings
from recsys.training import find_or_train
from recsys.training.options import TrainOptions

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def values(settings: Settings, sections: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {section: {key: getattr(getattr(settings, section), key) for key in keys} for section, keys in sections.items()}


def test_quick_on_a_cpu_is_the_defaults_and_a_tuning_that_is_affordable():
    quick = with_preset(Settings(), "quick", CPU)
    assert quick.train.tuning == "upper"
    plain = Settings()
    assert quick.model_copy(update={"train": plain.train}) == plain
    assert quick.train.model_copy(update={"tuning": "auto"}) == plain.train


def test_full_is_more():
    assert values(with_preset(Settings(), "full", CPU), FULL) == FULL


def test_a_gpu_takes_larger_batches_and_tunes_more():
    on_gpu = with_preset(Settings(), "quick", CUDA)
    assert values(on_gpu, GPU) == GPU
    assert on_gpu.train.tuning == "lora"
    assert with_preset(Settings(), "full", CUDA).train.tuning == "full"


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_what_the_user_set_stays(device):
    mine = {"train": {"epochs": 3, "tuning": "frozen", "users": 9}, "gbdt": {"rounds": 7}, "cross_encoder": {"batch_users": 2}}
    settings = with_preset(Settings.model_validate(mine), "full", device)
    assert values(settings, mine) == mine
    assert settings.train.patience == FULL["train"]["patience"]  # beside it, what was left open


def test_a_default_that_was_set_on_purpose_stays_too():
    rounds = Settings().gbdt.rounds
    assert rounds != FULL["gbdt"]["rounds"]
    assert with_preset(Settings.model_validate({"gbdt": {"rounds": rounds}}), "full", CPU).gbdt.rounds == rounds


def test_a_gpu_that_is_not_there_is_said_and_not_passed_over(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == CPU
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        find_device("cuda")


def test_a_gpu_that_is_there_is_taken_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device("auto") == find_device("cuda") == CUDA
    assert find_device("cpu") == CPU


def test_a_device_that_is_none_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ConfigError, match=r"^device is 'tpu', expected one of auto, cpu, cuda$"):
        find_device("tpu")  # type: ignore[arg-type]


def settings_of_a_training(place: Any, settings: Settings, options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """With which settings a workspace's model would be trained."""

    class Stop(Exception):
        """They are known."""

    def train_model(shop: Any, *_: object) -> None:
        found.append(shop.settings)
        raise Stop

    found: list[Settings] = []
    monkeypatch.setattr(find_or_train, "train_model", train_model)
    with pytest.raises(Stop):
        find_or_train.train(place.workspace, settings, options)
    return found[0]


@pytest.mark.parametrize("reads", ["set", "sequence"])
def test_full_is_as_much_in_every_kind_of_shop(ready, monkeypatch, reads):
    settings = Settings.model_validate({"tower": {"user_encoder": reads}})
    found = settings_of_a_training(ready, settings, TrainOptions(preset="full", device="cpu"), monkeypatch)
    assert values(found, FULL) == FULL
    assert (found.train.epochs, found.train.patience) == (30, 6)
    assert found.train.last_epochs == (SEQUENCE["train"]["last_epochs"] if reads == "sequence" else 0)


def test_a_sequence_trains_as_its_log_suggests_where_the_preset_says_nothing(ready, monkeypatch):
    settings = Settings.model_validate({"tower": {"user_encoder": "sequence"}})
    found = settings_of_a_training(ready, settings, TrainOptions(device="cpu"), monkeypatch)
    assert values(found, SEQUENCE) == SEQUENCE


def test_an_unknown_preset_is_refused_in_one_line(ready):
    with pytest.raises(ConfigError, match=r"^preset is 'slow', expected one of quick, full: see docs/configuration.md$"):
        find_or_train.train(ready.workspace, ready.settings, TrainOptions(preset="slow", device="cpu"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"epochs": 0}, r"^train\.epochs = 0: Input should be greater than or equal to 1; set train\.epochs in recsys\.toml"),
        ({"epoch": 3}, r"^train\.epoch = 3: Extra inputs are not permitted"),
    ],
)
def test_a_preset_is_checked_like_a_file(monkeypatch, wanted, line):
    monkeypatch.setitem(FULL, "train", FULL["train"] | wanted)
    with pytest.raises(ConfigError, match=line) as caught:
        with_preset(Settings(), "full", CPU)
    assert "\n" not in str(caught.value)


def test_what_a_preset_filled_in_counts_as_set_and_what_it_left_does_not():
    train = with_preset(Settings.model_validate({"train": {"lr": 0.01}}), "full", CPU).train
    assert train.model_fields_set == {"lr", "tuning", *FULL["train"]}
