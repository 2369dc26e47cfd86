"""Training of encoder and towers: until the validation window, and last epochs on the whole log."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from features.text.coverage import coverage
from features.text.encoder import TextEncoder
from features.text.state_cache import cached_states
from recsys.settings.presets import affordable_tuning
from recsys.snapshot.encode_shards import spread_states
from recsys.training.distributed.towers import train_on
from recsys.training.distributed.validation import ValidationNdcg
from recsys.training.pretraining import NO_STATES, ShopTexts, over_texts, pretrain
from retrieval.query_tower.model import QueryTower
from retrieval.two_tower.model import ItemIdEmbedding, TwoTower
from retrieval.two_tower.sequence_batches import SequenceSampler, Teacher
from retrieval.two_tower.text_tuning import ALL_LAYERS, TrainableTexts
from retrieval.two_tower.trainer import TrainingRun, fit_towers, no_validation
from retrieval.two_tower.tuning.augmentation import Augmentation
from retrieval.two_tower.window_batches import WindowSampler

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from features.data.interactions import Interactions
    from features.text.token_states import TokenStates
    from recsys.training.job import TrainingJob
    from retrieval.two_tower.config import TrainConfig
    from retrieval.two_tower.text_tuning import Tuning

_log = logging.getLogger(__name__)
LAST_RATE = 0.3  # factor on the towers' learning rate in their last epochs
SEEDS_APART = 1_000_000  # between the seeds of teachers, so that no two trainings share one


@dataclass(frozen=True)
class TextModels:
    """Encoder and towers over the catalogue's distinct texts, on the device that they are trained on.

    Attributes
    ----------
    text_of : each item's distinct text, int64 (n_items,).
    vectors : of the texts, by the towers as trained until the validation window, float32 (t, dim); all later stages are
        fitted on these.
    states : token states of the texts.
    query_tower : vectors for search, by the encoder as it was before its upper layers were tuned.
    report : facts for the model card.
    item_id_vectors : vectors that the towers learned of single items; None for towers over texts alone.
    text_vectors : `vectors` without those of single items, as a new item of the text gets them; None where they are equal.
    """

    text_of: np.ndarray
    encoder: TextEncoder
    tower: TwoTower
    query_tower: QueryTower
    vectors: np.ndarray
    states: TokenStates
    report: dict[str, Any]
    item_id_vectors: ItemIdEmbedding | None = None
    text_vectors: np.ndarray | None = None


def fit_text_models(job: TrainingJob, device: torch.device, work: Path, cache: Path) -> TextModels:
    """Fit encoder and towers on purchases of the towers' window.

    NDCG@10 on the validation window, over distinct texts, stops the training.

    Parameters
    ----------
    work : folder of checkpoints.
    cache : folder of token states.
    """
    settings, windows = job.settings, job.windows
    encoder = TextEncoder.pretrained(settings.encoder).to(device)
    warn_of_unread_texts(job, encoder)
    first, text_of, distinct = job.distinct_texts
    if job.cluster is not None:
        spread_states(job.cluster, encoder, distinct, cache, job.progress)
    states = cached_states(encoder, distinct, cache, job.progress)
    tuning = tuning_of(settings.train, device)
    query_tower = QueryTower.upon(encoder).to(device)
    log = over_texts(job.log, text_of, len(distinct))
    split = windows.validation.split(log)
    validate = ValidationNdcg(split)
    of_pretraining: dict[str, Any] = {"kept": False, "why": NO_STATES}
    if tuning in ("frozen", "upper"):  # search keeps the encoder as it is: `query_tower` is a copy
        of_pretraining = pretrain(job, encoder, ShopTexts(first, text_of, states, split.history), validate, work)
    source = trainable_texts(job, encoder, distinct, states, tuning)
    tower, item_id_vectors = _untrained(job, source, job.seed)
    run = TrainingRun(sampler_of(split.history, job), tower, source, validate, work, job.seed, item_id_vectors, job.progress)
    run.teachers, metrics = fit_teachers(job, run)
    run.on_epoch = job.on_epoch
    train_on(job.cluster, job.cache, run, settings.train)
    fitted = fit_towers(run, settings.train)
    if tuning in ALL_LAYERS:  # the lower layers have changed
        states = cached_states(encoder, distinct, cache, job.progress)
        query_tower = QueryTower.upon(encoder).to(device)
    report = {
        "reads": settings.tower.user_encoder,
        "tuning": tuning,
        "pretraining": of_pretraining,
        "validation_ndcg@10": [round(value, 4) for value in fitted.curve],
        "hard_negatives_masked": fitted.masked_hard_negatives,
    }
    if metrics:
        report["teachers_ndcg@10"] = [round(value, 4) for value in metrics]
    text_vectors = None if item_id_vectors is None else tower.item_vectors(source.pooled)
    return TextModels(text_of, encoder, tower, query_tower, run.vectors(), states, report, item_id_vectors, text_vectors)


def warn_of_unread_texts(job: TrainingJob, encoder: TextEncoder) -> None:
    """Say what the encoder cannot read of the catalogue."""
    for note in coverage(encoder.tokenizer, job.catalog).notes:
        _log.warning("%s", note)


def trainable_texts(job: TrainingJob, encoder: TextEncoder, texts: list[str], states: TokenStates, tuning: Tuning) -> TrainableTexts:
    """Return the distinct texts for a training of the encoder, which changes them as the settings say."""
    train = job.settings.train
    augmentation = Augmentation.of(encoder, texts, train.augment, job.settings.search.read_synonyms().rows)
    return TrainableTexts(encoder, texts, states, tuning, augmentation, train.adversarial)


def tuning_of(config: TrainConfig, device: torch.device) -> Tuning:
    """Return how the text encoder is tuned."""
    if not config.tuned_epochs:
        return "frozen"
    return affordable_tuning("quick", device) if config.tuning == "auto" else config.tuning


def fit_teachers(job: TrainingJob, run: TrainingRun) -> tuple[list[Teacher], list[float]]:
    """Train the towers whose scores that of a run learns, each with a seed of its own.

    Returns
    -------
    teachers : none if `train.ensemble` is 1.
    metrics : the validation NDCG@10 of each.
    """
    train = job.settings.train
    teachers: list[Teacher] = []
    metrics: list[float] = []
    if train.ensemble > 1 and not isinstance(run.sampler, SequenceSampler):
        _log.warning(
            "note: train.ensemble = %d is not read: only towers over sequences learn from others, and these read sets", train.ensemble
        )
        return teachers, metrics
    for number in range(1, train.ensemble + 1) if train.ensemble > 1 else ():
        seed = job.seed + number * SEEDS_APART
        tower, item_id_vectors = _untrained(job, run.texts, seed)
        folder = run.folder / f"teacher{number}"
        one = replace(run, tower=tower, item_id_vectors=item_id_vectors, seed=seed, folder=folder)
        _log.info("teacher %d of %d", number, train.ensemble)
        config = train.model_copy(update={"tuned_epochs": 0})
        train_on(job.cluster, job.cache, one, config)
        metrics.append(fit_towers(one, config).best)
        teachers.append(Teacher(tower, one.vectors()))
    return teachers, metrics


def _untrained(job: TrainingJob, source: TrainableTexts, seed: int) -> tuple[TwoTower, ItemIdEmbedding | None]:
    """Return a tower and, for sequences, a vector of each text, on the encoder's device."""
    settings, device = job.settings, source.encoder.device
    torch.manual_seed(seed)
    tower = TwoTower(source.encoder.width, settings.tower)
    tower.start_from(source.pooled)
    tower.to(device)
    if settings.tower.user_encoder != "sequence":
        return tower, None
    return tower, ItemIdEmbedding(len(source.pooled), settings.tower.dim, settings.train.id_dropout).to(device)


