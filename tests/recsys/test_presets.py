"""Presets and devices fill in what the user left open, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from features.errors import ConfigError
from recsys.config import Settings
from recsys.presets import FULL, GPU, find_device, with_preset

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
    mine = {"train": {"epochs": 3, "tuning": "frozen", "users": 9}, "blend": {"rounds": 7}, "cross_encoder": {"batch_users": 2}}
    settings = with_preset(Settings.model_validate(mine), "full", device)
    assert values(settings, mine) == mine
    assert settings.train.patience == FULL["train"]["patience"]  # beside it, what was left open


def test_a_default_that_was_set_on_purpose_stays_too():
    rounds = Settings().blend.rounds
    assert rounds != FULL["blend"]["rounds"]
    assert with_preset(Settings.model_validate({"blend": {"rounds": rounds}}), "full", CPU).blend.rounds == rounds


def test_a_gpu_that_is_not_there_is_said_and_not_passed_over(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == CPU
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        find_device("cuda")


def test_a_gpu_that_is_there_is_taken_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device("auto") == find_device("cuda") == CUDA
    assert find_device("cpu") == CPU
