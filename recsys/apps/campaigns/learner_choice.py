"""Chooses on an earlier campaign with a holdout whether customers are ranked by uplift or by response.

Uplift is what counts, and it is small beside its noise: an order by the response itself is sometimes the better one. The learners are
judged by their Qini coefficients on folds that they have not seen. Uplift is taken only if its best learner is ahead of the response by
more than one standard error (docs/decisions/106-uplift-or-response.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.intervals import NORMAL_95, Bootstrap, MetricValue
from eval.metrics.uplift import Trial, qini_values
from ranking.outcomes.uplift import RESPONSE, UPLIFT_LEARNERS, Learner, UpliftConfig, UpliftModel, cross_fitted, fit_uplift

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ranking.outcomes.uplift import Treatment

FOLDS = 3
RESAMPLES = 200


@dataclass(frozen=True)
class LearnerChoice:
    """The learner, and what spoke for it.

    Attributes
    ----------
    values : learner -> Qini coefficient on folds that it has not seen.
    ahead : Qini coefficient of the best uplift learner, less that of the response.
    best_uplift : the uplift learner with the highest Qini coefficient.
    """

    learner: Learner
    best_uplift: Learner
    values: Mapping[str, MetricValue]
    ahead: MetricValue

    @property
    def differs(self) -> bool:
        """Whether the order of the learner is told from that of chance."""
        return self.values[self.learner].low > 0

    def __str__(self) -> str:
        value = self.values[self.learner]
        what = f"customers are ranked by {'response' if self.learner == RESPONSE else f'uplift ({self.learner})'}"
        shown = f"Qini x 1000 {1000 * value.value:.1f} [{1000 * value.low:.1f}, {1000 * value.high:.1f}]"
        ahead = f"the best uplift learner is ahead of response by {1000 * self.ahead.value:.1f}"
        between = f"[{1000 * self.ahead.low:.1f}, {1000 * self.ahead.high:.1f}]"
        chance = "" if self.differs else "; no order of customers is told from chance: the mean effect is all that is known"
        return f"{what}: {shown}; {ahead} {between}{chance}"


def choose_learner(treatment: Treatment, config: UpliftConfig, seed: int) -> LearnerChoice:
    """Judge all learners on folds of a campaign and choose one."""
    n = len(treatment.treated)
    folds = _folds(treatment, np.random.default_rng(seed))
    scores = {learner: cross_fitted(learner, treatment, folds, config, seed) for learner in (*UPLIFT_LEARNERS, RESPONSE)}
    trial = Trial(treatment.treated, treatment.outcomes)
    values = qini_values(scores, trial, Bootstrap(RESAMPLES, seed), folds) if n else {}
    best = max(UPLIFT_LEARNERS, key=lambda learner: values[learner].value)
    ahead = values[f"{best} - {RESPONSE}"]
    error = (ahead.high - ahead.low) / (2 * NORMAL_95)
    learner = best if ahead.value > error else RESPONSE
    return LearnerChoice(learner, best, {name: values[name] for name in scores}, ahead)


@dataclass(frozen=True)
class ChosenModel:
    """The chosen learner, fitted on all customers of the campaign.

    Attributes
    ----------
    scale : what a prediction is multiplied by to be an uplift. A response says who is ahead of whom: the effect of the campaign is shared
        out in proportion to it.
    """

    model: UpliftModel
    choice: LearnerChoice
    scale: float

    def uplift(self, features: np.ndarray) -> np.ndarray:
        """Return what writing to customers (n, m) is expected to add, float64 (n,)."""
        return self.scale * self.model.predict(features)


def fit_chosen(treatment: Treatment, config: UpliftConfig, seed: int) -> ChosenModel:
    """Choose a learner and fit it on all customers of the campaign."""
    choice = choose_learner(treatment, config, seed)
    model = fit_uplift(choice.learner, treatment, config, seed)
    scale = 1.0
    if choice.learner == RESPONSE:
        mean = float(treatment.outcomes.mean())
        scale = Trial(treatment.treated, treatment.outcomes).effect / mean if mean > 0 else 0.0
    return ChosenModel(model, choice, scale)


def _folds(treatment: Treatment, rng: np.random.Generator) -> np.ndarray:
    """Return a fold for each customer, int64 (n,); both arms are spread evenly over the folds."""
    folds = np.zeros(len(treatment.treated), dtype=np.int64)
    for arm in (True, False):
        rows = rng.permutation(np.flatnonzero(treatment.treated == arm))
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds
