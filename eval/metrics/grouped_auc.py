"""AUC within groups, such as campaigns: over pairs of a responder and a non-responder of the same group, all pairs alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from eval.metrics.intervals import Bootstrap, MetricValue
    from eval.metrics.probabilities import ScoredPairs


def grouped_auc(boot: Bootstrap, pairs: ScoredPairs, groups: np.ndarray) -> MetricValue:
    """Return the AUC within groups, with its interval over users.

    Parameters
    ----------
    groups : int (n,), of each pair
    """
    value, drawn = _values(boot, pairs, groups)
    return boot.with_interval(value, drawn, pairs.users)


def grouped_auc_difference(boot: Bootstrap, a: ScoredPairs, b: ScoredPairs, groups: np.ndarray) -> MetricValue:
    """Return the AUC of `a` minus that of `b`, of two systems on the same pairs, drawn together."""
    (value, drawn), (other, others) = (_values(boot, pairs, groups) for pairs in (a, b))
    return boot.with_interval(value - other, drawn - others, a.users)


def _values(boot: Bootstrap, pairs: ScoredPairs, groups: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the AUC, and that of each resample, float64 (resamples,)."""
    won, all_pairs = _counted(np.ones((1, pairs.n_users)), pairs, groups)
    parts = [_counted(counts, pairs, groups) for counts in boot.draws(pairs.n_users)]
    drawn = _ratio(*(np.concatenate([part[i] for part in parts]) for i in (0, 1)))
    return float(_ratio(won, all_pairs)[0]), drawn


def _counted(counts: np.ndarray, pairs: ScoredPairs, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs in the right order, ties as half, and all pairs, for user weights (r, n_users), float64 (r,) both."""
    won, total = np.zeros(len(counts)), np.zeros(len(counts))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        score, place = np.unique(pairs.scores[rows], return_inverse=True)
        ends = np.searchsorted(np.sort(place), np.arange(1, len(score)))
        order = rows[np.argsort(place, kind="stable")]
        starts = np.append(0, ends)
        labels = pairs.labels[order].astype(float)
        weight = counts[:, pairs.user[order]]
        yes, no = (np.add.reduceat(weight * one, starts, axis=1) for one in (labels, 1 - labels))
        won += (yes * (np.cumsum(no, axis=1) - no / 2)).sum(axis=1)
        total += yes.sum(axis=1) * no.sum(axis=1)
    return won, total


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