def fit_last_epochs(job: TrainingJob, models: TextModels, work: Path) -> None:
    """Continue the towers' training in place and at a lower rate on the whole log, the ranking's windows included.

    All choices have been made on those windows by now. The ranking keeps what it learned of the towers' earlier scores.
    """
    train = job.settings.train
    changed = {"epochs": train.last_epochs, "patience": train.last_epochs, "tuned_epochs": 0, "lr": train.lr * LAST_RATE}
    settings = train.model_copy(update=changed)
    log = over_texts(job.log, models.text_of, len(models.vectors))
    source = TrainableTexts(models.encoder, [], models.states, "frozen")
    sampler = SequenceSampler(log, settings, job.settings.tower.history)
    run = TrainingRun(sampler, models.tower, source, no_validation, work / "rest", job.seed, models.item_id_vectors, job.progress)
    train_on(job.cluster, job.cache, run, settings)
    fit_towers(run, settings)


def sampler_of(log: Interactions, job: TrainingJob) -> WindowSampler | SequenceSampler:
    """Return the sampler of training batches that fits the user encoder."""
    settings, validation = job.settings, job.windows.validation
    if settings.tower.user_encoder == "sequence":
        return SequenceSampler(log, settings.train, settings.tower.history)
    return WindowSampler(log, settings.train, validation.end - validation.start)
