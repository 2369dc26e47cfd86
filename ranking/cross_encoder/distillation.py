"""Distillation into the cross-encoder: it learns the base booster's probability of a pair beside whether it was bought.

References
----------
G. Hinton, O. Vinyals and J. Dean (2015). Distilling the Knowledge in a Neural Network. arXiv 1503.02531.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from features.names import BASE_LOG_ODDS
from ranking.cross_encoder.trainer import PairBatch, TrainingPairs, sample

if TYPE_CHECKING:
    from ranking.cross_encoder.config import CrossEncoderConfig


@dataclass(frozen=True)
class TaughtPairs:
    """Labelled pairs whose labels are mixed with a teacher's probabilities when they are sampled.

    Attributes
    ----------
    pairs : ordered by the base booster, whose log odds are among the candidate features.
    weight : of the teacher's probability, from 0 to 1; the label has the rest.
    """

    pairs: TrainingPairs
    weight: float

    @property
    def useful(self) -> np.ndarray:
        """Users with both a history and a positive, int64."""
        return self.pairs.useful

    @property
    def lengths(self) -> None:
        """None: histories are cut to about the same length."""
        return

    def batch(self, lefts: np.ndarray, config: CrossEncoderConfig, rng: np.random.Generator) -> PairBatch:
        """Return sampled pairs of some users, with the share of relevance that label and teacher give them."""
        some = self.pairs.take(lefts)
        rows, labels = sample(some, config.positives, config.negatives, rng)
        of_teacher = _sampled(expit(some.candidates.features[BASE_LOG_ODDS]), some.candidates.rows, rows)
        # Sampling takes most of the positives and few of the others: their odds are higher among the sampled pairs.
        share, chance = labels[rows >= 0].mean(), some.labels[some.candidates.valid].mean()
        of_teacher = _with_prior(of_teacher, float(chance), float(share))
        mixed = (1 - self.weight) * labels + self.weight * of_teacher
        return PairBatch(some.candidates.users, rows, np.where(rows >= 0, mixed, 0).astype(np.float32))


def taught(pairs: TrainingPairs, config: CrossEncoderConfig) -> TrainingPairs | TaughtPairs:
    """Return the pairs with the teacher that a configuration asks for."""
    return TaughtPairs(pairs, config.distillation) if config.distillation else pairs


def _sampled(values: np.ndarray, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the values (b, k) of items `rows` (b, k) for those `chosen` (b, c) of each user."""
    place = (chosen[:, :, None] == rows[:, None, :]).argmax(axis=2)
    return np.take_along_axis(values, place, axis=1)


def _with_prior(probability: np.ndarray, before: float, after: float) -> np.ndarray:
    """Return probabilities for pairs of which a share `after` is bought, in place of a share `before`."""
    if not 0 < before < 1 or not 0 < after < 1:
        return probability
    factor = (after / (1 - after)) / (before / (1 - before))
    return probability * factor / (1 - probability + probability * factor)
