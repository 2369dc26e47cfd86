"""Training of a whole model: towers, then the parts of the ranker, each on its own window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from features.storage.digests import of_json
from recsys.artifacts.model import Model
from recsys.artifacts.towers_start import TowersStart
from recsys.training.ranking import fit_ranking
from recsys.training.reviews import fit_reviews
from recsys.training.search import fit_search
from recsys.training.towers import fit_last_epochs, fit_text_models
from recsys.training.windows import moment
from retrieval.two_tower.item_ids import ItemIdVectors

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from features.text.sentiment.model import SentimentModel
    from ranking.cross_encoder.aspect_polarity import AspectPolarity
    from ranking.cross_encoder.model import CrossEncoder
    from ranking.search_ranker import SearchRanker
    from recsys.artifacts.ranking import Ranking
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels

# Part of a model's key and of those of trainings that benchmarks keep, so that what an older version trained is trained
# again. Raise it with every change that alters the model that the same data, settings and seed give: in the towers, the
# cross-encoders, the classifiers of texts, the boosters, the calibration, their windows or samples, or a default.
MODEL_VERSION = 6


@dataclass(frozen=True)
class FittedSearch:
    """The parts of search, see `recsys.training.search.fit_search`; `inputs` as of `search_inputs` when they were fitted."""

    ranker: SearchRanker
    pairs: CrossEncoder | None
    report: dict[str, Any]
    inputs: dict[str, Any]


@dataclass(frozen=True)
class FittedReviews:
    """What reads reviews, see `recsys.training.reviews.fit_reviews`; `inputs` as of `review_inputs` when it was fitted."""

    sentiment: SentimentModel | None
    polarity: AspectPolarity | None
    report: dict[str, Any]
    inputs: dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """All fitted parts of a model, before the last epochs of its towers.

    Attributes
    ----------
    report : facts on the ranking for the model card.
    """

    models: TextModels
    ranking: Ranking
    report: dict[str, Any]
    search: FittedSearch
    reviews: FittedReviews


def train_model(job: TrainingJob, device: torch.device, work: Path, cache: Path) -> Model:
    """Fit a model from nothing.

    Parameters
    ----------
    work : folder of checkpoints; a training that was interrupted resumes from them.
    cache : folder of token states.
    """
    models = fit_text_models(job, device, work, cache)
    ranking, report = fit_ranking(job, models, work, device)
    search = FittedSearch(*fit_search(job, models, ranking, work), search_inputs(job, models))
    reviews = FittedReviews(*fit_reviews(job, models.encoder), review_inputs(job))
    return assemble(job, Fitted(models, ranking, report, search, reviews), device, work)


def assemble(job: TrainingJob, fitted: Fitted, device: torch.device, work: Path) -> Model:
    """Train the last epochs of towers that have some, and return the model on the CPU."""
    model = recommending_model(job, fitted.models, fitted.ranking, work)
    return replace(
        model,
        about=_about(job, fitted, device),
        search=fitted.search.ranker,
        pairs=fitted.search.pairs,
        sentiment=fitted.reviews.sentiment,
        polarity=fitted.reviews.polarity,
    )


def recommending_model(job: TrainingJob, models: TextModels, ranking: Ranking, work: Path) -> Model:
    """Train the last epochs of towers that have some, and return a model without search and reviews on the CPU."""
    start = None
    if job.settings.tower.user_encoder == "sequence" and job.settings.train.last_epochs:
        item_id_vectors = _item_id_vectors(job, models)
        start = None if item_id_vectors is None else TowersStart.copy_of(models.tower, item_id_vectors)
        fit_last_epochs(job, models, work)
    for module in (models.encoder, models.tower, models.query_tower, ranking.cross_encoder):
        module.cpu()  # where the model is stored and served
    return Model(
        models.encoder,
        models.tower,
        models.query_tower,
        job.settings.retrieval,
        ranking,
        {"trained": True},
        _item_id_vectors(job, models),
        start=start,
    )


def _item_id_vectors(job: TrainingJob, models: TextModels) -> ItemIdVectors | None:
    if models.item_id_vectors is None:
        return None
    return ItemIdVectors(job.catalog.ids, models.text_of.astype(np.int32), models.item_id_vectors.vectors())


def _about(job: TrainingJob, fitted: Fitted, device: torch.device) -> dict[str, Any]:
    """Return the facts for the model card and for the training that may go on from the model."""
    models, windows = fitted.models, job.windows
    return {
        "trained": True,
        "until": moment(windows.calibration.end),
        "seed": job.seed,
        "device": device.type,
        "data": {"items": len(job.catalog), "users": job.log.n_users, "events": len(job.log), "texts": len(models.vectors)},
        "windows": windows.to_dict(),
        "towers": models.report,
        "ranking": fitted.report,
        "search": fitted.search.report,
        "reviews": fitted.reviews.report,
        "edges": {name: [window.start, window.end] for name, window in windows.after_towers.items()},
        "inputs": {"search": fitted.search.inputs, "reviews": fitted.reviews.inputs},
    }


def settings_digests(job: TrainingJob) -> dict[str, str]:
    """Return a digest of each section of the settings that a model depends on."""
    return {name: of_json(values)[:16] for name, values in job.settings.training_sections().items()}


def search_inputs(job: TrainingJob, models: TextModels) -> dict[str, Any]:
    """Return the size of what search learns from."""
    return {"texts": len(models.vectors), "queries": 0 if job.queries is None else len(job.queries)}


def review_inputs(job: TrainingJob) -> dict[str, Any]:
    """Return the size of what is learned from reviews, and a digest of what people labelled in them."""
    labelled = None if job.polarities is None else job.polarities.digest
    return {"reviews": 0 if job.reviews is None else len(job.reviews), "polarities": labelled}
