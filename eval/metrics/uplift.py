"""Qini coefficient of a score that says who is to be written to, from a campaign with a holdout that was drawn by chance.

For the share s of customers with the highest scores,

    g(s) = (R_t - R_c * N_t / N_c) / N

where N_t and N_c are those of them who were and were not written to, R_t and R_c the sum of their outcomes, and N all customers who were
written to: the outcome that writing to these alone would have added, per customer of the whole campaign. The Qini coefficient is the area
between g(s) and the straight line to g(1), which a score without any information has. Ties are broken by the order of the rows.

References
----------
Radcliffe (2007), Using control groups to target on predicted lift, Direct Marketing Analytics Journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.intervals import Bootstrap, MetricValue


@dataclass(frozen=True)
class Trial:
    """The outcome of a campaign with a holdout.

    Attributes
    ----------
    treated : bool (n,), whether each customer was written to.
    outcomes : float (n,), such as whether a customer bought, or how much.
    """

    treated: np.ndarray
    outcomes: np.ndarray

    def __len__(self) -> int:
        return len(self.treated)

    def take(self, rows: np.ndarray) -> Trial:
        """Select customers."""
        return Trial(self.treated[rows], self.outcomes[rows])

    @property
    def effect(self) -> float:
        """Mean outcome of those who were written to, less that of the others."""
        return float(self.outcomes[self.treated].mean() - self.outcomes[~self.treated].mean())


def qini_curve(scores: np.ndarray, trial: Trial, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of customers and g of each, float64 (n + 1,) both, from 0 to 1.

    Parameters
    ----------
    scores : float (n,)
    weights : how often each customer counts, float (n,); None: once
    """
    order = np.argsort(-scores, kind="stable")
    return _curve(trial.take(order), np.ones(len(order)) if weights is None else weights[order].astype(np.float64))


def qini(scores: np.ndarray, trial: Trial, weights: np.ndarray | None = None) -> float:
    """Return the Qini coefficient of scores (n,); see the module for its formula, `qini_curve` for `weights`."""
    return _area(*qini_curve(scores, trial, weights))


def qini_values(scores: Mapping[str, np.ndarray], trial: Trial, boot: Bootstrap, folds: np.ndarray) -> dict[str, MetricValue]:
    """Return the mean Qini coefficient over folds of each score, and of the difference of each pair of scores ("a - b").

    Parameters
    ----------
    scores : name -> float (n,), predicted for each fold by a model that had not seen it; scores of two folds are not compared.
    folds : int (n,), of each customer.
    """
    n, rng = len(trial), np.random.default_rng(boot.seed)
    parts = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    # Ordered once: a resample changes how often a customer counts, not the order.
    ordered = {name: [part[np.argsort(-values[part], kind="stable")] for part in parts] for name, values in scores.items()}
    sorted_trials = {name: [trial.take(rows) for rows in orders] for name, orders in ordered.items()}

    def mean(name: str, weights: np.ndarray) -> float:
        pairs = zip(sorted_trials[name], ordered[name], strict=True)
        return float(np.mean([_area(*_curve(part, weights[rows])) for part, rows in pairs]))

    exact = {name: mean(name, np.ones(n)) for name in scores}
    resampled = [np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64) for _ in range(boot.resamples)]
    drawn = {name: np.array([mean(name, weights) for weights in resampled]) for name in scores}
    found = {name: boot.with_interval(exact[name], drawn[name], n) for name in scores}
    for a, b in permutations(scores, 2):
        found[f"{a} - {b}"] = boot.with_interval(exact[a] - exact[b], drawn[a] - drawn[b], n)
    return found


def _curve(trial: Trial, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the curve of customers in the order of their scores."""
    treated = trial.treated * weight
    others = weight - treated
    columns = (weight, treated, others, treated * trial.outcomes, others * trial.outcomes)
    share, n_t, n_c, r_t, r_c = (np.concatenate([[0.0], np.cumsum(column)]) for column in columns)
    expected = np.divide(r_c * n_t, n_c, out=np.zeros_like(n_c), where=n_c > 0)
    return share / share[-1], (r_t - expected) / max(n_t[-1], 1e-12)


def _area(share: np.ndarray, gain: np.ndarray) -> float:
    return float(np.trapezoid(gain - share * gain[-1], share))
