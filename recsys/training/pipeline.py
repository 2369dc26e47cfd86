"""Training of a whole model: towers, then the parts of the ranker, each on its own window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.reviews.coverage import review_coverage
from recsys.artifacts.model import Model
from recsys.training.ranking import fit_ranking
from recsys.training.reviews import fit_reviews
from recsys.training.search import fit_search
from recsys.training.towers import fit_last_epochs, fit_text_models
from recsys.training.windows import moment
from retrieval.two_tower.item_ids import ItemIdVectors

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from recsys.training.job import TrainingJob

# Part of a model's key, so that models of an older version are retrained. Raise it with every change that alters the
# model that the same data, settings and seed give: in the towers, the cross-encoder, the boosters, the calibration,
# their windows or samples, or a default.
MODEL_VERSION = 3


def train_model(job: TrainingJob, device: torch.device, work: Path, cache: Path) -> Model:
    """Fit a model.

    Parameters
    ----------
    work : folder of checkpoints; a training that was interrupted resumes from them.
    cache : folder of token states.
    """
    models = fit_text_models(job, device, work, cache)
    ranking, report = fit_ranking(job, models, work, device)
    search, pairs, of_search = fit_search(job, models, ranking, work)
    sentiment, of_reviews = fit_reviews(job, models.encoder)
    if job.reviews is not None and sentiment is not None:
        words = None if sentiment.words is None else sentiment.words.model
        of_reviews |= review_coverage(job.reviews, job.log, models.encoder.tokenizer, words)
    if job.settings.tower.user_encoder == "sequence" and job.settings.train.last_epochs:
        fit_last_epochs(job, models, work)
    for module in (models.encoder, models.tower, models.query_tower, ranking.cross_encoder):
        module.cpu()  # where the model is stored and served
    about = {
        "trained": True,
        "until": moment(job.windows.calibration.end),
        "seed": job.seed,
        "device": device.type,
        "data": {"items": len(job.catalog), "users": job.log.n_users, "events": len(job.log), "texts": len(models.vectors)},
        "windows": job.windows.to_dict(),
        "towers": models.report,
        "ranking": report,
        "search": of_search,
        "reviews": of_reviews,
    }
    item_id_vectors = (
        None
        if models.item_id_vectors is None
        else ItemIdVectors(job.catalog.ids, models.text_of.astype(np.int32), models.item_id_vectors.vectors())
    )
    return Model(
        models.encoder,
        models.tower,
        models.query_tower,
        job.settings.retrieval,
        ranking,
        about,
        item_id_vectors,
        search,
        pairs,
        sentiment,
    )
