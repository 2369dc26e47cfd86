"""Learning-rate schedule and checkpoints of training; a checkpoint is one safetensors file, written atomically."""

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
    """Set the learning rate of each parameter group: linear warm-up, then cosine decay to zero.

    The rate depends on the step alone, so a resumed training continues with the same rates.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        The peak rate of a group is its `initial_lr`, or its `lr` at the first call.
    step, total : int
        Current step, from 0, and number of steps.
    warmup : float
        Share of the steps over which the rate rises.
    """
    warmup_steps = max(1, round(total * warmup))
    if step < warmup_steps:
        factor = (step + 1) / warmup_steps
    else:
        factor = 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, total - warmup_steps)))
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def save_checkpoint(path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, progress: dict[str, float]) -> None:
    """Write the state of modules and optimizer and the counters `progress`; an older file is replaced atomically."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    temporary.write_bytes(safetensors.torch.save(on_cpu, metadata={"progress": json.dumps(progress)}))
    os.replace(temporary, path)


def load_checkpoint(path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, float] | None:
    """Load a file of `save_checkpoint` into modules and optimizer; return its counters, None if there is no file."""
    if not path.exists():
        return None
    tensors = safetensors.torch.load_file(path)
    for name, module in modules.items():
        prefix = f"{name}/"
        module.load_state_dict({key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)})
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, field = key.split("/")
            state.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return read_progress(path)


def read_progress(path: Path) -> dict[str, float]:
    """Return the counters of a file of `save_checkpoint`; none if there is no file."""
    if not path.exists():
        return {}
    with safetensors.safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["progress"])
