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
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
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
    weight = np.ones(len(order)) if weights is None else weights[order].astype(np.float64)
    treated = trial.treated[order] * weight
    others, outcomes = weight - treated, trial.outcomes[order]
    sums = [np.concatenate([[0.0], np.cumsum(column)]) for column in (weight, treated, others, treated * outcomes, others * outcomes)]
    share, n_t, n_c, r_t, r_c = sums
    expected = np.divide(r_c * n_t, n_c, out=np.zeros_like(n_c), where=n_c > 0)
    return share / share[-1], (r_t - expected) / max(n_t[-1], 1e-12)


def qini(scores: np.ndarray, trial: Trial, weights: np.ndarray | None = None) -> float:
    """Return the Qini coefficient of scores (n,); see the module for its formula, `qini_curve` for `weights`."""
    share, gain = qini_curve(scores, trial, weights)
    return float(np.trapezoid(gain - share * gain[-1], share))


def qini_values(scores: dict[str, np.ndarray], trial: Trial, boot: Bootstrap, folds: np.ndarray) -> dict[str, MetricValue]:
    """Return the mean Qini coefficient over folds of each score, and of the difference of each pair of scores ("a - b").

    Parameters
    ----------
    scores : name -> float (n,), predicted for each fold by a model that had not seen it; scores of two folds are not compared.
    folds : int (n,), of each customer.
    """
    names, parts = list(scores), [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    rng = np.random.default_rng(boot.seed)

    def means(weights: np.ndarray | None) -> list[float]:
        values = [
            [qini(scores[name][part], _part(trial, part), None if weights is None else weights[part]) for part in parts] for name in names
        ]
        return [float(np.mean(row)) for row in values]

    n = len(trial)
    exact = means(None)
    drawn = np.array([means(np.bincount(rng.integers(n, size=n), minlength=n)) for _ in range(boot.resamples)])
    found = {name: boot.with_interval(exact[i], drawn[:, i], n) for i, name in enumerate(names)}
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if i != j:
                found[f"{a} - {b}"] = boot.with_interval(exact[i] - exact[j], drawn[:, i] - drawn[:, j], n)
    return found


def _part(trial: Trial, rows: np.ndarray) -> Trial:
    return Trial(trial.treated[rows], trial.outcomes[rows])
