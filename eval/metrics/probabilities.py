"""Metrics of scores: whether they separate bought from not bought (AUC), and whether they are calibrated probabilities.

A score of nan counts as the wrong answer for its pair: below everything where the item was bought, above everything
where it was not; as a probability, 0 and 1. A scorer that returns nan cannot gain by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.storage.sorted_unique import sorted_unique

# Probabilities are float32; a certain but wrong answer costs -log(1e-6) = 13.8 nats, not infinity.
CLIP = 1e-6


@dataclass(frozen=True)
class ScoredPairs:
    """(user, candidate) pairs with their scores and labels.

    Attributes
    ----------
    user : int64 (n,), 0 <= user < n_users
    labels : bool (n,), whether the item was bought
    scores : float (n,)
    """

    user: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    n_users: int

    @property
    def users(self) -> int:
        """Number of users with a pair."""
        return len(sorted_unique(self.user))


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve: the probability that a bought pair is scored above one that was not bought.

    Mann-Whitney U / (n+ n-) = (sum of the average ranks of the bought - n+ (n+ + 1) / 2) / (n+ n-). Ties count half.

    Parameters
    ----------
    labels : bool (n,)
    scores : float (n,), higher is better; nan counts as the wrong answer

    Returns
    -------
    0 to 1; nan where all labels are alike

    References
    ----------
    Hanley and McNeil (1982), Radiology 143(1).
    """
    labels = labels.astype(bool)
    bought = int(labels.sum())
    other = len(labels) - bought
    if not bought or not other:
        return float("nan")
    from scipy.stats import rankdata

    ranks = rankdata(nan_as_wrong(labels, scores))
    return float((ranks[labels].sum() - bought * (bought + 1) / 2) / (bought * other))


def nan_as_wrong(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the scores, float64 (n,), with -inf (bought) or inf (not bought) in place of nan."""
    return np.where(np.isnan(scores), np.where(labels, -np.inf, np.inf), scores.astype(np.float64))


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the log loss of each pair: -log of the probability given to what happened, in nats.

    Probabilities are clipped to [1e-6, 1 - 1e-6].

    Returns
    -------
    float (n,); their mean is the log loss

    References
    ----------
    Good (1952), Journal of the Royal Statistical Society B 14(1).
    """
    p = np.clip(nan_as_wrong(labels, probabilities), CLIP, 1 - CLIP)
    return -np.log(np.where(labels, p, 1 - p))


@dataclass(frozen=True)
class Reliability:
    """Points of a reliability plot, by bins of equal mass, from low to high.

    Attributes
    ----------
    bin : int64 (n,), the bin of each pair
    predicted : float (m,), mean predicted probability of each bin
    observed : float (m,), share of each bin that was bought
    counts : int (m,), pairs in each bin
    """

    bin: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: sum over bins of (share of the pairs) * |observed - predicted|.

        nan without pairs.
        """
        return float(np.average(np.abs(self.observed - self.predicted), weights=self.counts)) if len(self.counts) else float("nan")


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 20) -> Reliability:
    """Return the points of the reliability plot.

    Bins hold equally many pairs, so that the many small probabilities of a shop do not end up in one bin. Equal
    probabilities always share a bin, whatever their order; then there are fewer than `bins`.

    Parameters
    ----------
    labels : bool (n,)
    probabilities : float (n,), clipped to [0, 1]; nan counts as the wrong answer

    References
    ----------
    Bins: Nguyen and O'Connor (2015), EMNLP. Error: Naeini, Cooper, Hauskrecht (2015), AAAI.
    """
    p = np.clip(nan_as_wrong(labels, probabilities), 0, 1)
    if not len(p):
        return Reliability(*(np.empty(0, dtype=kind) for kind in (np.int64, float, float, np.int64)))
    edges = np.quantile(p, np.arange(1, bins) / bins, method="inverted_cdf")
    _, index = np.unique(np.searchsorted(edges, p), return_inverse=True)
    counts = np.bincount(index)
    return Reliability(index, np.bincount(index, p) / counts, np.bincount(index, labels) / counts, counts)
