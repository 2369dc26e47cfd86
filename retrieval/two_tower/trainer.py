"""Fit the two towers on purchases: AdamW, warm-up and cosine, early stopping on a later window, resumable after every epoch.

The user tower and the projection learn first, on the encoder's vectors as they are; then, for the last epochs, the encoder's text
vectors learn as well. Tuning pretrained layers under a head that is still random would spoil them (Kumar et al. 2022, arXiv 2202.10054).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from features.data.histories import Histories
from features.progress import silent
from retrieval.checkpoints import load_checkpoint, save_checkpoint, set_rate
from retrieval.two_tower.sequence_batches import SequenceBatch, SequenceSampler, after_every_place, sequence_loss
from retrieval.two_tower.text_tuning import autocast
from retrieval.two_tower.window_batches import Batch, Sampler, softmax_loss

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from features.progress import Progress
    from retrieval.two_tower.config import TrainConfig
    from retrieval.two_tower.model import ItemIdEmbedding, TwoTower
    from retrieval.two_tower.text_tuning import TrainableTexts

_log = logging.getLogger(__name__)


@dataclass
class Run:
    """What one training works with. Tower, encoder and learned vectors stand on one device, and are trained there.

    judge: how good the tower with these vectors of all texts is on a later window, higher is better. folder: for checkpoints.
    learned: vectors of single items beside those of their texts, where the towers learn any.
    """

    sampler: Sampler | SequenceSampler
    tower: TwoTower
    texts: TrainableTexts
    judge: Callable[[TwoTower, np.ndarray], float]
    folder: Path
    seed: int
    item_id_vectors: ItemIdEmbedding | None = None
    progress: Progress = silent

    @property
    def device(self) -> torch.device:
        return self.tower.mean.device

    def vectors(self) -> np.ndarray:
        """Vectors of all texts as they are now, float32 (n_texts, dim)."""
        return self.tower.item_vectors(self.texts.pooled, None if self.item_id_vectors is None else self.item_id_vectors.vectors())

    def modules(self, encoder: bool) -> dict[str, torch.nn.Module]:
        """What a checkpoint holds."""
        more = {"learned": self.item_id_vectors} if self.item_id_vectors is not None else {}
        return {"tower": self.tower, **more} | ({"encoder": self.texts.encoder.model} if encoder else {})


@dataclass
class Phase:
    """A stretch of epochs with one optimizer."""

    name: str
    epochs: int
    tune: bool


@dataclass(frozen=True)
class Fitted:
    """What `fit_towers` says of its work: validation by epoch, the best of it, mined negatives that had to be masked."""

    curve: list[float]
    best: float
    hard_skipped: int


def fit_towers(run: Run, config: TrainConfig) -> Fitted:
    """Train `run.tower` and, in the second phase, `run.texts`' encoder in place; both end as they were at the best epoch.

    A training that was cut off goes on after its last whole epoch when it is called again with the same folder.
    """
    curve = [run.judge(run.tower, run.vectors())]
    phases = [Phase("towers", config.epochs, False)]
    if run.texts.tuning != "frozen" and config.tuned_epochs:
        phases.append(Phase("text", config.tuned_epochs, True))
    for phase in phases:
        curve += _fit_phase(run, config, phase, max(curve))
    run.texts.finish()
    for module in run.modules(True).values():
        module.eval()
    return Fitted(curve, max(curve), run.sampler.hard_skipped)


def every_epoch(_tower: TwoTower, _vectors: np.ndarray) -> float:
    """For `Run.judge` where there is nothing left to judge by: the last epoch is as good as any, and is taken."""
    return 1.0


def _fit_phase(run: Run, config: TrainConfig, phase: Phase, best: float) -> list[float]:
    torch.manual_seed(run.seed)  # adapters begin at random
    # The text phase leaves the towers as they are: small batches of fresh texts would undo what large ones have taught them.
    for module in run.modules(False).values():
        module.requires_grad_(not phase.tune)
    towers = [weight for module in run.modules(False).values() for weight in module.parameters()]
    weights, rate = (run.texts.trainable(), config.encoder_lr) if phase.tune else (towers, config.lr)
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=config.weight_decay)
    modules = run.modules(phase.tune)
    last, top = run.folder / f"{phase.name}-last.safetensors", run.folder / f"{phase.name}-best.safetensors"
    run.folder.mkdir(parents=True, exist_ok=True)
    progress = load_checkpoint(last, modules, optimizer) or {"epoch": -1}
    curve = [progress[f"curve{i}"] for i in range(int(progress["epoch"]) + 1)]
    if phase.tune and curve:  # resumed: the encoder is another now
        run.texts.refresh()
    if not top.exists():
        save_checkpoint(top, modules, optimizer, {})
    for epoch in range(len(curve), phase.epochs):
        if len(curve) > config.patience and max(curve[-config.patience :]) <= max([best, *curve[: -config.patience]]):
            break
        loss = _epoch(run, config, phase, epoch, optimizer)
        if phase.tune:
            run.texts.refresh()
        curve.append(run.judge(run.tower, run.vectors()))
        judged = "" if run.judge is every_epoch else f", validation NDCG@10 {curve[-1]:.4f}"
        _log.info("%s epoch %d of %d: loss %.4f%s", phase.name, epoch + 1, phase.epochs, loss, judged)
        if curve[-1] >= max([best, *curve]):
            save_checkpoint(top, modules, optimizer, {})
        counters = {"epoch": float(epoch)} | {f"curve{i}": value for i, value in enumerate(curve)}
        save_checkpoint(last, modules, optimizer, counters)
    load_checkpoint(top, modules, optimizer)
    if phase.tune:
        run.texts.refresh()
    return curve


def _epoch(run: Run, config: TrainConfig, phase: Phase, epoch: int, optimizer: torch.optim.Optimizer) -> float:
    """One epoch; its chance depends on seed and epoch alone, so that a resumed run is the run itself. Returns the mean loss."""
    rng = np.random.default_rng([run.seed, epoch, phase.tune])
    torch.manual_seed(run.seed * 1000 + epoch)
    if config.hard_negatives and isinstance(run.sampler, Sampler):
        run.sampler.hard = mine_negatives(run, run.sampler)
    for module in run.modules(False).values():
        module.train()
    run.texts.encoder.eval()  # dropout would set the fresh vectors apart from those of the histories
    total, steps = 0.0, run.sampler.steps(phase.tune)
    with run.progress(f"{phase.name} epoch {epoch + 1}/{phase.epochs}", steps) as report:
        for step in range(steps):
            set_rate(optimizer, epoch * steps + step, phase.epochs * steps, config.warmup)
            for _ in range(config.accumulate):
                batch = run.sampler.draw(rng, config.texts_a_step if phase.tune else None)
                loss = _loss(run, batch, phase.tune) / config.accumulate
                loss.backward()
                total += loss.item()
            torch.nn.utils.clip_grad_norm_([w for group in optimizer.param_groups for w in group["params"]], 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            report(note=f"loss {total / (step + 1):.3f}")
    return total / steps


def _loss(run: Run, batch: Batch | SequenceBatch, tune: bool) -> torch.Tensor:
    scale = run.tower.scale.exp().clamp(max=100)
    with autocast(run.device):
        if isinstance(batch, SequenceBatch):
            seen, items = _vectors(run, batch.rows, batch.candidates, tune)
            return sequence_loss(after_every_place(run.tower, seen, batch.rows), items, scale, batch)
        recent = run.tower.reader.recent(batch.users, run.sampler.log.n_items)
        seen, items = _vectors(run, recent.rows, batch.candidates, tune)
        return softmax_loss((run.tower.user(seen, recent) @ items.T).float() * scale, batch)


def _vectors(run: Run, read: np.ndarray, candidates: np.ndarray, tune: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Item vectors of what is read (b, n) and of the candidates (m,): (b, n, dim) and (m, dim)."""
    rows = np.maximum(read, 0)
    distinct, place = np.unique(np.concatenate([rows.ravel(), candidates]), return_inverse=True)
    at = torch.from_numpy(place).to(run.device)
    pooled = torch.from_numpy(run.texts.pooled[distinct]).to(run.device)
    if tune:
        # All candidates alike, positives and negatives: if only some were fresh, the encoder would learn to tell those from the others.
        # The histories' vectors are as of the last refresh.
        fresh = torch.from_numpy(np.searchsorted(distinct, candidates)).to(run.device)
        pooled = pooled.index_copy(0, fresh, run.texts.fresh(candidates))
    item_id_vectors = None if run.item_id_vectors is None else run.item_id_vectors(torch.from_numpy(distinct).to(run.device))
    vectors = run.tower.item(pooled, item_id_vectors)  # (distinct, dim)
    return vectors[at[: rows.size]].view(*rows.shape, -1), vectors[at[rows.size :]]


def mine_negatives(run: Run, sampler: Sampler, pool: int = 100, skip: int = 10) -> np.ndarray:
    """Items that the towers put high for a user who never bought them, int64 (n_users, pool).

    The very best `skip` are left out: the most likely of them are purchases yet to come.
    """
    log, known = sampler.log, sampler.known
    vectors = run.vectors()
    hard = np.empty((log.n_users, pool), dtype=np.int64)
    for start in range(0, log.n_users, 256):
        rows = np.arange(start, min(start + 256, log.n_users))
        users = Histories.of_users(log, rows, log.end)
        scores = run.tower.user_vectors(users, vectors) @ vectors.T
        scores[users.user, users.item] = -np.inf
        scores = scores[:, known]
        take = min(pool + skip, len(known))
        best = np.argpartition(-scores, take - 1, axis=1)[:, :take]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)[:, skip:]
        best = np.take_along_axis(best, order, axis=1)
        good = np.isfinite(np.take_along_axis(scores, best, axis=1))
        found = np.where(good, known[best], -1)
        hard[rows] = np.resize(found.T, (pool, len(rows))).T if found.shape[1] else -1
    return hard
