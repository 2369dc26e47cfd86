"""What a policy would have earned, from the log of another that drew what it showed: off-policy evaluation with logged propensities.

An impression is one list shown to one user; a row is one place of it. The value of a policy is the expected sum of rewards of an
impression.

What is assumed of how the places of a list act on each other (`Slates`), each with its weight of a row:

| slates | a place's reward depends on | weight of a row | propensities are |
|---|---|---|---|
| independent | the item at that place alone | target / propensity there | of the item at that place, over all lists |
| cascade | that place and those above it | product down to that place | given the places above |
| joint | the whole list | product over all places | given the places above |

IIPS: Li and others (2018), KDD, "Offline evaluation of ranking policies with click models". Cascade: McInerney and others (2020), KDD,
"Counterfactual evaluation of slate recommendations with sequential reward interactions". Joint: the plain estimator of Horvitz and Thompson
(1952). The fewer places may act on each other, the smaller the variance, and the larger the error where they do after all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import stats

from eval.experiment.effects import LEVEL
from features.errors import DataError
from features.storage.sorted_unique import sorted_unique

Slates = Literal["independent", "cascade", "joint"]
FEWEST = 100.0  # effective impressions: below it normal intervals miss too often, see docs/decisions/040
FOLDS = 5
PRIOR = 1.0  # rows of a place's mean that a cell of the reward model begins with


@dataclass(frozen=True)
class Target:
    """What the policy to be judged would show, a row for each item with any chance at a place.

    impression, position: int64 (t,), as in the log. cell: code of the reward model's cell, int64 (t,). probability: float (t,).
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
    impression: 0 to m - 1, int64 (n,). position: from 0, int64 (n,). reward, propensity, probability: float (n,), of what was shown:
    what it earned, how likely the logging policy and the target policy were to show it. unit: who stands behind each impression, int64
    (m,): impressions of one user are not independent. cell: code of what the reward model tells apart, item, place and context together,
    int64 (n,).
    target: None where it is not known in full; then the reward model cannot be asked.
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
        return len(self.unit)

    @cached_property
    def earned(self) -> np.ndarray:
        """Rewards of each impression, float (m,)."""
        return self.summed(self.reward)

    def summed(self, rows: np.ndarray) -> np.ndarray:
        """Sums over each impression's rows, float (n,) -> (m,)."""
        return np.bincount(self.impression, weights=rows, minlength=self.impressions)

    def by_position(self, rows: np.ndarray) -> np.ndarray:
        """Sums over each position's rows, float (n,) -> (places,)."""
        return np.bincount(self.position, weights=rows)


@dataclass(frozen=True)
class Estimate:
    """A policy's value with its 95% interval, and what it earns above the logging policy, with its own."""

    value: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class OffPolicy:
    """The answer.

    Attributes
    ----------
    logged: what the logging policy earned an impression. estimates: by "ips", "snips", "dm", "dr"; the last two where the target is known
    in full. effective: effective sample size, that of the place that has the least. mean_weight: 1 but for chance where the log could show
    all that the target shows; of the place where it is farthest. supported: whether it is near enough to 1.
    unseen: share of what the target shows that the log has never shown at that place, nan where the target is not known in full.
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
    """Judge the target policy.

    Raises
    ------
    DataError: the effective sample size is below `FEWEST`: the answer would be a guess.
    """
    w = weights(log, slates)
    effective = effective_size(log, w)
    if effective < FEWEST:
        raise DataError(
            f"the effective sample size is {effective:.0f} of {log.impressions:,} impressions, expected at least {FEWEST:.0f}: the log "
            "hardly ever shows what the target would; log longer, explore more, or judge a policy nearer to the one that ran"
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
    """How much more often the target would have shown each row, float (n,)."""
    ratio = log.probability / log.propensity
    if slates == "independent":
        return ratio
    begin = np.flatnonzero(np.diff(log.impression, prepend=-1))
    if slates == "joint":
        return np.multiply.reduceat(ratio, begin)[log.impression]
    out = ratio.copy()
    for place in range(1, int(np.bincount(log.impression).max())):  # row by row from the top: a product of logs would lose zeros
        at = begin[np.bincount(log.impression) > place] + place
        out[at] *= out[at - 1]
    return out


def effective_size(log: Logged, w: np.ndarray) -> float:
    """Kish's (1965, Survey sampling) effective sample size, (sum w)^2 / sum w^2, of the place that has the least."""
    total, squares = log.by_position(w), log.by_position(w**2)
    return float(np.min(np.where(squares > 0, total**2 / np.where(squares > 0, squares, 1), 0)))


def _support(log: Logged, w: np.ndarray) -> tuple[float, bool]:
    """Mean weight of the place where it is farthest from 1, in standard errors; whether that is what chance explains (4 of them)."""
    n = log.by_position(np.ones(len(w)))
    mean = log.by_position(w) / n
    spread = np.sqrt(np.maximum(log.by_position(w**2) / n - mean**2, 0) / n)
    far = np.abs(mean - 1) / np.maximum(spread, 1e-12)
    far = np.where(np.abs(mean - 1) < 1e-9, 0, far)
    worst = int(np.argmax(far))
    return float(mean[worst]), bool(far[worst] <= 4)


