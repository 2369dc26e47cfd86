"""Figures of the best passage: right first, AUC, at a quarter of coverage, and the risk-coverage curve, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.intervals import Bootstrap
from eval.metrics.probabilities import roc_auc
from eval.protocol.benchmark_table import Interval
from recsys.offline.product_qa.result import CurvePoint, TopRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.offline.product_qa.confidence import TopPassages

QUARTER = 0.25
COVERAGES = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
METRICS = ("right_first", "auc", "quarter")


def top_row(name: str, top: TopPassages, base: TopPassages, sets: Mapping[str, np.ndarray], answered: np.ndarray) -> TopRow:
    """Return a system's row.

    Parameters
    ----------
    base : of the system that it is compared with.
    sets : which questions each set has, bool (q,).
    answered : whether a passage of the question answers in full, bool (q,).
    """
    values: dict[str, dict[str, Interval]] = {metric: {} for metric in METRICS}
    over: dict[str, dict[str, Interval]] = {metric: {} for metric in METRICS}
    for part, chosen in sets.items():
        for metric in METRICS:
            rows = np.flatnonzero(chosen & answered if metric == "right_first" else chosen)
            values[metric][part], over[metric][part] = _intervals(metric, top, base, rows)
    curves = {part: curve(top, np.flatnonzero(chosen)) for part, chosen in sets.items()}
    return TopRow(name=name, **values, over_encoder=over, curve=curves)


def curve(top: TopPassages, rows: np.ndarray) -> list[CurvePoint]:
    """Return the risk-coverage curve over some questions."""
    order = rows[np.argsort(-top.trust[rows], kind="stable")]
    points = []
    for coverage in COVERAGES:
        first = order[: max(1, round(coverage * len(order)))]
        points.append(
            CurvePoint(coverage=coverage, trust=round(float(top.trust[first[-1]]), 4), right=round(float(top.right[first].mean()), 4))
        )
    return points


def _intervals(metric: str, top: TopPassages, base: TopPassages, rows: np.ndarray) -> tuple[Interval, Interval]:
    boot, n = Bootstrap(), len(rows)
    random = np.random.default_rng(boot.seed)
    value, other = _value(metric, top, rows), _value(metric, base, rows)
    drawn = np.empty((boot.resamples, 2))
    for resample in drawn:
        some = rows[random.integers(n, size=n)]
        resample[:] = _value(metric, top, some), _value(metric, base, some)
    own = boot.with_interval(value, drawn[:, 0], n)
    return Interval.of(own), Interval.of(boot.with_interval(value - other, drawn[:, 0] - drawn[:, 1], n))


def _value(metric: str, top: TopPassages, rows: np.ndarray) -> float:
    right, trust = top.right[rows], top.trust[rows]
    if metric == "auc":
        return roc_auc(right > 0.5, trust)
    if metric == "quarter":
        right = right[np.argsort(-trust, kind="stable")[: max(1, round(QUARTER * len(rows)))]]
    return float(right.mean())
