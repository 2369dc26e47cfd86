"""Contrastive training of layers over token states: the loss, and a loop that stops early and continues where it was interrupted."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from features.progress import silent
from retrieval.checkpoints import load_checkpoint, save_checkpoint, set_rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

    from features.progress import Progress

_log = logging.getLogger(__name__)
CHECKS = 6  # evaluations on held-out pairs


class ContrastiveConfig(Protocol):
    """What the loop reads of a configuration."""

    @property
    def steps(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def warmup(self) -> float: ...
    @property
    def patience(self) -> int: ...


@dataclass(frozen=True)
class ContrastiveTraining:
    """Layers and what they are trained on.

    Attributes
    ----------
    layers : trained in place.
    loss : of the batch of a step, which depends on the step alone.
    judge : mean reciprocal rank of held-out pairs, as the layers stand.
    path : of the checkpoint.
    name : of the layers, for the log.
    """

    layers: nn.Module
    loss: Callable[[int], Tensor]
    judge: Callable[[], float]
    path: Path
    name: str
    progress: Progress = silent


def info_nce(logits: Tensor, own: Tensor, ignored: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean cross-entropy of each row's own column.

    Parameters
    ----------
    logits : (b, c), similarity over temperature.
    own : int64 (b,), the column that belongs to each row.
    ignored : bool (b, c), columns that are no negatives of a row.
    weight : (b,)
    """
    losses = F.cross_entropy(logits.masked_fill(ignored, torch.finfo(logits.dtype).min), own, reduction="none")
    return (losses * weight).sum() / weight.sum()


def fit_contrastive(training: ContrastiveTraining, config: ContrastiveConfig, before: float) -> nn.Module:
    """Train the layers and return a copy of them as they were at the best check, or at the start.

    Parameters
    ----------
    before : what `judge` says before training.
    """
    training.path.parent.mkdir(parents=True, exist_ok=True)
    best = copy.deepcopy(training.layers)
    modules = {"layers": training.layers, "best": best}
    optimizer = torch.optim.AdamW(training.layers.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    saved = load_checkpoint(training.path, modules, optimizer) or {"step": 0, "stale": 0, "found": before}
    step, stale, found = int(saved["step"]), int(saved["stale"]), saved["found"]
    span = -(-config.steps // CHECKS)
    with training.progress(training.name, config.steps) as report:
        report(step)
        while step < config.steps and stale < config.patience:
            losses = []
            for number in range(step, min(step + span, config.steps)):
                set_rate(optimizer, number, config.steps, config.warmup)
                losses.append(_step(training, optimizer, number))
                report(note=f"loss {np.mean(losses):.3f}")
            step = min(step + span, config.steps)
            training.layers.eval()
            now = training.judge()
            stale = 0 if now > found else stale + 1
            if now > found:
                found = now
                best.load_state_dict(training.layers.state_dict())
            save_checkpoint(training.path, modules, optimizer, {"step": step, "stale": stale, "found": found})
            _log.info("%s, step %d of %d: loss %.3f, held-out MRR %.4f", training.name, step, config.steps, np.mean(losses), now)
    return best


def _step(training: ContrastiveTraining, optimizer: torch.optim.Optimizer, number: int) -> float:
    loss = training.loss(number)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(training.layers.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.item())
