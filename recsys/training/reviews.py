"""Training of the classifier of reviews within the training of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.text.sentiment.labels import label_of_rating
from features.text.sentiment.trainer import fit_sentiment

if TYPE_CHECKING:
    from features.text.encoder import TextEncoder
    from features.text.sentiment.model import SentimentModel
    from recsys.training.job import TrainingJob


def fit_reviews(job: TrainingJob, encoder: TextEncoder) -> tuple[SentimentModel | None, dict[str, Any]]:
    """Fit the classifier on the reviews before the end of the log, and their ratings; None for a shop without reviews.

    Returns
    -------
    classifier : on a copy of the encoder's upper layers.
    report : facts for the model card.
    """
    if job.reviews is None or not len(job.reviews):
        return None, {"learned_from": "nothing: there are no reviews"}
    labels = label_of_rating(job.reviews.rating)
    model = fit_sentiment(encoder, job.reviews.full_text.to_list(), labels, job.settings.reviews.sentiment, job.seed, job.progress)
    return model, {"learned_from": model.about["way"], **model.about}
