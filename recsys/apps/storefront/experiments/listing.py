"""Lists the experiments of a workspace, and reads them out by name or all that run."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from features.errors import DataError, RecsysError
from features.storage.atomic import write_whole
from features.text.closest import did_you_mean
from recsys.apps.storefront.experiments.assignment import changed_design
from recsys.apps.storefront.experiments.definition import day, read_experiments
from recsys.artifacts.bundle import list_bundles

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.apps.storefront.experiments.answers import ReadOut
    from recsys.apps.storefront.experiments.definition import Experiment
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listed:
    """An experiment of the file. `arms`: share by name; `problems`: why it is off, a line each."""

    experiment: str
    state: str
    unit: str
    metric: str
    begin: str
    end: str
    arms: dict[str, float]
    settings: dict[str, dict[str, Any]]
    problems: tuple[str, ...]

    def __str__(self) -> str:
        arms = ", ".join(f"{name} {share:.0%}" for name, share in self.arms.items())
        off = ", off" if self.problems else ""
        return f"{self.experiment}: {self.state}{off}, from {self.begin} to {self.end}, by {self.unit}, {self.metric}; {arms}"

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`; see docs/json.md."""
        return asdict(self)


def listed(workspace: Workspace, now: int) -> tuple[Listed, ...]:
    """Return the experiments of a workspace at a moment; raises ConfigError where the file is wrong."""
    designs, bundles = workspace.impressions.registered(), set(list_bundles(workspace.bundles))
    return tuple(
        Listed(
            one.name,
            one.state(now),
            one.unit,
            one.metric,
            day(one.begin),
            day(one.end),
            one.shares,
            {name: arm.settings.given for name, arm in one.arms.items()},
            tuple(_problems(one, designs, bundles)),
        )
        for one in read_experiments(workspace.experiments)
    )


def _problems(one: Experiment, designs: dict[str, tuple[str, int]], bundles: set[str]) -> list[str]:
    changed = changed_design(one, *designs[one.name]) if one.name in designs else None
    problems = [changed] if changed else []
    for name, arm in one.arms.items():
        if arm.settings.bundle is not None and arm.settings.bundle not in bundles:
            problems.append(f"experiment {one.name!r}: arm {name!r} names the bundle {arm.settings.bundle!r}, which is not kept here")
    return problems


def read_out_named(workspace: Workspace, name: str, now: int) -> ReadOut:
    """Read an experiment out, and write the result to reports/.

    Raises
    ------
    DataError
        There is no experiment of this name.
    """
    known = {one.name: one for one in read_experiments(workspace.experiments)}
    if name not in known:
        hint = did_you_mean(name, known) or (f": known are {', '.join(known)}" if known else ": the file names none")
        raise DataError(f"there is no experiment {name!r} in {workspace.experiments}{hint}")
    from recsys.apps.storefront.experiments.read_out import read_out  # here: the service lists experiments, and needs no statistics

    found = read_out(known[name], workspace.impressions, now)
    write_whole(report_of(workspace.reports, name), json.dumps(found.to_dict(), indent=2, allow_nan=False))
    return found


def report_of(reports: Path, name: str) -> Path:
    """Return the file of an experiment's last read-out."""
    return reports / f"experiment-{name}.json"


def watch_experiments(workspace: Workspace, settings: Settings) -> tuple[str, ...]:
    """Read all experiments out that have begun, and return the verdicts that differ from those of the last time, a sentence each."""
    now, told = int(time.time()), []
    try:
        begun = [one.name for one in read_experiments(workspace.experiments) if one.state(now) != "planned"]
    except RecsysError as error:  # a refresh has been published, whatever is wrong here
        _log.error("the experiments are not read out: %s", error)
        return ()
    for name in begun:
        before = _last_alert(report_of(workspace.reports, name))
        try:
            found = read_out_named(workspace, name, now)
        except Exception as error:  # the others are read out, whatever is wrong with this one
            reason = str(error) if isinstance(error, RecsysError) else f"unexpected {type(error).__name__}"
            _log.error("experiment %s is not read out: %s", name, reason)
            continue
        if found.alert is not None and found.alert != before:
            told.append(f"experiment {name}: {found.verdict}")
    return tuple(told)


def _last_alert(report: Path) -> str | None:
    try:
        return json.loads(report.read_bytes())["alert"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
