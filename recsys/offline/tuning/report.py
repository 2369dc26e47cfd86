"""The result of a search for settings: as JSON, as a table and as a part of recsys.toml."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from features.text.plain import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eval.metrics.intervals import MetricValue
    from recsys.offline.tuning.comparison import Compared
    from recsys.offline.tuning.search_space import Value

VALUE = "NDCG@10"


@dataclass(frozen=True)
class StageResult:
    """What a stage has found.

    Attributes
    ----------
    trials, pruned, failed : those of earlier calls included.
    current, best : NDCG@10 on the stage's validation windows; stages have different ones.
    """

    name: str
    trials: int
    pruned: int
    failed: int
    current: float
    best: float


@dataclass(frozen=True)
class SettingChange:
    """A key whose value changes.

    Attributes
    ----------
    gain : NDCG@10 on validation that is lost if this key alone goes back; None where only all keys of the stage together were judged.
    """

    key: str
    stage: str
    before: Value
    after: Value
    gain: float | None


@dataclass(frozen=True)
class TuningReport:
    """The result of `recsys tune`.

    Attributes
    ----------
    fixed : keys of the search that stayed as they are, because the user set them.
    validation : tuned over current settings by the base booster's order, of the same users.
    test : None if nothing changed, or where it was left out.
    notes : what the search could not do.
    """

    stages: tuple[StageResult, ...]
    changes: tuple[SettingChange, ...]
    fixed: tuple[str, ...]
    validation: MetricValue | None
    test: Compared | None
    cut: str
    users: int
    notes: tuple[str, ...] = ()

    @property
    def toml(self) -> str:
        """The changed keys as sections of recsys.toml; empty where nothing changes."""
        return as_toml(self.changes)

    def to_json(self) -> str:
        """Return the report as JSON."""
        test = None if self.test is None else {name: _rounded(value) for name, value in vars(self.test).items()}
        values: dict[str, Any] = {
            "changes": [asdict(change) for change in self.changes],
            "fixed": list(self.fixed),
            "stages": [asdict(stage) for stage in self.stages],
            "validation": None if self.validation is None else {"ratio": _rounded(self.validation)},
            "test": test,
            "cut": self.cut,
            "users": self.users,
            "toml": self.toml,
            "notes": list(self.notes),
        }
        return json.dumps(values, indent=2, allow_nan=False)


def as_toml(changes: Iterable[SettingChange]) -> str:
    """Return changed keys as sections of recsys.toml."""
    sections: dict[str, list[str]] = {}
    for change in changes:
        section, key = change.key.split(".")
        sections.setdefault(section, []).append(f"{key} = {json.dumps(change.after)}")
    return "\n".join("\n".join([f"[{section}]", *lines, ""]) for section, lines in sections.items())


def table(report: TuningReport) -> Group:
    """Return what `recsys tune` prints."""
    parts: list[Table | Text] = [_stages(report)]
    if report.changes:
        parts.append(_changes(report))
    parts += [Text(line) for line in lines(report)]
    if report.changes:
        parts.append(Text(f"\nPut this into recsys.toml:\n\n{report.toml}"))
    return Group(*parts)


def lines(report: TuningReport) -> list[str]:
    """Return the sentences below the tables."""
    out = [f"note: {note}" for note in report.notes]
    if report.fixed:
        out.append(f"note: set by you, and so not searched: {', '.join(report.fixed)}")
    if not report.changes:
        return [*out, "No trial is better than the current settings on validation: keep them."]
    if report.validation is not None:
        out.append(f"Validation, which chose: {_ratio(report.validation)} of the current {VALUE}")
    if report.test is not None:
        test = report.test
        out.append(
            f"Test after {report.cut}, looked at once: {test.tuned.value:.4f} against {test.current.value:.4f}, {_ratio(test.ratio)} "
            f"({counted(test.ratio.users, 'user')})"
        )
        out.append(verdict(test))
    return out


def verdict(test: Compared) -> str:
    """Return what the test says of the changes."""
    if test.ratio.low > 1:
        return "The test confirms the gain."
    if test.ratio.high < 1:
        return "The test speaks against the changes: keep the current settings."
    return "The test does not confirm the gain: its interval holds 1, so the changes may be chance."


def _ratio(value: MetricValue) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}] times"


def _rounded(value: MetricValue) -> dict[str, Any]:
    return {name: round(each, 5) if isinstance(each, float) else each for name, each in value.as_json().items()}


def _stages(report: TuningReport) -> Table:
    grid = Table(title=f"{VALUE} on validation, before {report.cut}")
    for heading in ("stage", "trials", "ended early", "failed", "current", "best"):
        grid.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in report.stages:
        counts = (stage.trials, stage.pruned, stage.failed)
        grid.add_row(stage.name, *(f"{count:,}" for count in counts), f"{stage.current:.4f}", f"{stage.best:.4f}")
    return grid


def _changes(report: TuningReport) -> Table:
    grid = Table(title="changes")
    for heading in ("key", "now", "tuned", "gain on validation"):
        grid.add_column(heading, justify="left" if heading == "key" else "right")
    for change in report.changes:
        gain = "with the stage's others" if change.gain is None else f"{change.gain:+.4f}"
        grid.add_row(change.key, str(change.before), str(change.after), gain)
    return grid
