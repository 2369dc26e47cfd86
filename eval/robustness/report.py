"""How far lists stay the same, and as good, when the catalogue's texts are perturbed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from eval.metrics.lists import ndcg
from eval.metrics.user_items import UserItems
from eval.protocol.benchmark_table import Interval
from eval.reports.benchmark import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.intervals import MetricValue
    from eval.protocol.runner import EvaluationRunner, Lists

K = 10
HEADINGS = {"overlap@10": "overlap@10", "ndcg_kept": "NDCG@10 kept"}


@dataclass(frozen=True)
class PerturbedLists:
    """What became of the lists under one perturbation.

    Attributes
    ----------
    changed : share of the items whose text differs.
    metrics : kind of list -> "overlap@10", the share of the first ten that are the same items, and "ndcg_kept", NDCG@10
        over that of the unperturbed catalogue; empty where no text differs.
    """

    changed: float
    metrics: dict[str, dict[str, MetricValue]]


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


def compare(runner: EvaluationRunner, before: Mapping[str, Lists], after: Mapping[str, Lists]) -> dict[str, dict[str, MetricValue]]:
    """Compare lists over the catalogue as it is with those over a perturbed one, by kind of list.

    Users to whom nothing in a list is relevant are left out of its NDCG, and their lists count in the overlap where they got one.
    """
    out = {}
    for kind, lists in before.items():
        relevant = runner.ground_truth.relevant(kind)
        kept = runner.bootstrap.paired_ratio(ndcg(after[kind].rows, relevant, K), ndcg(lists.rows, relevant, K))
        out[kind] = runner.bootstrap.means({"overlap@10": overlap(lists.rows, after[kind].rows)}) | {"ndcg_kept": kept}
    return out


def overlap(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the share of each list's first ten items that are among the first ten of the other one.

    Parameters
    ----------
    before, after : int (b, k'), catalogue rows, padded with -1

    Returns
    -------
    float (b,), nan for empty lists
    """
    first = before[:, :K]
    user, place = np.nonzero(first >= 0)
    items = UserItems.of(user, first[user, place], len(first), int(max(before.max(initial=0), after.max(initial=0))) + 1)
    count = (first >= 0).sum(axis=1)
    return np.where(count > 0, items.hits(after[:, :K]).sum(axis=1) / np.maximum(count, 1), np.nan)


def _values(metrics: Mapping[str, MetricValue]) -> dict[str, dict[str, float | int | None]]:
    return {name: metric.as_json() for name, metric in metrics.items()}
