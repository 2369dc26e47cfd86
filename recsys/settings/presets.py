"""Values that `--preset` and the device give to keys that recsys.toml leaves open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import torch

from features.errors import ConfigError
from recsys.settings.auto import completed
from recsys.settings.names import Device, Preset

if TYPE_CHECKING:
    from recsys.settings.settings import Settings
    from retrieval.two_tower.text_tuning import Tuning

# The quick preset is the defaults of the configuration classes: two cores train it in minutes.
FULL: dict[str, dict[str, Any]] = {
    "encoder": {"upper_layers": 2},
    "train": {
        "epochs": 30,
        "tuned_epochs": 8,
        "patience": 6,
        "users": 256,
        "hard_negatives": 4,
        "accumulate": 2,
        "encoder_lr": 5e-5,
    },
    "gbdt": {"rounds": 500, "learning_rate": 0.04},
    "cross_encoder": {"users": 4000, "epochs": 2, "rerank_depth": 30, "history_items": 20},
}
GPU: dict[str, dict[str, Any]] = {"train": {"users": 512, "texts_a_step": 512}, "cross_encoder": {"batch_users": 64}}


def with_preset(settings: Settings, preset: Preset, device: torch.device) -> Settings:
    """Return the settings with open keys filled in; keys that a file or the environment sets stay as they are.

    Raises
    ------
    ConfigError
        If the preset is unknown or one of its values is out of range.
    """
    if preset not in get_args(Preset):
        raise ConfigError(f"preset is {preset!r}, expected one of {', '.join(get_args(Preset))}: see docs/configuration.md")
    wanted: dict[str, dict[str, Any]] = {"train": {"tuning": affordable_tuning(preset, device)}}
    for values in ([FULL] if preset == "full" else []) + ([GPU] if device.type == "cuda" else []):
        for section, keys in values.items():
            wanted[section] = wanted.get(section, {}) | keys
    return completed(settings, wanted)


def affordable_tuning(preset: Preset, device: torch.device) -> Tuning:
    """Return how the text encoder is tuned where `train.tuning` is "auto"."""
    if device.type == "cuda":
        return "full" if preset == "full" else "lora"
    return "upper"


def find_device(requested: Device) -> torch.device:
    """Return the device to train on.

    Raises
    ------
    ConfigError
        If the choice is unknown, or a GPU was requested and torch sees none.
    """
    if requested not in get_args(Device):
        raise ConfigError(f"device is {requested!r}, expected one of {', '.join(get_args(Device))}")
    available = torch.cuda.is_available()
    if requested == "cuda" and not available:
        raise ConfigError("--device cuda was given, but torch sees no GPU: run `recsys doctor`, or use --device cpu")
    return torch.device("cuda" if available and requested != "cpu" else "cpu")
