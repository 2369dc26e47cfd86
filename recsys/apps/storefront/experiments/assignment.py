"""Assigns units to the arms of the experiments that run, and refuses experiments whose design changed while they ran."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eval.experiment.splits import arms_of
from features.errors import RecsysError
from features.storage.file_stamp import file_stamp
from recsys.apps.storefront.experiments.definition import ArmSettings, day, read_experiments
from recsys.workspace.served_pages import ArmExposure

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.apps.storefront.experiments.definition import Experiment
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
SALT = "experiment/{}"
RETRY_SECONDS = 60.0  # until a design that could not be stored is tried again


@dataclass(frozen=True)
class Assigned:
    """What holds for one page: the settings of all its arms together, and the exposures to store with it."""

    settings: ArmSettings = field(default_factory=ArmSettings)
    exposures: tuple[ArmExposure, ...] = ()


def arm_of(experiment: Experiment, unit: str) -> str:
    """Return the arm that a unit sees; it stays as long as name and weights do."""
    shares = experiment.shares
    return list(shares)[int(arms_of([unit], SALT.format(experiment.name), list(shares.values()))[0])]


def changed_design(experiment: Experiment, stored: str, since: int) -> str | None:
    """Return what differs from the design under which an experiment first ran, in one line; None if nothing does."""
    if experiment.design == stored:
        return None
    old, new = json.loads(stored), json.loads(experiment.design)
    begin = f"experiment {experiment.name!r}"
    gone = sorted(set(old["arms"]) - set(new["arms"]))
    if gone:
        shown = f"{begin}: arm {gone[0]!r} has been shown since {day(since)} and is not in the file"
        return f"{shown}: put it back, or end the experiment with `to`"
    shares = [", ".join(f"{arm} {values['share']:.3g}" for arm, values in design["arms"].items()) for design in (old, new)]
    if shares[0] != shares[1]:
        return (
            f"{begin}: the shares have been {shares[0]} since {day(since)} and are {shares[1]} now, which moves units between arms: "
            "restore them, or give the experiment a new name"
        )
    parts = {f"the settings of arm {arm}": (old["arms"][arm]["settings"], new["arms"][arm]["settings"]) for arm in new["arms"]}
    parts |= {f"`{name}`": (old.get(name), new[name]) for name in new if name != "arms"}
    name, (before, now) = next((name, both) for name, both in parts.items() if both[0] != both[1])
    return (
        f"{begin}: {name} have been {_json(before)} since {day(since)} and are {_json(now)} now: "
        "restore that, or give the experiment a new name"
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


class ExperimentBook:
    """The experiments of a workspace for the service. What the file says holds from the next `catch_up` on.

    A file that is wrong leaves the experiments as they were. An experiment whose design changed while it ran is off: everybody sees what
    the shop has, and the log says why. So is one whose design cannot be stored, until that is tried again.

    Parameters
    ----------
    ready : whether a bundle can answer; an experiment with an arm whose bundle cannot is off for all its arms, or their sizes would differ.
    """

    def __init__(self, workspace: Workspace, ready: Callable[[str], bool] = lambda _: True) -> None:
        self._workspace, self._ready = workspace, ready
        self._seen: list[int] | None = None
        self._experiments: tuple[Experiment, ...] = ()
        self._allowed: dict[str, bool] = {}
        self._retry = 0.0
        self._reading = threading.Lock()

    def catch_up(self, now: int) -> None:
        """Read the file if it changed, and register what has begun. It may wait for the disk and for other writers."""
        with self._reading:
            experiments, allowed = self._experiments, dict(self._allowed)
            if (seen := file_stamp(self._workspace.experiments)) != self._seen:
                self._seen = seen
                try:
                    experiments, allowed, self._retry = read_experiments(self._workspace.experiments), {}, 0.0
                except RecsysError as error:
                    _log.error("the experiments stay as they were: %s", error)
            for experiment in experiments:
                if experiment.runs(now) and experiment.name not in allowed and time.monotonic() >= self._retry:
                    self._register(experiment, allowed, now)
            self._allowed, self._experiments = allowed, experiments

    def bundles(self, now: int) -> set[str]:
        """Return the bundles that arms of running experiments name."""
        arms = (arm for experiment in self._experiments if experiment.runs(now) for arm in experiment.arms.values())
        return {arm.settings.bundle for arm in arms if arm.settings.bundle is not None}

    def assign(self, page: str, user: str | None, session: str | None, now: int) -> Assigned:
        """Return the arms of a page that somebody asks for; waits for nothing."""
        settings: dict[str, Any] = {}
        exposures = []
        for experiment in self._experiments:
            unit = user if experiment.unit == "user" else session
            if unit is None or not experiment.runs(now) or (experiment.pages and page not in experiment.pages):
                continue
            if not self._may_run(experiment):
                continue
            arm = arm_of(experiment, unit)
            settings |= experiment.arms[arm].settings.given
            exposures.append(ArmExposure(experiment.name, arm, experiment.unit))
        return Assigned(ArmSettings(**settings), tuple(exposures)) if exposures else _OUTSIDE

    def _register(self, experiment: Experiment, allowed: dict[str, bool], now: int) -> None:
        """Note whether the design is the one under which the experiment first ran."""
        try:
            changed = changed_design(experiment, *self._workspace.impressions.register(experiment.name, experiment.design, now))
        except RecsysError as error:
            _log.error("experiment %s is off, and is tried again in %g seconds: %s", experiment.name, RETRY_SECONDS, error)
            self._retry = time.monotonic() + RETRY_SECONDS
            return
        if changed is not None:
            _log.error("an experiment is off until its design is restored: %s", changed)
        allowed[experiment.name] = changed is None

    def _may_run(self, experiment: Experiment) -> bool:
        if not self._allowed.get(experiment.name, False):
            return False
        bundles = [arm.settings.bundle for arm in experiment.arms.values() if arm.settings.bundle is not None]
        ready = [self._ready(bundle) for bundle in bundles]  # all are asked, so that all are opened
        return all(ready)


_OUTSIDE = Assigned()
