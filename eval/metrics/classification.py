"""Metrics of a classifier of texts, with intervals: macro-F1, accuracy, and the calibration error of the likeliest class.

Each is a function of sums over texts, so that `Bootstrap.sums` resamples it at once. Several runs of one system, by seed, are averaged
within each resample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eval.metrics.intervals import Bootstrap, MetricValue

BINS = 15


def macro_f1(boot: Bootstrap, labels: np.ndarray, runs: Sequence[np.ndarray], classes: int) -> MetricValue:
    """Return the mean over classes of F1 = 2 TP / (2 TP + FP + FN); a class that neither occurs nor is told has 0.

    Parameters
    ----------
    labels : int (n,).
    runs : the class that each run tells, int (n,).
    """
    total, drawn = _f1_runs(boot, labels, runs, classes)
    return boot.with_interval(float(total), drawn, len(labels))


def macro_f1_difference(
    boot: Bootstrap, labels: np.ndarray, runs: Sequence[np.ndarray], others: Sequence[np.ndarray], classes: int
) -> MetricValue:
    """Return the macro-F1 of one system minus that of another, on the same resamples."""
    (total, drawn), (other, other_drawn) = (_f1_runs(boot, labels, some, classes) for some in (runs, others))
    return boot.with_interval(float(total - other), drawn - other_drawn, len(labels))


def _f1_runs(boot: Bootstrap, labels: np.ndarray, runs: Sequence[np.ndarray], classes: int) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for told in runs:
        true, said = (values[:, None] == np.arange(classes) for values in (labels, told))
        columns = np.concatenate([true & said, true, said], axis=1).astype(float)
        found.append((_f1(columns.sum(axis=0)), _f1(boot.sums(columns))))
    return np.mean([total for total, _ in found], axis=0), np.mean([drawn for _, drawn in found], axis=0)


def _f1(sums: np.ndarray) -> np.ndarray:
    right, true, said = np.split(sums, 3, axis=-1)
    both = true + said
    return np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0).mean(axis=-1)


def calibration_error(boot: Bootstrap, labels: np.ndarray, runs: Sequence[np.ndarray], bins: int = BINS) -> MetricValue:
    """Return the expected calibration error: sum over bins of (share of the texts) * |accuracy - mean confidence|.

    The confidence is the highest probability of a text, the accuracy the share of texts whose likeliest class is right, and the bins are of
    equal width from 0 to 1 (Guo et al. 2017, arXiv 1706.04599). Chance only adds to this error, so its interval leans upwards.

    Parameters
    ----------
    labels : int (n,).
    runs : probabilities of each run, float (n, classes).
    """
    found = []
    for probabilities in runs:
        confidence = probabilities.max(axis=1).astype(float)
        place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
        columns = np.zeros((len(labels), bins))
        columns[np.arange(len(labels)), place] = (probabilities.argmax(axis=1) == labels) - confidence
        drawn = np.abs(boot.sums(columns)).sum(axis=1)
        found.append((np.abs(columns.sum(axis=0)).sum() / len(labels), drawn / len(labels)))
    return boot.with_interval(float(np.mean([total for total, _ in found])), np.mean([drawn for _, drawn in found], axis=0), len(labels))
