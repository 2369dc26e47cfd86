"""Off-policy evaluation: estimates what a policy would have earned from another policy's log with propensities.

An impression is one list shown to one user; a row is one place of it. The value of a policy is the expected sum of
rewards of an impression.

`Slates` says what is assumed of how the places of a list affect each other, and so how a row is weighted:

| slates | a place's reward depends on | weight of a row | propensities are |
|---|---|---|---|
| independent | the item at that place alone | target / propensity there | of the item at that place, over all lists |
| cascade | that place and those above it | product down to that place | given the places above |
| joint | the whole list | product over all places | given the places above |

The fewer places may affect each other, the smaller the variance, and the larger the error where they do after all.

References
----------
Independent (IIPS): Li and others (2018), KDD, "Offline evaluation of ranking policies with click models". Cascade:
McInerney and others (2020), KDD, "Counterfactual evaluation of slate recommendations with sequential reward
interactions". Joint: Horvitz and Thompson (1952), Journal of the American Statistical Association 47.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import stats

from eval.experiment.effects import LEVEL
from eval.off_policy.reward_model import RewardModel
from features.errors import DataError
from features.storage.sorted_unique import sorted_unique

Slates = Literal["independent", "cascade", "joint"]
FEWEST = 100.0  # effective impressions; below it normal intervals miss too often, see docs/decisions/040
FOLDS = 5  # of the users, for cross-fitting


@dataclass(frozen=True)
class Target:
    """What the target policy would show: a row for each item with any probability at a place.

    Attributes
    ----------
    impression, position : int64 (t,), as in the log
    cell : int64 (t,), code of the reward model's cell
    probability : float (t,)
    """

    impression: np.ndarray
    position: np.ndarray
    cell: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True)
class Logged:
    """Rows of a log, sorted by impression and position.

    Attributes
    ----------
    impression : int64 (n,), 0 to m - 1
    position : int64 (n,), from 0
    reward : float (n,)
    propensity : float (n,), probability that the logging policy shows the row's item there
    probability : float (n,), probability that the target policy does
    unit : int64 (m,), the user of each impression: impressions of one user are not independent
    cell : int64 (n,), code of item, place and context together, for the reward model
    target : None where it is not known in full; then there is no reward model
    """

    impression: np.ndarray
    position: np.ndarray
    reward: np.ndarray
    propensity: np.ndarray
    probability: np.ndarray
    unit: np.ndarray
    cell: np.ndarray
    target: Target | None = None

    @property
    def impressions(self) -> int:
        """Number of impressions, m."""
        return len(self.unit)

    @cached_property
    def earned(self) -> np.ndarray:
        """Sum of rewards of each impression, float (m,)."""
        return self.summed(self.reward)

    def summed(self, rows: np.ndarray) -> np.ndarray:
        """Return sums over each impression's rows, float (n,) -> (m,)."""
        return np.bincount(self.impression, weights=rows, minlength=self.impressions)

    def by_position(self, rows: np.ndarray) -> np.ndarray:
        """Return sums over each position's rows, float (n,) -> (places,)."""
        return np.bincount(self.position, weights=rows)


@dataclass(frozen=True)
class Estimate:
    """A policy's value and its gain over the logging policy, each with its 95% interval."""

    value: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class OffPolicy:
    """The result of an off-policy evaluation.

    Attributes
    ----------
    logged : what the logging policy earned an impression
    estimates : by "ips", "snips", "dm", "dr"; the last two where the target is known in full
    effective : effective sample size, of the place that has the least
    mean_weight : 1 but for chance where the log can show everything that the target shows; of the place farthest from 1
    supported : whether `mean_weight` is near enough to 1
    unseen : share of what the target shows that the log never showed at that place; nan where the target is not known
        in full
    """

    slates: Slates
    impressions: int
    rows: int
    units: int
    logged: Estimate
    estimates: dict[str, Estimate]
    effective: float
    mean_weight: float
    supported: bool
    unseen: float


def off_policy(log: Logged, slates: Slates = "independent") -> OffPolicy:
    """Evaluate the target policy.

    Raises
    ------
    DataError
        The effective sample size is below `FEWEST`.
    """
    w = weights(log, slates)
    effective = effective_size(log, w)
    if effective < FEWEST:
        raise DataError(
            f"the effective sample size is {effective:.0f} of {log.impressions:,} impressions, expected at least {FEWEST:.0f}: the log "
            "hardly ever shows what the target would; log longer, explore more, or evaluate a policy nearer to the one that ran"
        )
    parts = {"ips": log.summed(w * log.reward), "snips": _snips(log, w)}
    unseen = math.nan
    if log.target is not None:
        parts |= {"dm": _dm(log, log.target), "dr": _dr(log, log.target, w, slates)}
        unseen = _unseen(log, log.target)
    mean, supported = _support(log, w)
    return OffPolicy(
        slates=slates,
        impressions=log.impressions,
        rows=len(log.reward),
        units=len(sorted_unique(log.unit)),
        logged=_estimate(log, log.earned),
        estimates={name: _estimate(log, part) for name, part in parts.items()},
        effective=effective,
        mean_weight=mean,
        supported=supported,
        unseen=unseen,
    )


def weights(log: Logged, slates: Slates) -> np.ndarray:
    """Return the importance weight of each row, float (n,): how much more often the target would have shown it."""
    ratio = log.probability / log.propensity
    if slates == "independent":
        return ratio
    begin = np.flatnonzero(np.diff(log.impression, prepend=-1))
    if slates == "joint":
        return np.multiply.reduceat(ratio, begin)[log.impression]
    out = ratio.copy()
    for place in range(1, int(np.bincount(log.impression).max())):  # place by place from the top: a sum of logs would lose zeros
        at = begin[np.bincount(log.impression) > place] + place
        out[at] *= out[at - 1]
    return out


