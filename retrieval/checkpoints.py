"""What the trainings share: the course of the learning rate, and checkpoints (one safetensors file, written whole or not at all)."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING

import safetensors
import safetensors.torch
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn


def set_rate(optimizer: torch.optim.Optimizer, step: int, total: int, warmup: float) -> None:
    """Each group's share of its `initial_lr` at a step of `total`: linear warm-up over the share `warmup`, then cosine to nothing.

    A function of the step alone, so that a resumed training goes on where it was.
    """
    first = max(1, round(total * warmup))
    share = (step + 1) / first if step < first else 0.5 * (1 + math.cos(math.pi * (step - first) / max(1, total - first)))
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * share


def save_checkpoint(path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, progress: dict[str, float]) -> None:
    """Write modules, optimizer and counters; replaces an older file at once."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    temporary.write_bytes(safetensors.torch.save(plain, metadata={"progress": json.dumps(progress)}))
    os.replace(temporary, path)


def load_checkpoint(path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, float] | None:
    """Restore what `save_checkpoint` wrote and return its counters; None where there is no file."""
    if not path.exists():
        return None
    tensors = safetensors.torch.load_file(path)
    with safetensors.safe_open(path, framework="pt") as file:
        progress: dict[str, float] = json.loads(file.metadata()["progress"])
    for name, module in modules.items():
        prefix = f"{name}/"
        module.load_state_dict({key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)})
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, field = key.split("/")
            state.setdefault(int(index), {})[field] = value
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    return progress
