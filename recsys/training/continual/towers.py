"""Text encoder and towers that go on from those of an earlier model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from features.text.state_cache import cached_states, lower_fingerprint
from recsys.training.distributed.validation import ValidationNdcg
from recsys.training.pretraining import over_texts
from recsys.training.towers import TextModels, trainable_texts, tuning_of, warn_of_unread_texts
from retrieval.query_tower.model import QueryTower
from retrieval.two_tower.continual.proximal import ProximalTerm
from retrieval.two_tower.continual.replay import ReplaySequenceSampler, ReplayWindowSampler
from retrieval.two_tower.model import ItemIdEmbedding
from retrieval.two_tower.trainer import TrainingRun, fit_towers

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from features.data.interactions import Interactions
    from recsys.artifacts.model import Model
    from recsys.training.job import TrainingJob
    from retrieval.two_tower.config import TrainConfig

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContinuedTexts:
    """Encoder and towers after a continued training.

    Attributes
    ----------
    same_states : whether the lower layers of the encoder are those of the earlier model, so that what reads their states still fits.
    """

    models: TextModels
    same_states: bool


def continue_text_models(job: TrainingJob, parent: Model, since: int, device: torch.device, folders: tuple[Path, Path]) -> ContinuedTexts:
    """Train the encoder and the towers of an earlier model on, with a share of old events in each batch.

    NDCG@10 on the validation window decides after each epoch, before the first one too: the earlier weights stay where
    nothing is better.

    Parameters
    ----------
    parent : changed in place.
    since : seconds since the epoch; later events are new to its towers.
    folders : of checkpoints, and of token states.
    """
    work, cache = folders
    if job.settings.train.ensemble > 1:
        text = "note: train.ensemble = %d is not read: the towers go on from those of the earlier model, and learn from no others"
        _log.warning(text, job.settings.train.ensemble)
    encoder = parent.encoder.to(device)
    warn_of_unread_texts(job, encoder)
    _, text_of, distinct = job.distinct_texts
    states, before = cached_states(encoder, distinct, cache, job.progress), lower_fingerprint(encoder)
    config = _config(job)
    source = trainable_texts(job, encoder, distinct, states, tuning_of(config, device))
    tower = (parent.tower if parent.start is None else parent.start.tower).to(device).train()
    ids = _item_ids(job, parent, text_of, len(distinct))
    split = job.windows.validation.split(over_texts(job.log, text_of, len(distinct)))
    sampler, pull = _sampler(split.history, job, config, since), ProximalTerm(job.settings.continual.proximal)
    validate, ids = ValidationNdcg(split), None if ids is None else ids.to(device)
    run = TrainingRun(sampler, tower, source, validate, work, job.seed, ids, job.progress, proximal=pull, on_epoch=job.on_epoch)
    fitted = fit_towers(run, config)
    query_tower, same = parent.query_tower.to(device), lower_fingerprint(encoder) == before
    if not same:
        states = cached_states(encoder, distinct, cache, job.progress)
        query_tower = QueryTower.upon(encoder).to(device)
    report = {
        "reads": job.settings.tower.user_encoder,
        "tuning": source.tuning,
        "pretraining": parent.about["towers"].get("pretraining", {"kept": False, "why": "not known"}),
        "validation_ndcg@10": [round(value, 4) for value in fitted.curve],
        "hard_negatives_masked": fitted.masked_hard_negatives,
    }
    text_vectors = None if ids is None else tower.item_vectors(source.pooled)
    return ContinuedTexts(TextModels(text_of, encoder, tower, query_tower, run.vectors(), states, report, ids, text_vectors), same)


def _config(job: TrainingJob) -> TrainConfig:
    """Return the configuration of the towers' training, with fewer epochs and lower rates; L2-SP replaces the weight decay."""
    train, continual = job.settings.train, job.settings.continual
    rates = {name: getattr(train, name) * continual.rate for name in ("lr", "encoder_lr", "adapter_lr")}
    return train.model_copy(
        update={"epochs": continual.epochs, "tuned_epochs": continual.tuned_epochs, "weight_decay": 0.0, "last_epochs": 0} | rates
    )


def _sampler(log: Interactions, job: TrainingJob, config: TrainConfig, since: int) -> ReplayWindowSampler | ReplaySequenceSampler:
    replay, validation = job.settings.continual.replay, job.windows.validation
    if job.settings.tower.user_encoder == "sequence":
        return ReplaySequenceSampler(log, config, job.settings.tower.history, since, replay)
    return ReplayWindowSampler(log, config, validation.end - validation.start, since, replay)


def _item_ids(job: TrainingJob, parent: Model, text_of: np.ndarray, n_texts: int) -> ItemIdEmbedding | None:
    """Return the item id vectors of the earlier model by external id, zero for texts of new items; None for towers over texts alone."""
    known = parent.item_id_vectors if parent.start is None else parent.start.item_id_vectors
    if known is None:
        return None
    table = ItemIdEmbedding(n_texts, job.settings.tower.dim, job.settings.train.id_dropout)
    with torch.no_grad():
        table.table.weight.copy_(torch.from_numpy(known.of_texts(job.catalog.ids, text_of, n_texts)))
    return table
