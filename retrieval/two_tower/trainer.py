"""Training of the two towers: AdamW, warm-up and cosine decay, early stopping on a later window, resumable each epoch.

The first phase trains the user tower and the projection on the encoder's vectors; the second one tunes the text
encoder. Tuning pretrained layers under a random head would distort them (Kumar et al. 2022, arXiv 2202.10054).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from features.errors import ClusterError
from features.progress import silent, unwatched
from retrieval.checkpoints import load_checkpoint, save_checkpoint, set_rate
from retrieval.two_tower.distributed.process_group import ProcessGroup
from retrieval.two_tower.sequence_batches import SequenceBatch, SequenceSampler, sequence_loss
from retrieval.two_tower.text_tuning import autocast
from retrieval.two_tower.window_batches import WindowBatch, WindowSampler, mine_negatives, sampled_softmax_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from features.progress import EpochWatch, Progress
    from retrieval.two_tower.config import TrainConfig
    from retrieval.two_tower.continual.proximal import ProximalTerm
    from retrieval.two_tower.model import ItemIdEmbedding, TwoTower
    from retrieval.two_tower.sequence_batches import Teacher
    from retrieval.two_tower.text_tuning import TrainableTexts

_log = logging.getLogger(__name__)
RANKS_APART = 1_000_000_000  # between the seeds of processes, whose dropouts are independent


@dataclass
class TrainingRun:
    """Inputs of one training. Tower, encoder and item id vectors are on one device, and are trained there.

    Attributes
    ----------
    sampler : WindowSampler or SequenceSampler
        Source of batches.
    tower : TwoTower
        Trained in place.
    texts : TrainableTexts
        The catalogue's distinct texts; their encoder is tuned in place.
    validate : callable
        Validation metric of a tower and the vectors of all texts, float32 (n_texts, dim); higher is better.
    folder : Path
        For checkpoints.
    seed : int
    item_id_vectors : ItemIdEmbedding, optional
        Trained with the towers.
    progress : Progress
        Reports the steps of each epoch.
    teachers : sequence of Teacher
        A sequence tower learns the mean of their scores beside what was bought.
    proximal : ProximalTerm, optional
        Of a training that goes on from given weights.
    on_epoch : EpochWatch
        Told loss and validation metric of each epoch.
    group : ProcessGroup
        The processes that train the towers with this one; the text phase is not shared.
    """

    sampler: WindowSampler | SequenceSampler
    tower: TwoTower
    texts: TrainableTexts
    validate: Callable[[TwoTower, np.ndarray], float]
    folder: Path
    seed: int
    item_id_vectors: ItemIdEmbedding | None = None
    progress: Progress = silent
    teachers: Sequence[Teacher] = ()
    proximal: ProximalTerm | None = None
    on_epoch: EpochWatch = unwatched
    group: ProcessGroup = field(default_factory=ProcessGroup)

    @property
    def device(self) -> torch.device:
        """Where the tower is trained."""
        return self.tower.mean.device

    def vectors(self) -> np.ndarray:
        """Return the current vectors of all texts, float32 (n_texts, dim)."""
        return self.tower.item_vectors(self.texts.pooled, None if self.item_id_vectors is None else self.item_id_vectors.vectors())

    def validation(self) -> float:
        """Return the validation metric; the first process computes it."""
        return self.group.of_first(lambda: self.validate(self.tower, self.vectors()))

    def modules(self, encoder: bool) -> dict[str, torch.nn.Module]:
        """Return the modules of a checkpoint, with or without the text encoder."""
        item_ids = {"learned": self.item_id_vectors} if self.item_id_vectors is not None else {}
        return {"tower": self.tower, **item_ids} | (self.texts.modules() if encoder else {})


@dataclass
class Phase:
    """Epochs with one optimizer: of the towers, or of the text encoder if `tune`."""

    name: str
    epochs: int
    tune: bool


@dataclass(frozen=True)
class TrainingResult:
    """Outcome of `fit_towers`.

    Attributes
    ----------
    curve : list of float
        Validation metric before training and after each epoch.
    best : float
        Its maximum, the metric of the final weights.
    masked_hard_negatives : int
        Hard negatives that were masked, because the user bought them.
    """

    curve: list[float]
    best: float
    masked_hard_negatives: int


def fit_towers(run: TrainingRun, config: TrainConfig) -> TrainingResult:
    """Train the tower and, in the second phase, the text encoder in place; both end with the weights of the best epoch.

    An interrupted training resumes after its last complete epoch when it is called again with the same folder.
    """
    curve = [run.validation()]
    phases = [Phase("towers", config.epochs, False)]
    if run.texts.tuning != "frozen" and config.tuned_epochs:
        phases.append(Phase("text", config.tuned_epochs, True))
    for phase in phases:
        curve += _fit_phase(run, config, phase, max(curve))
    run.texts.finish()
    for module in run.modules(True).values():
        module.eval()
    return TrainingResult(curve, max(curve), run.sampler.masked_hard_negatives)


def no_validation(_tower: TwoTower, _vectors: np.ndarray) -> float:
    """Return a constant metric, for training without a validation window: the last epoch is taken."""
    return 1.0


def _optimizer(run: TrainingRun, config: TrainConfig, phase: Phase) -> torch.optim.Optimizer:
    """Unfreeze what a phase trains, freeze the rest, and return the optimizer."""
    torch.manual_seed(run.seed)  # adapters are initialised at random
    # The text phase freezes the towers: its small batches would undo what large ones have taught them.
    for module in run.modules(False).values():
        module.requires_grad_(not phase.tune)
    towers = [weight for module in run.modules(False).values() for weight in module.parameters()]
    steps = phase.epochs * run.sampler.steps(phase.tune)
    rate = (config.encoder_lr if run.texts.tuning in ("upper", "full") else config.adapter_lr) if phase.tune else config.lr
    weights = run.texts.trainable(steps) if phase.tune else towers
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=config.weight_decay, fused=True)
    if run.proximal is not None:
        run.proximal.attach(optimizer)  # before a checkpoint is loaded: the weights are those that the training began with
    return optimizer


def _fit_phase(run: TrainingRun, config: TrainConfig, phase: Phase, best: float) -> list[float]:
    optimizer = _optimizer(run, config, phase)
    modules = run.modules(phase.tune)
    kept = run.texts.pooled.copy() if phase.tune else None  # by the best epoch's weights; None if those are in a file alone
    last, top = run.folder / f"{phase.name}-last.safetensors", run.folder / f"{phase.name}-best.safetensors"
    run.folder.mkdir(parents=True, exist_ok=True)
    progress = load_checkpoint(last, modules, optimizer) or {"epoch": -1}
    curve = [progress[f"curve{i}"] for i in range(int(progress["epoch"]) + 1)]
    if phase.tune and curve:  # resumed: the encoder's weights have changed
        run.texts.refresh()
        kept = None
    if run.group.of_first(lambda: len(curve)) != len(curve):
        raise ClusterError(f"{last} is another one for process {run.group.rank} than for the first: run the same command again")
    if run.group.first and not top.exists():
        save_checkpoint(top, modules, optimizer, {})
    for epoch in range(len(curve), phase.epochs):
        if len(curve) > config.patience and max(curve[-config.patience :]) <= max([best, *curve[: -config.patience]]):
            break
        loss = _epoch(run, config, phase, epoch, optimizer)
        if phase.tune:
            run.texts.refresh()
        curve.append(run.validation())
        metric = "" if run.validate is no_validation else f", validation NDCG@10 {curve[-1]:.4f}"
        _log.info("%s epoch %d of %d: loss %.4f%s", phase.name, epoch + 1, phase.epochs, loss, metric)
        if curve[-1] >= max([best, *curve]):
            if run.group.first:
                save_checkpoint(top, modules, optimizer, {})
            kept = run.texts.pooled.copy() if phase.tune else None
        progress |= {"epoch": float(epoch), f"curve{epoch}": curve[-1], f"loss{epoch}": loss}
        if run.group.first:
            save_checkpoint(last, modules, optimizer, progress)
        run.on_epoch(phase.name, epoch, {"loss": loss} | ({"validation_ndcg": curve[-1]} if metric else {}))
    run.group.wait()  # for the file
    load_checkpoint(top, modules, optimizer)
    if kept is not None:
        run.texts.pooled = kept
    elif phase.tune:
        run.texts.refresh()
    return curve


def _epoch(run: TrainingRun, config: TrainConfig, phase: Phase, epoch: int, optimizer: torch.optim.Optimizer) -> float:
    """Train one epoch and return the mean loss. The random state depends on seed and epoch alone."""
    rng = np.random.default_rng([run.seed, epoch, phase.tune])
    torch.manual_seed(run.seed * 1000 + epoch + run.group.rank * RANKS_APART)
    if config.hard_negatives and isinstance(run.sampler, WindowSampler):
        run.sampler.hard = mine_negatives(run.tower, run.vectors(), run.sampler)
    for module in run.modules(False).values():
        module.train()
    run.texts.encoder.eval()  # dropout would make fresh vectors differ from those of the histories
    total, steps = 0.0, run.sampler.steps(phase.tune)
    with run.progress(f"{phase.name} epoch {epoch + 1}/{phase.epochs}", steps) as report:
        for step in range(steps):
            set_rate(optimizer, epoch * steps + step, phase.epochs * steps, config.warmup)
            for _ in range(config.accumulate):
                batch = run.sampler.draw(rng, config.texts_a_step if phase.tune else None)
                loss = _part_of_loss(run, batch, phase.tune) / config.accumulate
                total += loss.item()
                if phase.tune:
                    loss = loss + run.texts.penalty() / config.accumulate
                loss.backward()
                if phase.tune and run.texts.adversarial:
                    with run.texts.moved():
                        (_loss(run, batch, phase.tune) / config.accumulate).backward()
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            run.group.sum_gradients(weights)
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            if phase.tune:
                run.texts.after_step(epoch * steps + step)
            optimizer.zero_grad(set_to_none=True)
            report(note=f"loss {total * run.group.world_size / (step + 1):.3f}")
    return run.group.sum(total) / steps


def _part_of_loss(run: TrainingRun, batch: WindowBatch | SequenceBatch, tune: bool) -> torch.Tensor:
    """Return what the rows of this process add to the loss of a batch."""
    part = run.group.part(batch)
    if part is batch:
        return _loss(run, batch, tune)
    if not part.predicted.any():
        return run.tower.scale * 0.0
    return _loss(run, part, tune) * float(part.predicted.sum() / batch.predicted.sum())


def _loss(run: TrainingRun, batch: WindowBatch | SequenceBatch, tune: bool) -> torch.Tensor:
    scale = run.tower.scale.exp().clamp(max=100)
    with autocast(run.device):
        if isinstance(batch, SequenceBatch):
            real = batch.rows >= 0
            rows, lengths = batch.rows[real], real.sum(axis=1)
            histories, items = _vectors(run, rows, batch.candidates, tune)
            # The text encoder learns from what was bought alone: it was no part of the teachers' training.
            teachers = () if tune else run.teachers
            scores = [teacher.scores(rows, lengths, batch.candidates) for teacher in teachers]
            taught = torch.stack(scores).mean(0) if scores else None
            return sequence_loss(run.tower.encode_packed(histories, lengths), items, scale, batch, taught)
        recent = run.tower.user_encoder.recent(batch.users, run.sampler.log.n_items)
        histories, items = _vectors(run, recent.rows, batch.candidates, tune)
        return sampled_softmax_loss((run.tower.user(histories, recent) @ items.T).float() * scale, batch)


def _vectors(run: TrainingRun, histories: np.ndarray, candidates: np.ndarray, tune: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return item vectors of histories, of any shape, and of candidates (m,): (*shape, dim) and (m, dim)."""
    rows = np.maximum(histories, 0)
    distinct, place = np.unique(np.concatenate([rows.ravel(), candidates]), return_inverse=True)
    at = torch.from_numpy(place).to(run.device)
    pooled = torch.from_numpy(run.texts.pooled[distinct]).to(run.device)
    if tune:
        # All candidates, positives and negatives: if only some were fresh, the encoder would learn to separate those
        # from the rest. The vectors of other items are as of the last refresh.
        fresh = torch.from_numpy(np.searchsorted(distinct, candidates)).to(run.device)
        pooled = pooled.index_copy(0, fresh, run.texts.encode(candidates))
    item_id_vectors = None if run.item_id_vectors is None else run.item_id_vectors(torch.from_numpy(distinct).to(run.device))
    vectors = run.tower.item(pooled, item_id_vectors)  # (distinct, dim)
    # Not by indexing, whose gradient is summed element by element.
    return vectors.index_select(0, at[: rows.size]).view(*rows.shape, -1), vectors.index_select(0, at[rows.size :])
