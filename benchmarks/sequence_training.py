"""Processor time and NDCG@10 of sequence towers: batches without padding against padded ones, and an ensemble's student.

    python -m benchmarks.sequence_training --workspace DIR [--shop beauty] [--parts steps whole ensemble] [--share 1]

DIR holds an ingested shop in which people buy one item at a time. `--share` takes a part of its users. The reference is
training as it was: histories padded to the longest of a quarter of the batch, torch's own dropout, passes of their own
for temperature, correction and mask, and an optimizer with many. Weights, batches and rates are the same.

The towers are trained as `recsys train` does, until each user's last step but one, on the untuned vectors of the texts.
NDCG@10 is that of the last step, of all users; its interval is a paired bootstrap over users. `steps` measures single
steps in turn; `whole` trains both ways to the end; `ensemble` trains two towers and one that learns from both.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.paired import say
from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.split import Split
from features.text.embeddings import group
from features.text.encoder import TextEncoder
from features.text.state_cache import cached_states
from features.text.template import item_texts, text_hashes
from recsys.offline.public_datasets import SHOPS
from recsys.settings.settings import load_settings
from recsys.training.distributed.validation import ValidationNdcg
from recsys.training.find_or_train import TrainingPlan
from recsys.training.options import TrainOptions
from recsys.training.towers import SEEDS_APART, _untrained, sampler_of
from recsys.workspace.workspace import Workspace
from retrieval.topk import top_k
from retrieval.two_tower import trainer
from retrieval.two_tower.sequence_batches import Teacher
from retrieval.two_tower.text_tuning import TrainableTexts
from retrieval.two_tower.trainer import TrainingRun, _loss, _vectors, fit_towers

if TYPE_CHECKING:
    from recsys.training.job import TrainingJob
    from retrieval.two_tower.sequence_batches import SequenceBatch

ROUNDS, RESAMPLES = 30, 1000
TARGET = 3  # times less processor time


def shop(place: Workspace, name: str, share: float) -> tuple[TrainingJob, TrainableTexts]:
    """Return the training until the benchmark's cut, over distinct texts, of a share of the users."""
    settings = load_settings()
    catalog, log = place.load(settings.events)
    before = Split.by_time(log, SHOPS[name].cut_of(log)).history
    job = TrainingPlan.of(settings, TrainOptions(), (catalog, before), SHOPS[name].cut_of(log)).job
    texts = item_texts(catalog)
    first, text_of = group(text_hashes(texts))
    encoder = TextEncoder.pretrained(settings.encoder)
    distinct = texts.gather(first).to_list()
    source = TrainableTexts(encoder, distinct, cached_states(encoder, distinct, place.cache), "frozen")
    kept = np.random.default_rng(0).random(job.log.n_users) < share
    log = replace(job.log, item=text_of[job.log.item].astype(np.int32), n_items=len(distinct))
    return replace(job, log=log.where(kept[log.user])), source


def begin(job: TrainingJob, source: TrainableTexts, folder: Path, seed: int) -> TrainingRun:
    """Return an untrained tower and what it is trained on."""
    split = job.windows.validation.split(job.log)
    tower, item_id_vectors = _untrained(job, source, seed)
    return TrainingRun(sampler_of(split.history, job), tower, source, ValidationNdcg(split), folder, seed, item_id_vectors)


def padded_loss(run: TrainingRun, batch: SequenceBatch, tune: bool = False) -> torch.Tensor:
    """Return the loss as it was computed before."""
    histories, items = _vectors(run, batch.rows, batch.candidates, tune)
    lengths = (batch.rows >= 0).sum(axis=1)
    parts = []
    for some in np.array_split(np.arange(len(lengths)), min(4, len(lengths))):
        n = int(lengths[some].max())
        vectors = run.tower.encode_positions(histories[some[0] : some[-1] + 1, :n])
        parts.append(F.pad(vectors, (0, 0, 0, histories.shape[1] - n)))
    owner, place = np.nonzero(batch.targets >= 0)
    at = np.searchsorted(batch.candidates, batch.targets[owner, place])
    others = batch.bought[owner]
    others[np.arange(len(at)), at] = False
    scores = (torch.cat(parts)[torch.from_numpy(owner), torch.from_numpy(place)] @ items.T) * run.tower.scale.exp().clamp(max=100)
    corrected = (scores - torch.from_numpy(batch.log_q).float()).masked_fill(torch.from_numpy(others), -torch.inf)
    return F.cross_entropy(corrected, torch.from_numpy(at), reduction="sum") / max(len(at), 1)


