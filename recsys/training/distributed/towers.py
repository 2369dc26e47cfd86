"""The epochs of the towers on a cluster: inputs lie in the cache and checkpoints in the run's folder, which all processes reach.

Each process takes its rows of every batch, and the gradients are summed: see `retrieval.two_tower.distributed`. The text encoder is tuned
in the process of the command.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import safetensors.numpy
import torch

from features.data.interactions import Interactions
from features.data.split import Split
from features.storage.arrays import Subfolder, in_folder
from recsys.artifacts.job_cache import read_files, store_job_files
from recsys.compute.job import Training
from recsys.training.distributed.validation import ValidationNdcg
from retrieval.checkpoints import read_progress
from retrieval.two_tower.config import TrainConfig
from retrieval.two_tower.model import ItemIdEmbedding, TwoTower
from retrieval.two_tower.sequence_batches import SequenceSampler, Teacher
from retrieval.two_tower.trainer import TrainingRun, fit_towers, no_validation
from retrieval.two_tower.window_batches import WindowSampler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.compute.job import Cluster
    from retrieval.two_tower.distributed.process_group import ProcessGroup

_log = logging.getLogger(__name__)
LAST = "towers-last.safetensors"  # of the trainer


@dataclass
class PooledTexts:
    """What the training of towers needs of texts: their pooled vectors, and an encoder without weights.

    Attributes
    ----------
    pooled : float32 (n_texts, width)
    """

    pooled: np.ndarray
    tuning: str = "frozen"

    def __post_init__(self) -> None:
        self.encoder = torch.nn.Identity()

    def modules(self) -> dict[str, torch.nn.Module]:
        """Return no module."""
        return {}

    def finish(self) -> None:
        """Do nothing."""


def train_on(cluster: Cluster | None, cache: Path | None, run: TrainingRun, config: TrainConfig) -> None:
    """Train the epochs of the towers on a cluster; `fit_towers` finds them done in the run's folder.

    Nothing is done without a cluster, with one that takes no trainings, or with one whose workers train on another device than was chosen
    for the run. A machine without a GPU has no choice, so a run of it may train on the GPUs of a cluster.

    Parameters
    ----------
    cache : the workspace's cache; None without a cluster.
    run : its `validate` is a `ValidationNdcg`, or `no_validation`.
    """
    trainers = 0 if cluster is None else cluster.trainers
    if cluster is None or not trainers or not _agrees(cluster, next(run.tower.parameters()).device.type):
        return
    assert cache is not None, "a cluster reads and writes in the cache"
    checkpoints, before = run.folder.absolute(), int(read_progress(run.folder / LAST).get("epoch", -1)) + 1
    if before >= config.epochs:
        return
    text = "" if run.texts.tuning == "frozen" or not config.tuned_epochs else "; the text encoder is tuned in this process afterwards"
    _log.info("the towers train in %d processes of the cluster, epoch %d of %d on%s", trainers, before + 1, config.epochs, text)
    inputs = store_job_files(_to_files(run, config), cache)
    try:
        arguments = {"inputs": str(inputs), "checkpoints": str(checkpoints)}
        cluster.train(Training("training towers", train_in_group, arguments, checkpoints))
    finally:
        shutil.rmtree(inputs, ignore_errors=True)
    progress = read_progress(run.folder / LAST)
    for epoch in range(before, int(progress["epoch"]) + 1):
        told = {"loss": progress[f"loss{epoch}"]}
        if run.validate is not no_validation:
            told["validation_ndcg"] = progress[f"curve{epoch}"]
        _log.info("towers epoch %d of %d: %s", epoch + 1, config.epochs, ", ".join(f"{name} {value:.4f}" for name, value in told.items()))
        run.on_epoch("towers", epoch, told)


def _agrees(cluster: Cluster, device: str) -> bool:
    """Return whether a cluster trains where a run does; say so if it does not."""
    if cluster.device == device or (device == "cpu" and not torch.cuda.is_available()):
        return True
    text = "note: the towers train in this process, on %s, because a worker of the cluster trains on %s: change --device or cluster.gpus"
    _log.warning(text, device, cluster.device)
    return False


def train_in_group(group: ProcessGroup, inputs: str, checkpoints: str) -> None:
    """Train towers as one process of a group; the folders are of the inputs and of the checkpoints."""
    run, config = _from_files(read_files(Path(inputs)), group.device)
    fit_towers(replace(run, folder=Path(checkpoints), group=group), config)


def _to_files(run: TrainingRun, config: TrainConfig) -> dict[str, bytes]:
    sampler, validate = run.sampler, run.validate
    about = {
        "seed": run.seed,
        "config": config.model_copy(update={"tuned_epochs": 0}).model_dump(),
        "horizon": sampler.horizon if isinstance(sampler, WindowSampler) else None,
        "most": sampler.most if isinstance(sampler, SequenceSampler) else None,
        "id_dropout": None if run.item_id_vectors is None else run.item_id_vectors.id_dropout,
        "labels": [validate.split.cut, validate.split.end] if isinstance(validate, ValidationNdcg) else None,
    }
    arrays = {"pooled": run.texts.pooled} | {f"teacher{number}": teacher.vectors for number, teacher in enumerate(run.teachers)}
    if run.item_id_vectors is not None:
        arrays["item_ids"] = run.item_id_vectors.vectors()
    files = {"about.json": json.dumps(about).encode(), "arrays.safetensors": safetensors.numpy.save(arrays)}
    files |= in_folder("tower", run.tower.to_files()) | in_folder("log", _without_ids(sampler.log).to_files())
    for number, teacher in enumerate(run.teachers):
        files |= in_folder(f"teacher{number}", teacher.tower.to_files())
    if isinstance(validate, ValidationNdcg):
        files |= in_folder("labels", _without_ids(validate.split.labels).to_files())
    return files


def _without_ids(log: Interactions) -> Interactions:
    """Return a log that does not name its users."""
    return replace(log, user_ids=np.arange(log.n_users).astype(str).astype(object))


def _from_files(files: Mapping[str, bytes], device: torch.device) -> tuple[TrainingRun, TrainConfig]:
    about, arrays = json.loads(files["about.json"]), safetensors.numpy.load(files["arrays.safetensors"])
    config, log = TrainConfig(**about["config"]), Interactions.from_files(Subfolder(files, "log"))
    tower = TwoTower.from_files(Subfolder(files, "tower")).to(device)
    item_ids = None
    if about["id_dropout"] is not None:
        count, dim = arrays["item_ids"].shape
        item_ids = ItemIdEmbedding(count, dim, about["id_dropout"])
        item_ids.table.weight.data.copy_(torch.from_numpy(arrays["item_ids"]))
        item_ids.to(device)
    most, labels = about["most"], about["labels"]
    sampler = WindowSampler(log, config, about["horizon"]) if most is None else SequenceSampler(log, config, most)
    validate: Any = no_validation
    if labels is not None:
        validate = ValidationNdcg(Split(log, Interactions.from_files(Subfolder(files, "labels")), *labels))
    teachers = [
        Teacher(TwoTower.from_files(Subfolder(files, name)).to(device), arrays[name]) for name in arrays if name.startswith("teacher")
    ]
    texts = cast("Any", PooledTexts(arrays["pooled"]))
    return TrainingRun(sampler, tower, texts, validate, Path(), about["seed"], item_ids, teachers=teachers), config
