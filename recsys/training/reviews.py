"""Training of what reads reviews within the training of a model: their sentiment, and the polarity of aspects in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from features.names import SENTENCE, SENTIMENTS
from features.reviews.coverage import review_coverage
from features.reviews.polarities import POLARITY
from features.text.sentiment.labels import label_of_rating
from features.text.sentiment.trainer import fit_sentiment
from ranking.cross_encoder.aspect_polarity import LabelledMentions, fit_aspect_polarity
from retrieval.significance import significant_gain

if TYPE_CHECKING:
    from features.reviews.polarities import Polarities
    from features.text.encoder import TextEncoder
    from features.text.sentiment.model import SentimentModel
    from ranking.cross_encoder.aspect_polarity import AspectPolarity
    from recsys.training.job import TrainingJob

HELD_OUT = 0.2  # share of the labelled sentences that judge


def fit_reviews(job: TrainingJob, encoder: TextEncoder) -> tuple[SentimentModel | None, AspectPolarity | None, dict[str, Any]]:
    """Fit the classifier on the reviews before the end of the log, and their ratings; None for a shop without reviews.

    Returns
    -------
    classifier : on a copy of the encoder's upper layers.
    polarity : the same; None without labels of the shop, or where it does not tell more of them than the classifier.
    report : facts for the model card.
    """
    if job.reviews is None or not len(job.reviews):
        return None, None, {"learned_from": "nothing: there are no reviews"}
    labels = label_of_rating(job.reviews.rating)
    model = fit_sentiment(encoder, job.reviews.full_text.to_list(), labels, job.settings.reviews.sentiment, job.seed, job.progress)
    words = None if model.words is None else model.words.model
    report = {"learned_from": model.about["way"], **model.about, **review_coverage(job.reviews, job.log, encoder.tokenizer, words)}
    if job.polarities is None:
        return model, None, report
    polarity, of_polarity = fit_polarity(job, job.polarities, encoder, model)
    return model, polarity, report | {"polarity": of_polarity}


def fit_polarity(
    job: TrainingJob, given: Polarities, encoder: TextEncoder, sentiment: SentimentModel
) -> tuple[AspectPolarity | None, dict[str, Any]]:
    """Fit the polarity of terms on four fifths of the labelled sentences, and keep it if it tells more of the others right.

    It is compared with the sentiment of the whole sentence, on held-out labels in sentences whose sentiment can be told: a mention in
    another sentence has no sentiment either way. The gain is that of each sentence, because its labels are not independent.

    Returns
    -------
    polarity : None where it is not better beyond chance, or there are too few labels.
    report : facts for the model card.
    """
    about: dict[str, Any] = {"labels": len(given.rows), "kept": False}
    if given.lacking:
        return None, about | {"lacking": given.lacking}
    sentences = given.rows[SENTENCE].unique(maintain_order=True)
    rows = _numbered(given.rows, sentences)
    held_out = np.zeros(len(sentences), dtype=bool)
    held_out[np.random.default_rng([job.seed, 2]).permutation(len(sentences))[: round(HELD_OUT * len(sentences))]] = True
    whole = np.full(len(sentences), -1)
    whole[held_out] = sentiment.read(sentences.filter(held_out).to_list()).labels
    rows = rows.with_columns(held=pl.Series(held_out).gather(rows[SENTENCE]), whole=pl.Series(whole).gather(rows[SENTENCE]))
    train, judge = rows.filter(~pl.col("held")), rows.filter("held", pl.col("whole") >= 0)
    if train["label"].n_unique() < 2 or judge.is_empty():
        return None, about | {"lacking": f"{len(given.rows):,} labels do not give two polarities to learn from and sentences to judge by"}
    labelled = LabelledMentions(sentences, train, train["label"].to_numpy(), np.ones(len(train), dtype=np.float32))
    polarity = fit_aspect_polarity(encoder, labelled, job.settings.reviews.polarity, job.seed, progress=job.progress)
    told = polarity.probabilities(sentences, judge).argmax(axis=1)
    polarity.model.cpu()  # where the model is stored
    right, of_whole = told == judge["label"].to_numpy(), (judge["whole"] == judge["label"]).to_numpy()
    gain = np.bincount(judge[SENTENCE].to_numpy(), right.astype(float) - of_whole)[judge[SENTENCE].unique().to_numpy()]
    kept = significant_gain(gain)
    about |= {
        "judged": len(judge),
        "accuracy": round(float(right.mean()), 4),
        "of_sentences": round(float(of_whole.mean()), 4),
        "kept": kept,
    }
    return polarity if kept else None, about


def _numbered(rows: pl.DataFrame, sentences: pl.Series) -> pl.DataFrame:
    """Return the rows with the sentence's row in `sentences`, and with the number of the polarity as `label`."""
    return rows.with_columns(
        pl.col(SENTENCE).replace_strict(sentences, range(len(sentences)), return_dtype=pl.Int64),
        label=pl.col(POLARITY).replace_strict(SENTIMENTS, range(len(SENTIMENTS)), return_dtype=pl.Int64),
    )
