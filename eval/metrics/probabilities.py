"""How good scores are as such: whether they tell bought from not bought (AUC), and whether they are the probabilities they claim to be.

A score of nan counts as the wrong answer for its pair: below everything where the item was bought, above everything where it was not; as a
probability, 0 and 1. So a scorer that does not answer cannot win.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.storage.sorted_unique import sorted_unique

# Probabilities are float32; a certain but wrong answer costs -log(1e-6) = 13.8 nats, not infinity.
CLIP = 1e-6


@dataclass(frozen=True)
class ScoredPairs:
    """(user, candidate) pairs with what was said of them and what came.

    Attributes
    ----------
    user: rows 0 <= user < n_users, int64 (n,). labels: whether it was bought, bool (n,). scores: float (n,).
    """

    user: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    n_users: int

    @property
    def users(self) -> int:
        """Users with a pair."""
        return len(sorted_unique(self.user))


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Chance that a bought pair is scored above one not bought, ties counting half; nan where either kind is missing.

    Mann-Whitney U over n+ n-: (sum of the average ranks of the bought - n+ (n+ + 1) / 2) / (n+ n-).
    Hanley and McNeil (1982), Radiology 143(1).
    labels bool (n,), scores float (n,), higher is better.
    """
    labels = labels.astype(bool)
    bought = int(labels.sum())
    other = len(labels) - bought
    if not bought or not other:
        return float("nan")
    from scipy.stats import rankdata

    ranks = rankdata(answered(labels, scores))
    return float((ranks[labels].sum() - bought * (bought + 1) / 2) / (bought * other))


def answered(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The scores, float64 (n,), with those that are nan put at the wrong end."""
    return np.where(np.isnan(scores), np.where(labels, -np.inf, np.inf), scores.astype(np.float64))


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """-log of the probability given to what happened, in nats, one a pair, float (n,); probabilities are clipped to [1e-6, 1 - 1e-6].

    Good (1952), JRSS B 14(1).
    """
    p = np.clip(answered(labels, probabilities), CLIP, 1 - CLIP)
    return -np.log(np.where(labels, p, 1 - p))


@dataclass(frozen=True)
class Reliability:
    """What was promised and what came, by bins of equal mass.

    Attributes
    ----------
    bin: the bin of each pair, int64 (n,). promised: mean probability, came: share bought, counts: pairs; (m,) each, from low to high.
    """

    bin: np.ndarray
    promised: np.ndarray
    came: np.ndarray
    counts: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: sum over bins of the bin's share times |came - promised|; nan without pairs."""
        return float(np.average(np.abs(self.came - self.promised), weights=self.counts)) if len(self.counts) else float("nan")


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 20) -> Reliability:
    """Points of the reliability plot.

    Bins hold equally many pairs, so that the many small probabilities of a shop do not end up in one bin (Nguyen and O'Connor 2015, EMNLP;
    Naeini and others 2015, AAAI for the error). Equal probabilities always share a bin, whatever their order: then there are fewer bins.
    """
    p = np.clip(answered(labels, probabilities), 0, 1)
    if not len(p):
        return Reliability(*(np.empty(0, dtype=kind) for kind in (np.int64, float, float, np.int64)))
    edges = np.quantile(p, np.arange(1, bins) / bins, method="inverted_cdf")
    _, index = np.unique(np.searchsorted(edges, p), return_inverse=True)
    counts = np.bincount(index)
    return Reliability(index, np.bincount(index, p) / counts, np.bincount(index, labels) / counts, counts)
