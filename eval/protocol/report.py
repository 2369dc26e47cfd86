"""The report of an evaluation, and its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from eval.metrics.exposure import Exposure
    from eval.metrics.intervals import MetricValue
    from eval.metrics.probabilities import Reliability

MetricValues = dict[str, "MetricValue"]


@dataclass(frozen=True)
class Report:
    """Metrics of one system on one split, and of the baselines it is compared with.

    Attributes
    ----------
    metrics : of the main list
    slices : slice -> metric
    stages : stage -> list -> metric
    curve : recall of the main list by k
    reliability : points of the plot; None where scores are not probabilities
    per_user : list -> metric -> float (users,), for paired comparisons
    cut : ISO 8601
    users : users of the evaluation
    items : items known before the cut
    shown : int (users, 10), the first ten of the main list
    reasons : list -> the share of reasons whose item scores lower without what they name
    exposure : "brand" and "price" -> groups
    exploration : what the places for new items cost: their share, and NDCG@10 over all items with and without them; empty where there
        are no new items
    """

    metrics: MetricValues
    slices: dict[str, MetricValues]
    stages: dict[str, dict[str, MetricValues]]
    curve: MetricValues
    reliability: Reliability | None
    per_user: dict[str, dict[str, np.ndarray]] = field(repr=False, compare=False)
    cut: str
    users: int
    items: int
    baselines: dict[str, Report] = field(default_factory=dict)
    bundle_id: str | None = None
    shown: np.ndarray | None = field(default=None, repr=False, compare=False)
    reasons: MetricValues = field(default_factory=dict)
    exposure: dict[str, list[Exposure]] = field(default_factory=dict)
    exploration: MetricValues = field(default_factory=dict)

    def beside(self, baselines: Mapping[str, Report], bundle_id: str | None = None) -> Report:
        """Return the same report with baselines on the same split, and the id of the bundle it describes."""
        return replace(self, baselines=dict(baselines), bundle_id=bundle_id)

    def as_dict(self) -> dict[str, Any]:
        """Return what `recsys evaluate --json` prints; an undefined value is None."""
        return {
            "metrics": _values(self.metrics),
            "slices": {name: _values(metrics) for name, metrics in self.slices.items()},
            "stages": {name: {kind: _values(metrics) for kind, metrics in stage.items()} for name, stage in self.stages.items()},
            "baselines": {
                name: {"metrics": _values(other.metrics), "slices": {part: _values(metrics) for part, metrics in other.slices.items()}}
                for name, other in self.baselines.items()
            },
            "split": {"cut": self.cut, "users": self.users, "items": self.items},
            "bundle_id": self.bundle_id,
            "reasons": _values(self.reasons),
            "exposure": {name: [vars(group) for group in groups] for name, groups in self.exposure.items()},
            "exploration": _values(self.exploration),
        }

    def to_json(self) -> str:
        """Return strict JSON, without NaN."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False)


def _values(metrics: Mapping[str, MetricValue]) -> dict[str, dict[str, float | int | None]]:
    return {name: metric.as_json() for name, metric in metrics.items()}
