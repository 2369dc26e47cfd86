"""Presents a robustness report: JSON, and the table on the terminal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from eval.protocol.benchmark_table import Interval
from eval.reports.benchmark import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.intervals import MetricValue
    from eval.robustness.comparison import PerturbedLists

HEADINGS = {"overlap@10": "overlap@10", "ndcg_kept": "NDCG@10 kept"}


@dataclass(frozen=True)
class RobustnessReport:
    """Robustness of one model.

    Attributes
    ----------
    until : the moment up to which the model was trained, ISO 8601.
    users : users whose lists were compared.
    perturbed : by the perturbation's name.
    """

    until: str
    users: int
    perturbed: dict[str, PerturbedLists]

    def to_json(self) -> str:
        """Return the stable form of `--json`."""
        perturbed = {
            name: {"changed": one.changed, "metrics": {kind: _values(metrics) for kind, metrics in one.metrics.items()}}
            for name, one in self.perturbed.items()
        }
        return json.dumps({"until": self.until, "users": self.users, "perturbations": perturbed}, indent=2, allow_nan=False) + "\n"

    def table(self) -> Table:
        """Return what the command prints."""
        title = f"Lists of {self.users:,} users over perturbed texts, beside those over the texts as they are"
        grid = Table("", "texts changed", "list", *HEADINGS.values(), box=None, header_style="bold", title=title)
        for name, one in self.perturbed.items():
            changed = f"{one.changed:.1%}"
            for place, (kind, metrics) in enumerate(one.metrics.items()):
                cells = [one_line(Interval.of(metrics[key]), 3) for key in HEADINGS]
                grid.add_row("" if place else name, "" if place else changed, kind, *cells)
            if not one.metrics:
                grid.add_row(name, changed, "", "nothing to change in this catalogue", "")
        return grid


def _values(metrics: Mapping[str, MetricValue]) -> dict[str, dict[str, float | int | None]]:
    return {name: metric.as_json() for name, metric in metrics.items()}