def _snips(log: Logged, w: np.ndarray) -> np.ndarray:
    """Each impression's part of the self-normalised estimate, place by place, float (m,); their mean is the estimate.

    Swaminathan and Joachims (2015), NeurIPS, "The self-normalized estimator for counterfactual learning"; the ratio is linearised, so that
    the parts vary as the estimate does (delta method).
    """
    n, total = log.by_position(np.ones(len(w))), np.maximum(log.by_position(w), 1e-300)
    value = log.by_position(w * log.reward) / total
    return log.summed(value[log.position] + w * (log.reward - value[log.position]) * (n / total)[log.position])


@dataclass(frozen=True)
class RewardModel:
    """Mean reward of each cell, drawn towards its place's mean by `PRIOR` rows.

    mean: float (cells,), nan where the cell was never seen. count: with the prior, float (cells,). place: mean of each position, float
    (places,).
    """

    mean: np.ndarray
    count: np.ndarray
    place: np.ndarray

    @classmethod
    def fit(cls, log: Logged, rows: np.ndarray, cells: int) -> RewardModel:
        """On some rows, bool (n,)."""
        position, cell, reward = log.position[rows], log.cell[rows], log.reward[rows]
        places = int(log.position.max()) + 1
        n = np.bincount(position, minlength=places)
        place = np.bincount(position, weights=reward, minlength=places) / np.maximum(n, 1)
        count = np.bincount(cell, minlength=cells)
        drawn = np.bincount(cell, weights=reward + PRIOR * place[position] / np.maximum(count[cell], 1), minlength=cells)
        mean = np.where(count > 0, drawn / (count + PRIOR), np.nan)
        return cls(mean, count + PRIOR, place)

    def __call__(self, cell: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Expected reward of rows; a cell never seen gets its place's mean."""
        found = self.mean[cell]
        return np.where(np.isnan(found), self.place[position], found)


def _cells(log: Logged, target: Target) -> int:
    return int(max(log.cell.max(), target.cell.max())) + 1


def _dm(log: Logged, target: Target) -> np.ndarray:
    """Each impression's part of the direct method, float (m,): what the reward model expects of the target's items.

    It takes the log's places above for the target's own: where a place depends on them, it answers another question. The second term sums
    to about 0; it carries the model's own chance into the interval (the linearisation of a mean of cell means). What the model gets wrong
    by not telling enough apart is in no interval.
    """
    model = RewardModel.fit(log, np.ones(len(log.reward), dtype=bool), _cells(log, target))
    asked = np.bincount(target.cell, weights=target.probability, minlength=len(model.mean))
    parts = _expected(log, target, model(target.cell, target.position))
    # A row is part of its own cell's mean, the more so the fewer there are (HC3: MacKinnon and White 1985, Journal of Econometrics 29).
    rest = (log.reward - model(log.cell, log.position)) / (1 - 1 / model.count[log.cell])
    return parts + log.summed(asked[log.cell] / model.count[log.cell] * rest)


def _dr(log: Logged, target: Target, w: np.ndarray, slates: Slates) -> np.ndarray:
    """Each impression's part of the doubly robust estimate, float (m,): the model's expectation, plus the weighted rest of what was earned.

    Right where either propensities or model are. Dudik, Langford, Li (2011), ICML, "Doubly robust policy evaluation and learning". Each
    fifth of the users is judged by a model of the others (Chernozhukov and others 2018, The Econometrics Journal 21(1)). Where a place
    depends on those above it, what is expected there is weighted for them (Kiyohara and others 2022, WSDM, "Doubly robust off-policy
    evaluation for ranking policies under the cascade behavior model").
    """
    above = np.ones((log.impressions, max(int(log.position.max()), int(target.position.max())) + 2))
    if slates != "independent":
        above[log.impression, log.position + 1] = weights(log, "cascade")
    parts, cells = np.zeros(log.impressions), _cells(log, target)
    fold = np.unique(log.unit, return_inverse=True)[1] % FOLDS
    for number in range(FOLDS):
        held, asked = (fold[impression] == number for impression in (log.impression, target.impression))
        model = RewardModel.fit(log, ~held, cells)
        expected = _expected(
            log, target, np.where(asked, model(target.cell, target.position) * above[target.impression, target.position], 0)
        )
        parts += expected + log.summed(np.where(held, w * (log.reward - model(log.cell, log.position)), 0))
    return parts


def _expected(log: Logged, target: Target, reward: np.ndarray) -> np.ndarray:
    return np.bincount(target.impression, weights=target.probability * reward, minlength=log.impressions)


def _unseen(log: Logged, target: Target) -> float:
    seen = np.isin(target.cell, log.cell)
    return float(target.probability[~seen].sum() / target.probability.sum())


def _estimate(log: Logged, parts: np.ndarray) -> Estimate:
    """Mean of the parts (m,), normal interval over units: sums of a unit's parts vary, not the parts."""
    ends = []
    for values in (parts, parts - log.earned):
        mean = float(values.mean())
        total = np.bincount(np.unique(log.unit, return_inverse=True)[1], weights=values - mean)
        units = len(total)
        spread = math.sqrt(float((total**2).sum()) * units / max(units - 1, 1)) / len(values)
        reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * spread
        ends += [mean, mean - reach, mean + reach]
    return Estimate(*ends)
