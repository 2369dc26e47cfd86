"""Training of the cross-encoder: binary cross-entropy over retrieved candidates, bought or not."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from features.progress import silent
from retrieval.checkpoints import load_checkpoint, save_checkpoint, set_rate

if TYPE_CHECKING:
    from pathlib import Path

    from features.progress import Progress
    from features.text.token_states import ItemTokens
    from ranking.cross_encoder.model import CrossEncoder
    from retrieval.candidates import Candidates

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPairs:
    """Retrieved candidates and whether each was bought.

    Attributes
    ----------
    labels : bool (b, k).
    """

    candidates: Candidates
    labels: np.ndarray

    @property
    def labelled(self) -> tuple[Candidates, np.ndarray]:
        """Both as a tuple, the form that `ranking.gbdt` takes."""
        return self.candidates, self.labels

    def take(self, users: np.ndarray) -> TrainingPairs:
        """Return the pairs of some users, given by their positions."""
        return TrainingPairs(self.candidates.for_users(users), self.labels[users])


def fit_cross_encoder(
    model: CrossEncoder, pairs: TrainingPairs, tokens: ItemTokens, folder: Path, seed: int, progress: Progress = silent
) -> list[float]:
    """Train the model in place; resume after the last complete epoch if `folder` has its checkpoint.

    Parameters
    ----------
    pairs : ordered by the base booster and cut to its best, so that negatives are drawn from candidates that will be
        reranked.
    folder : for checkpoints.

    Returns
    -------
    losses : mean loss of each epoch; nan if no user has both a history and a positive.
    """
    config = model.config
    layers = {"params": [*model.layers.parameters()], "lr": config.lr}
    rest = {"params": [*model.age.parameters(), *model.count.parameters(), *model.head.parameters()], "lr": config.head_lr}
    optimizer = torch.optim.AdamW([layers, rest], weight_decay=config.weight_decay)
    useful = np.flatnonzero((pairs.labels.any(axis=1)) & (pairs.candidates.users.lengths > 0))
    steps = -(-min(config.users, len(useful)) // config.batch_users)
    path = folder / "cross-encoder-last.safetensors"
    saved = load_checkpoint(path, {"model": model}, optimizer) or {"epoch": -1}
    curve = [saved[f"loss{i}"] for i in range(int(saved["epoch"]) + 1)]
    for epoch in range(len(curve), config.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch.manual_seed(seed * 1000 + epoch)
        chosen = rng.permutation(useful)[: config.users]
        curve.append(_epoch(model, optimizer, _Epoch(pairs, tokens, chosen, rng, epoch * steps, progress)))
        save_checkpoint(path, {"model": model}, optimizer, {"epoch": epoch} | {f"loss{i}": loss for i, loss in enumerate(curve)})
        _log.info("cross-encoder epoch %d of %d: loss %.4f", epoch + 1, config.epochs, curve[-1])
    model.eval()
    return curve


@dataclass
class _Epoch:
    pairs: TrainingPairs
    tokens: ItemTokens
    users: np.ndarray
    rng: np.random.Generator
    first_step: int
    progress: Progress


def _epoch(model: CrossEncoder, optimizer: torch.optim.Optimizer, work: _Epoch) -> float:
    model.train()
    losses = []
    batches = [work.users[i : i + model.config.batch_users] for i in range(0, len(work.users), model.config.batch_users)]
    with work.progress("cross-encoder", len(batches)) as report:
        for step, batch in enumerate(batches, work.first_step):
            set_rate(optimizer, step, len(batches) * model.config.epochs, model.config.warmup)
            some = work.pairs.take(batch)
            rows, labels = sample(some, model.config.positives, model.config.negatives, work.rng)
            logits = model(some.candidates.users, rows, work.tokens)
            real = torch.from_numpy(rows >= 0).to(logits.device)
            target = torch.from_numpy(labels).to(logits.device, logits.dtype)
            loss = F.binary_cross_entropy_with_logits(logits[real], target[real])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
            report(note=f"loss {np.mean(losses[-20:]):.3f}")
    return float(np.mean(losses)) if losses else float("nan")


def sample(pairs: TrainingPairs, positives: int, negatives: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sample positives and negatives from each user's candidates.

    Returns
    -------
    rows : int64 (b, positives + negatives), padded with -1.
    labels : bool, of the same shape.
    """
    rows = np.full((len(pairs.labels), positives + negatives), -1, dtype=np.int64)
    labels = np.zeros(rows.shape, dtype=bool)
    for i, (items, bought) in enumerate(zip(pairs.candidates.rows, pairs.labels, strict=True)):
        positive = rng.permutation(items[bought & (items >= 0)])[:positives]
        negative = rng.permutation(items[~bought & (items >= 0)])[:negatives]
        rows[i, : len(positive) + len(negative)] = np.concatenate([positive, negative])
        labels[i, : len(positive)] = True
    return rows, labels
