"""Polarities of mentions for training, without anybody's labels: from the stars of reviews and the sentiment of sentences."""

from __future__ import annotations

import numpy as np
import polars as pl

from ranking.cross_encoder.mention_pairs import NEGATIVE, NEUTRAL, POLARITIES, POSITIVE

# After such a word, a sentence often turns against its review: the stars say nothing about which half.
TURNS = (
    r"(?i)\b(?:but|however|although|though|except|unfortunately|despite|only (?:complaint|downside|problem|issue)"
    r""
    r"|aber|jedoch|leider|trotzdem|obwohl|mais|cependant|malheureusement|sauf|pero|aunque|sin embargo|excepto)\b"
    r"|但|不过|可是|只是|虽然|除了"
)
STAR_WEIGHTS = (1.0, 0.6, 0.5, 0.6, 1.0)  # the middle says least
FEWEST, MOST_WEIGHT = 1000, 10.0
UNSURE = 0.5  # a sentence whose likeliest sentiment is below, is taken for one that judges nothing


def weak_labels(
    sentences: pl.Series, mentions: pl.DataFrame, stars: np.ndarray | None, sentiment: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a label and a weight for each mention.

    A mention inherits the stars of its review where its sentence mentions one aspect only and does not turn ("but"). Where
    the sentiment of the sentence is known, it must agree: a good sentence of a bad review is left out, and one that judges
    nothing is neutral. Where a review has no stars, the sentiment decides alone. Of each polarity, about as many mentions
    are kept as there are of the rarest, and of the rarest at least `FEWEST`; all weigh the same in total.

    Parameters
    ----------
    sentences : pl.Series
        Texts.
    mentions : pl.DataFrame
        Columns `sentence` (row in `sentences`) and `aspect`.
    stars : float (s,), optional
        Rating from 1 to 5 of each sentence's review; nan where it has none.
    sentiment : float (s, 3), optional
        Probability that a sentence is negative, neutral or positive.

    Returns
    -------
    labels : int64 (m,)
        0 negative, 1 neutral, 2 positive.
    weights : float32 (m,)
        0 where nothing is known.
    """
    row = mentions["sentence"].to_numpy()
    rating = np.full(len(sentences), np.nan) if stars is None else np.asarray(stars, dtype=float)
    known = ~np.isnan(rating[row])
    level = np.clip(np.where(known, np.rint(rating[row]), 3), 1, 5).astype(np.int64)
    labels = np.where(level <= 2, NEGATIVE, np.where(level == 3, NEUTRAL, POSITIVE))
    weights = np.where(known, np.array(STAR_WEIGHTS)[level - 1], 0.0)
    alone = mentions.select(pl.col("aspect").n_unique().over("sentence"))["aspect"].to_numpy() == 1
    turns = sentences.fill_null("").str.contains(TURNS).to_numpy()[row]
    weights = np.where(alone & ~turns, weights, 0.0)
    if sentiment is not None:
        labels, weights = _with_sentiment(labels, weights, known, sentiment[row])
    return labels.astype(np.int64), _balanced(labels, weights)


def _with_sentiment(labels: np.ndarray, weights: np.ndarray, known: np.ndarray, sentiment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    likeliest, sure = sentiment.argmax(axis=1), sentiment.max(axis=1)
    judged = np.where(sure < UNSURE, NEUTRAL, likeliest)
    agrees = (judged == labels) | (judged == NEUTRAL)
    return judged, np.where(known, np.where(agrees, weights, 0.0), sure)


def _balanced(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Thin out frequent polarities evenly over the reviews, and let all weigh the same."""
    counts = np.bincount(labels[weights > 0], minlength=len(POLARITIES))
    if not counts.any():
        return weights.astype(np.float32)
    most = max(int(counts[counts > 0].min()), FEWEST)
    kept = np.zeros(len(weights))
    for label in np.flatnonzero(counts):
        rows = np.flatnonzero((labels == label) & (weights > 0))
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(np.int64))]
        kept[rows] = weights[rows] / weights[rows].mean() * min(most / len(rows), MOST_WEIGHT)
    return kept.astype(np.float32)