class PlainAdamW(torch.optim.AdamW):
    """The optimizer as it was before."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"fused": False})


def step_seconds(run: TrainingRun, rng: np.random.Generator, optimizer: torch.optim.Optimizer, padded: bool) -> float:
    """Return the processor seconds of a step."""
    begun = time.process_time()
    batch = run.sampler.draw(rng)
    (padded_loss if padded else _loss)(run, batch, False).backward()  # pyright: ignore[reportArgumentType]
    torch.nn.utils.clip_grad_norm_([weight for group in optimizer.param_groups for weight in group["params"]], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return time.process_time() - begun


def steps(job: TrainingJob, source: TrainableTexts, folder: Path) -> None:
    """Print a row: the time of a step, the two ways in turn."""
    arms = []
    for padded in (True, False):
        run = begin(job, source, folder, job.seed)
        weights = [weight for module in run.modules(False).values() for weight in module.train().parameters()]
        optimizer = torch.optim.AdamW(weights, lr=job.settings.train.lr, fused=not padded)
        arms.append((run, np.random.default_rng(0), optimizer, padded))
    taken = np.array([[step_seconds(*arm) for arm in arms] for _ in range(ROUNDS + 3)])[3:]
    milliseconds = np.round(1000 * np.median(taken, axis=0), 1).tolist()
    say("sequence_step", taken[:, 0] / taken[:, 1], None, None, cpu_ms_padded=milliseconds[0], cpu_ms=milliseconds[1])


def last_steps(job: TrainingJob, run: TrainingRun) -> np.ndarray:
    """Return NDCG@10 of each user's last step, which no tower has seen."""
    truth = GroundTruth.of(replace(job.windows.validation, users=(0.0, 1.0)).split(job.log))
    vectors = run.vectors()
    users = run.tower.user_vectors(truth.split.histories(truth.users), vectors)
    rows = []
    for some in np.array_split(np.arange(len(users)), -(-len(users) // 64)):
        rows.append(top_k(np.where(truth.allowed("unseen", some), users[some] @ vectors.T, -np.inf), 10)[0])
    return np.nan_to_num(ndcg(np.concatenate(rows), truth.relevant("unseen"), 10))


def compare(name: str, one: np.ndarray, reference: np.ndarray, seconds: tuple[float, float]) -> None:
    """Print a row: NDCG@10 over that of the reference, and the processor time of the reference over this one's."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(one), size=(RESAMPLES, len(one)))
    low, high = np.quantile([one[some].mean() / reference[some].mean() for some in draws], (0.025, 0.975))
    figures = {"ndcg@10": one.mean(), "ndcg@10_reference": reference.mean(), "kept_low": low, "kept_high": high}
    cpu = {"cpu_s": round(seconds[0], 1), "cpu_s_reference": round(seconds[1], 1)}
    kept = float(one.mean() / reference.mean())
    say(name, [seconds[1] / seconds[0]], TARGET, kept, **cpu, **{key: round(float(value), 4) for key, value in figures.items()})


def fitted(job: TrainingJob, run: TrainingRun, *, padded: bool = False) -> float:
    """Train a run to the end, as it was done before if `padded`, and return the processor seconds."""
    begun = time.process_time()
    with ExitStack() as stack:
        if padded:
            stack.enter_context(patch.object(trainer, "_loss", padded_loss))
            stack.enter_context(patch.object(torch.optim, "AdamW", PlainAdamW))
        fit_towers(run, job.settings.train.model_copy(update={"tuned_epochs": 0}))
    return time.process_time() - begun


def main() -> None:
    """Print a row for each part that is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--shop", choices=list(SHOPS), default="beauty")
    parser.add_argument("--parts", nargs="+", choices=["steps", "whole", "ensemble"], default=["steps", "whole", "ensemble"])
    parser.add_argument("--share", type=float, default=1.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    job, source = shop(Workspace(options.workspace), options.shop, options.share)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "steps" in options.parts:
            steps(job, source, folder / "steps")
        if {"whole", "ensemble"}.isdisjoint(options.parts):
            return
        run = begin(job, source, folder / "one", job.seed)
        seconds = fitted(job, run)
        alone = last_steps(job, run)
        if "whole" in options.parts:
            reference = begin(job, source, folder / "padded", job.seed)
            before = fitted(job, reference, padded=True)
            compare("sequence_training", alone, last_steps(job, reference), (seconds, before))
        if "ensemble" in options.parts:
            second = begin(job, source, folder / "second", job.seed + SEEDS_APART)
            used = seconds + fitted(job, second)
            student = begin(job, source, folder / "student", job.seed + 2 * SEEDS_APART)
            student.teachers = [Teacher(each.tower, each.vectors()) for each in (run, second)]
            used += fitted(job, student)
            compare("sequence_ensemble", last_steps(job, student), alone, (used, seconds))


if __name__ == "__main__":
    main()
