"""The A/A test: one variant against itself under many splits, to check a test's false positive rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from eval.experiment.effects import LEVEL, binomial_interval, cuped
from eval.experiment.sequential import FIRST_LOOK, confidence_sequence, contrasts
from eval.experiment.splits import in_b

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK = 50  # splits tested at once


@dataclass(frozen=True)
class Outcomes:
    """What one variant earned from n users, in the order in which they came.

    Attributes
    ----------
    values : float (n,), each user's metric over the whole experiment
    covariates : float (n, m), known before the experiment
    entry : float (n,), each user's metric on the first day
    looks : int (days,), how many users had come at the end of each day
    """

    values: np.ndarray
    covariates: np.ndarray
    entry: np.ndarray
    looks: np.ndarray

    def take(self, users: np.ndarray) -> Outcomes:
        """Return the outcomes of some users.

        Parameters
        ----------
        users : int64 (m,), sorted places
        """
        looks = np.searchsorted(users, self.looks)
        return Outcomes(self.values[users], self.covariates[users], self.entry[users], looks)


def hashed_splits(user_ids: Sequence[str], runs: int, salt: str) -> np.ndarray:
    """Return halves by `in_b` under `runs` salts, bool (runs, n)."""
    return np.stack([in_b(user_ids, f"{salt}/{run}") for run in range(runs)])


def false_alarms(outcomes: Outcomes, splits: np.ndarray) -> dict[str, int]:
    """Count the splits in which each test reports a difference, though there is none.

    Parameters
    ----------
    splits : bool (runs, n), whether each user is in b

    Returns
    -------
    Counts by test. unpaired: Welch's test. cuped: the same after `cuped`. always_valid: the confidence sequence leaves
    0 at the end of any day. peeking: Welch's test on first days, looked at every day, where the first alarm counts; for
    comparison.
    """
    adjusted = cuped(outcomes.values, outcomes.covariates)
    looks = np.unique(outcomes.looks[outcomes.looks >= FIRST_LOOK])
    counts = {"unpaired": 0, "cuped": 0, "always_valid": 0, "peeking": 0}
    for begin in range(0, len(splits), BLOCK):
        part = splits[begin : begin + BLOCK]
        counts["unpaired"] += int((_welch(outcomes.values, part) < 1 - LEVEL).sum())
        counts["cuped"] += int((_welch(adjusted, part) < 1 - LEVEL).sum())
        mean, reach = confidence_sequence(contrasts(outcomes.entry, part), len(outcomes.entry))
        counts["always_valid"] += int((np.abs(mean) > reach)[:, looks - 1].any(axis=1).sum())
        daily = np.stack([_welch(outcomes.entry[:n], part[:, :n]) for n in looks], axis=1) if len(looks) else np.ones((len(part), 1))
        counts["peeking"] += int((daily < 1 - LEVEL).any(axis=1).sum())
    return counts


def flat(alarms: int, runs: int, *, at_most: bool = False) -> bool:
    """Return whether the number of false alarms is what a rate of 5% gives, by the binomial's 95% interval.

    Parameters
    ----------
    at_most : whether fewer are as good, as with always-valid tests
    """
    low, high = binomial_interval(runs)
    return alarms <= high and (at_most or alarms >= low)


def _welch(values: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return the p-values of `eval.experiment.effects.unpaired` for many splits.

    Parameters
    ----------
    values : float (n,)
    splits : bool (r, n)

    Returns
    -------
    float (r,)
    """
    centred = values - values.mean()  # so that the squares below keep their precision
    n = np.stack([(~splits).sum(axis=1), splits.sum(axis=1)])  # (2, r)
    sums = np.stack([~splits @ centred, splits @ centred])
    squares = np.stack([~splits @ centred**2, splits @ centred**2])
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums / n
        error = np.maximum(squares / n - mean**2, 0) / (n - 1)  # squared standard error of each mean
        freedom = error.sum(axis=0) ** 2 / (error**2 / (n - 1)).sum(axis=0)
        t = np.abs(mean[1] - mean[0]) / np.sqrt(error.sum(axis=0))
    return np.nan_to_num(2 * stats.t.sf(t, freedom), nan=1.0)
