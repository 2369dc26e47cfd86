"""What an evaluation found."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from eval.metrics.exposure import Exposure
    from eval.metrics.intervals import MetricValue
    from eval.metrics.probabilities import Reliability

Figures = dict[str, "MetricValue"]


@dataclass(frozen=True)
class Report:
    """Figures of one system on one split, and of the baselines beside it.

    Attributes
    ----------
    metrics: the list of all items. slices: by name of the slice. stages: stage -> list -> metric.
    curve: recall of the list of all items by k. reliability: points of the plot, None where scores are no probabilities.
    per_user: list -> metric -> (users,), for comparisons. cut: ISO 8601. users, items: judged on; known before the cut.
    shown: the first ten of the main list, int (users, 10). reasons: share of them that hold, by list. exposure: by "brand" and "price".
    """

    metrics: Figures
    slices: dict[str, Figures]
    stages: dict[str, dict[str, Figures]]
    curve: Figures
    reliability: Reliability | None
    per_user: dict[str, dict[str, np.ndarray]] = field(repr=False, compare=False)
    cut: str
    users: int
    items: int
    baselines: dict[str, Report] = field(default_factory=dict)
    bundle_id: str | None = None
    shown: np.ndarray | None = field(default=None, repr=False, compare=False)
    reasons: Figures = field(default_factory=dict)
    exposure: dict[str, list[Exposure]] = field(default_factory=dict)

    def beside(self, baselines: Mapping[str, Report], bundle_id: str | None = None) -> Report:
        """The same report with baselines judged on the same split, and the bundle that it speaks of."""
        return replace(self, baselines=dict(baselines), bundle_id=bundle_id)

    def as_dict(self) -> dict[str, Any]:
        """What `recsys evaluate --json` prints; a figure that does not exist is None."""
        return {
            "metrics": _figures(self.metrics),
            "slices": {name: _figures(figures) for name, figures in self.slices.items()},
            "stages": {name: {kind: _figures(figures) for kind, figures in stage.items()} for name, stage in self.stages.items()},
            "baselines": {
                name: {"metrics": _figures(other.metrics), "slices": {part: _figures(figures) for part, figures in other.slices.items()}}
                for name, other in self.baselines.items()
            },
            "split": {"cut": self.cut, "users": self.users, "items": self.items},
            "bundle_id": self.bundle_id,
            "reasons": _figures(self.reasons),
            "exposure": {name: [vars(group) for group in groups] for name, groups in self.exposure.items()},
        }

    def to_json(self) -> str:
        """Strict JSON: no NaN in it."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False)


def _figures(figures: Mapping[str, MetricValue]) -> dict[str, dict[str, float | int | None]]:
    def number(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    return {name: {"value": number(f.value), "low": number(f.low), "high": number(f.high), "users": f.users} for name, f in figures.items()}
