"""One table of a benchmark: ours, ours without each of its parts, baselines, all judged on the same users; and its JSON."""

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
RATIO = "ndcg@10"  # by which systems are compared


class Interval(BaseModel):
    """A figure with its 95% interval; None where there is none. users: how many it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    value: float | None
    low: float | None
    high: float | None
    users: int

    @classmethod
    def of(cls, figure: MetricValue) -> Interval:
        value, low, high = (float(x) if math.isfinite(x) else None for x in (figure.value, figure.low, figure.high))
        return cls(value=value, low=low, high=high, users=figure.users)


class Points(BaseModel):
    """Points of a reliability plot: what was promised, what came, and how many pairs, by bins."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    promised: list[float]
    came: list[float]
    counts: list[int]

    @classmethod
    def of(cls, points: Reliability) -> Points:
        return cls(promised=points.promised.tolist(), came=points.came.tolist(), counts=points.counts.tolist())

    @property
    def reliability(self) -> Reliability:
        """For the plot; which pair is in which bin is not kept."""
        return Reliability(np.empty(0, dtype=np.int64), np.array(self.promised), np.array(self.came), np.array(self.counts))


@dataclass(frozen=True)
class Judged:
    """One system, judged.

    Attributes
    ----------
    per_user: list -> metric -> (users,), nan where nothing was relevant. scores: AUC and, of probabilities, log loss and calibration error.
    seconds: of "tune", "fit" and "answer" (all lists together), where known. lists: how many lists were answered. note: what it is.
    settings: with what it was fitted.
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
    def of(cls, name: str, kind: Kind, report: Report, **about: Any) -> Judged:
        """From its report."""
        per_user = {part: {metric: values[metric] for metric in METRICS} for part, values in report.per_user.items()}
        # A baseline's scores are no probabilities.
        scores = {key: Interval.of(report.metrics[key]) for key in SCORES if key in report.metrics and report.reliability}
        points = Points.of(report.reliability) if report.reliability else None
        return cls(name, kind, per_user, scores, points, **about)

    def to_files(self) -> dict[str, bytes]:
        arrays = {f"{part}/{metric}": column for part, columns in self.per_user.items() for metric, column in columns.items()}
        about = {key: value for key, value in vars(self).items() if key not in ("per_user", "scores", "reliability")}
        about["scores"] = {key: figure.model_dump() for key, figure in self.scores.items()}
        about["reliability"] = self.reliability.model_dump() if self.reliability else None
        text = json.dumps(about, indent=1, allow_nan=False)
        return {
            "per_user.safetensors": save({name: np.ascontiguousarray(column) for name, column in arrays.items()}),
            "about.json": text.encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Judged:
        about, per_user = json.loads(files["about.json"]), {}
        for name, column in load(files["per_user.safetensors"]).items():
            part, metric = name.split("/")
            per_user.setdefault(part, {})[metric] = column
        scores = {key: Interval(**figure) for key, figure in about.pop("scores").items()}
        points = about.pop("reliability")
        return cls(per_user=per_user, scores=scores, reliability=Points(**points) if points else None, **about)


class Row(BaseModel):
    """A system's figures, by list; `over_best`: its NDCG@10 over the best baseline's, `ours_over`: that of ours over its."""

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


class Split(BaseModel):
    """How the log was cut. users: judged on, of `of_users`; items: known before the cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    protocol: str
    cut: str
    users: int
    of_users: int
    items: int


class Result(BaseModel):
    """The whole table. best: the best baseline of each list, by NDCG@10."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    data: str
    split: Split
    lists: tuple[str, ...]
    best: dict[str, str]
    rows: tuple[Row, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]

    @property
    def ours(self) -> Row:
        return self.rows[0]

    def to_json(self) -> str:
        return self.model_dump_json(indent=1) + "\n"


def tabulate(systems: Sequence[Judged], lists: Sequence[str], boot: Bootstrap) -> tuple[dict[str, str], tuple[Row, ...]]:
    """The best baseline of each list, and a row a system: ours, ours without parts, baselines from the best down.

    The same users are drawn for each figure and each ratio.
    """
    best = {part: name for part in lists if (name := _best(systems, part))}
    ours, rest = systems[0], [system for system in systems[1:] if system.kind == "without"]
    baselines = [system for system in systems if system.kind == "baseline"]
    systems = [ours, *rest, *sorted(baselines, key=lambda system: -_quality(system, lists))]
    by_name = {system.name: system for system in systems}

    def compared(system: Judged, part: str) -> dict[str, Interval]:
        if part not in system.per_user:
            return {}
        own = system.per_user[part]
        figures = boot.means({metric: own[metric] for metric in METRICS})
        figures["ours_over"] = boot.paired_ratio(ours.per_user[part][RATIO], own[RATIO])
        if part in best:
            figures["over_best"] = boot.paired_ratio(own[RATIO], by_name[best[part]].per_user[part][RATIO])
        return {name: Interval.of(figure) for name, figure in figures.items()}

    rows = [
        Row(
            lists={part: found for part in lists if (found := compared(system, part))},
            answered=system.lists,
            **{name: getattr(system, name) for name in ("name", "kind", "note", "scores", "reliability", "seconds", "settings")},
        )
        for system in systems
    ]
    return best, tuple(rows)


def _best(systems: Sequence[Judged], part: str) -> str | None:
    """The baseline with the highest mean on a list; None where nobody has anything relevant, or there are no baselines."""
    quality = {system.name: _quality(system, (part,)) for system in systems if system.kind == "baseline"}
    quality = {name: value for name, value in quality.items() if value > -math.inf}
    return max(quality, key=quality.__getitem__) if quality else None


def _quality(system: Judged, lists: Sequence[str]) -> float:
    """Mean NDCG@10 on the first of these lists that it was judged on; -inf where there is none."""
    values = next((system.per_user[part][RATIO] for part in lists if part in system.per_user), np.empty(0))
    return -math.inf if np.isnan(values).all() else float(np.nanmean(values))