def effective_size(log: Logged, w: np.ndarray) -> float:
    """Return Kish's effective sample size, (sum w)^2 / sum w^2, of the place that has the least.

    Kish (1965), Survey sampling.

    Parameters
    ----------
    w : float (n,), weights of the rows
    """
    total, squares = log.by_position(w), log.by_position(w**2)
    return float(np.min(np.where(squares > 0, total**2 / np.where(squares > 0, squares, 1), 0)))


def _support(log: Logged, w: np.ndarray) -> tuple[float, bool]:
    """Return the mean weight of the place farthest from 1 in standard errors, and whether it is within 4 of them."""
    n = log.by_position(np.ones(len(w)))
    mean = log.by_position(w) / n
    error = np.sqrt(np.maximum(log.by_position(w**2) / n - mean**2, 0) / n)
    distance = np.abs(mean - 1) / np.maximum(error, 1e-12)
    distance = np.where(np.abs(mean - 1) < 1e-9, 0, distance)
    worst = int(np.argmax(distance))
    return float(mean[worst]), bool(distance[worst] <= 4)


def _snips(log: Logged, w: np.ndarray) -> np.ndarray:
    """Return each impression's part of the self-normalised estimate (SNIPS), place by place, float (m,).

    Their mean is the estimate. The ratio is linearised, so that the parts vary as the estimate does (delta method).

    References
    ----------
    Swaminathan and Joachims (2015), NeurIPS, "The self-normalized estimator for counterfactual learning".
    """
    n, total = log.by_position(np.ones(len(w))), np.maximum(log.by_position(w), 1e-300)
    value = log.by_position(w * log.reward) / total
    return log.summed(value[log.position] + w * (log.reward - value[log.position]) * (n / total)[log.position])


def _fit_model(log: Logged, target: Target, rows: np.ndarray) -> RewardModel:
    """Fit the reward model on some rows of the log, bool (n,), with room for the cells of the target."""
    places, cells = int(log.position.max()) + 1, int(max(log.cell.max(), target.cell.max())) + 1
    return RewardModel.fit(log.position[rows], log.cell[rows], log.reward[rows], places, cells)


def _dm(log: Logged, target: Target) -> np.ndarray:
    """Return each impression's part of the direct method, float (m,): the model's expectation of the target's items.

    It takes the log's places above for the target's: where a place depends on them, the estimate answers another
    question. The second term sums to about 0. It carries the model's sampling error into the interval (the
    linearisation of a mean of cell means). The model's bias, from cells that are too coarse, is in no interval.
    """
    model = _fit_model(log, target, np.ones(len(log.reward), dtype=bool))
    shown = np.bincount(target.cell, weights=target.probability, minlength=len(model.mean))
    parts = _expected(log, target, model(target.cell, target.position))
    # A row is part of its own cell's mean: leverage correction HC3 (MacKinnon and White 1985, J. of Econometrics 29).
    residual = (log.reward - model(log.cell, log.position)) / (1 - 1 / model.count[log.cell])
    return parts + log.summed(shown[log.cell] / model.count[log.cell] * residual)


def _dr(log: Logged, target: Target, w: np.ndarray, slates: Slates) -> np.ndarray:
    """Return each impression's part of the doubly robust estimate, float (m,): expectation plus weighted residuals.

    It is right where either the propensities or the model are. Each fifth of the users is evaluated by a model of the
    others. Where a place depends on those above it, its expectation is weighted for them.

    References
    ----------
    Dudik, Langford, Li (2011), ICML, "Doubly robust policy evaluation and learning". Cross-fitting: Chernozhukov and
    others (2018), The Econometrics Journal 21(1). Cascade: Kiyohara and others (2022), WSDM, "Doubly robust off-policy
    evaluation for ranking policies under the cascade behavior model".
    """
    above = np.ones((log.impressions, max(int(log.position.max()), int(target.position.max())) + 2))
    if slates != "independent":
        above[log.impression, log.position + 1] = weights(log, "cascade")
    parts = np.zeros(log.impressions)
    fold = np.unique(log.unit, return_inverse=True)[1] % FOLDS
    for number in range(FOLDS):
        held_out, scored = (fold[impression] == number for impression in (log.impression, target.impression))
        model = _fit_model(log, target, ~held_out)
        expected = _expected(
            log, target, np.where(scored, model(target.cell, target.position) * above[target.impression, target.position], 0)
        )
        parts += expected + log.summed(np.where(held_out, w * (log.reward - model(log.cell, log.position)), 0))
    return parts


def _expected(log: Logged, target: Target, reward: np.ndarray) -> np.ndarray:
    """Return the expected reward of each impression under the target, float (m,)."""
    return np.bincount(target.impression, weights=target.probability * reward, minlength=log.impressions)


def _unseen(log: Logged, target: Target) -> float:
    """Return the share of the target's probability in cells that the log never showed."""
    seen = np.isin(target.cell, log.cell)
    return float(target.probability[~seen].sum() / target.probability.sum())


def _estimate(log: Logged, parts: np.ndarray) -> Estimate:
    """Return the mean of the parts (m,) with a normal interval over units, whose sums vary independently."""
    ends = []
    for values in (parts, parts - log.earned):
        mean = float(values.mean())
        total = np.bincount(np.unique(log.unit, return_inverse=True)[1], weights=values - mean)
        units = len(total)
        error = math.sqrt(float((total**2).sum()) * units / max(units - 1, 1)) / len(values)
        margin = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
        ends += [mean, mean - margin, mean + margin]
    return Estimate(*ends)
