"""The table of a benchmark, and its JSON: ours, ours without each of its parts, and baselines, on the same users."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors.numpy import load, save

from eval.metrics.probabilities import Reliability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eval.metrics.intervals import Bootstrap, MetricValue
    from eval.protocol.report import Report

Kind = Literal["ours", "without", "baseline"]
METRICS = ("ndcg@10", "recall@10")
SCORES = ("auc", "log_loss", "ece")
RATIO = "ndcg@10"  # the metric whose ratios compare systems


class Interval(BaseModel):
    """A metric's value with its 95% interval, None where undefined; `users`: how many it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    value: float | None
    low: float | None
    high: float | None
    users: int

    @classmethod
    def of(cls, metric: MetricValue) -> Interval:
        """Convert from a `MetricValue`."""
        return cls.model_validate(metric.as_json())


class Points(BaseModel):
    """Points of a reliability plot, by bins.

    Attributes
    ----------
    promised : mean predicted probability of each bin
    came : share of each bin that was bought
    counts : pairs in each bin
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    promised: list[float]
    came: list[float]
    counts: list[int]

    @classmethod
    def of(cls, points: Reliability) -> Points:
        """Convert from a `Reliability`."""
        return cls(promised=points.predicted.tolist(), came=points.observed.tolist(), counts=points.counts.tolist())

    @property
    def reliability(self) -> Reliability:
        """The points as a `Reliability` for the plot, without the bin of each pair, which is not stored."""
        return Reliability(np.empty(0, dtype=np.int64), np.array(self.promised), np.array(self.came), np.array(self.counts))


@dataclass(frozen=True)
class EvaluatedSystem:
    """One system with what its evaluation gave.

    Attributes
    ----------
    per_user : list -> metric -> float (users,), nan where nothing was relevant
    scores : AUC and, of probabilities, log loss and calibration error
    seconds : of "tune", "fit" and "answer" (all lists together), where known
    lists : how many lists were answered
    note : what the system is
    settings : the settings it was fitted with
    """

    name: str
    kind: Kind
    per_user: dict[str, dict[str, np.ndarray]]
    scores: dict[str, Interval] = field(default_factory=dict)
    reliability: Points | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    lists: int = 0
    note: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, kind: Kind, report: Report, **about: Any) -> EvaluatedSystem:
        """Convert from a report; `about` gives the other fields."""
        per_user = {part: {metric: values[metric] for metric in METRICS} for part, values in report.per_user.items()}
        # Scores of a baseline are not probabilities.
        scores = {key: Interval.of(report.metrics[key]) for key in SCORES if key in report.metrics and report.reliability}
        points = Points.of(report.reliability) if report.reliability else None
        return cls(name, kind, per_user, scores, points, **about)

    def to_files(self) -> dict[str, bytes]:
        """Return the files to store, by name."""
        arrays = {f"{part}/{metric}": column for part, columns in self.per_user.items() for metric, column in columns.items()}
        about = {key: value for key, value in vars(self).items() if key not in ("per_user", "scores", "reliability")}
        about["scores"] = {key: interval.model_dump() for key, interval in self.scores.items()}
        about["reliability"] = self.reliability.model_dump() if self.reliability else None
        text = json.dumps(about, indent=1, allow_nan=False)
        return {
            "per_user.safetensors": save({name: np.ascontiguousarray(column) for name, column in arrays.items()}),
            "about.json": text.encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> EvaluatedSystem:
        """Load from the files of `to_files`."""
        about, per_user = json.loads(files["about.json"]), {}
        for name, column in load(files["per_user.safetensors"]).items():
            part, metric = name.split("/")
            per_user.setdefault(part, {})[metric] = column
        scores = {key: Interval(**interval) for key, interval in about.pop("scores").items()}
        points = about.pop("reliability")
        return cls(per_user=per_user, scores=scores, reliability=Points(**points) if points else None, **about)


class BenchmarkRow(BaseModel):
    """One system's row.

    Attributes
    ----------
    lists : list -> metric -> value; `over_best` is its NDCG@10 / the best baseline's, `ours_over` is ours / its NDCG@10
    answered : how many lists were answered
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    kind: Kind
    note: str
    lists: dict[str, dict[str, Interval]]
    scores: dict[str, Interval]
    reliability: Points | None
    seconds: dict[str, float]
    answered: int
    settings: dict[str, Any]


class BenchmarkSplit(BaseModel):
    """How the log was cut.

    Attributes
    ----------
    users : users of the evaluation, drawn from `of_users`
    items : items known before the cut
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    protocol: str
    cut: str
    users: int
    of_users: int
    items: int


class Result(BaseModel):
    """The whole table.

    Attributes
    ----------
    best : list -> the name of its best baseline by NDCG@10
    rows : ours first
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    data: str
    split: BenchmarkSplit
    lists: tuple[str, ...]
    best: dict[str, str]
    rows: tuple[BenchmarkRow, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]

    @property
    def ours(self) -> BenchmarkRow:
        """The row of our system."""
        return self.rows[0]

    def to_json(self) -> str:
        """Return the result as JSON."""
        return self.model_dump_json(indent=1) + "\n"


def tabulate(systems: Sequence[EvaluatedSystem], lists: Sequence[str], boot: Bootstrap) -> tuple[dict[str, str], tuple[BenchmarkRow, ...]]:
    """Return the best baseline of each list, and the rows: ours, ours without parts, baselines from the best down.

    The same users are drawn for each metric and each ratio.
    """
    best = {part: name for part in lists if (name := _best(systems, part))}
    ours, ablations = systems[0], [system for system in systems[1:] if system.kind == "without"]
    baselines = [system for system in systems if system.kind == "baseline"]
    systems = [ours, *ablations, *sorted(baselines, key=lambda system: -_quality(system, lists))]
    by_name = {system.name: system for system in systems}

    def metric_values(system: EvaluatedSystem, part: str) -> dict[str, Interval]:
        if part not in system.per_user:
            return {}
        theirs = system.per_user[part]
        values = boot.means({metric: theirs[metric] for metric in METRICS})
        values["ours_over"] = boot.paired_ratio(ours.per_user[part][RATIO], theirs[RATIO])
        if part in best:
            values["over_best"] = boot.paired_ratio(theirs[RATIO], by_name[best[part]].per_user[part][RATIO])
        return {name: Interval.of(value) for name, value in values.items()}

    rows = [
        BenchmarkRow(
            lists={part: values for part in lists if (values := metric_values(system, part))},
            answered=system.lists,
            **{name: getattr(system, name) for name in ("name", "kind", "note", "scores", "reliability", "seconds", "settings")},
        )
        for system in systems
    ]
    return best, tuple(rows)


def _best(systems: Sequence[EvaluatedSystem], part: str) -> str | None:
    """Return the baseline with the highest mean on a list; None without baselines or relevant items."""
    quality = {system.name: _quality(system, (part,)) for system in systems if system.kind == "baseline"}
    quality = {name: value for name, value in quality.items() if value > -math.inf}
    return max(quality, key=quality.__getitem__) if quality else None


def _quality(system: EvaluatedSystem, lists: Sequence[str]) -> float:
    """Return the mean NDCG@10 on the first of these lists that the system has; -inf where undefined."""
    values = next((system.per_user[part][RATIO] for part in lists if part in system.per_user), np.empty(0))
    return -math.inf if np.isnan(values).all() else float(np.nanmean(values))
