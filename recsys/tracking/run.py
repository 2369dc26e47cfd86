"""One run of a training, a search or an evaluation, logged wherever the settings ask for it.

A tracker that fails is left out from then on with one line that gives the reason: a training of hours must not end because a
server of experiments is down.
"""

from __future__ import annotations

import logging
import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from features.errors import one_line
from recsys.environment import missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from recsys.settings.tracking import TrackingConfig

_log = logging.getLogger(__name__)
FINISHED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"  # MLflow's words


class Tracker(Protocol):
    """A run in one system of experiments."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log the values of a step."""
        ...

    def finish(self, tags: Mapping[str, str], status: str) -> None:
        """End the run with facts about it, such as the model's id."""
        ...


@dataclass
class TrackedRun:
    """A run with its trackers, by name. Every call may be made whether or not there are any.

    Attributes
    ----------
    tags : facts that are logged when the run ends.
    """

    trackers: dict[str, Tracker] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def epoch(self, phase: str, epoch: int, values: Mapping[str, float]) -> None:
        """Log an epoch; implements `features.progress.EpochWatch`."""
        self.log({f"{phase}/{name}": value for name, value in values.items()}, epoch + 1)

    def log(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log the values of a step; those that are not finite are left out."""
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        for name in list(self.trackers):
            self._guarded(name, lambda tracker: tracker.log(finite, step))

    def results(self, report: Mapping[str, Any]) -> None:
        """Log the numbers of a nested report; a list of numbers becomes a curve, and texts are left out."""
        numbers, curves = {}, {}
        for name, value in flat(report).items():
            if isinstance(value, list | tuple):
                curves[name] = value
            elif isinstance(value, int | float):
                numbers[name] = value
        self.log(numbers)
        for name, values in curves.items():
            for step, value in enumerate(values):
                if isinstance(value, int | float):
                    self.log({name: value}, step)

    def finish(self, status: str) -> None:
        """End the run in all trackers."""
        for name in list(self.trackers):
            self._guarded(name, lambda tracker: tracker.finish(self.tags, status))

    def begin(self, name: str, start: Callable[[], Tracker]) -> None:
        """Start a tracker."""
        try:
            self.trackers[name] = start()
        except Exception as error:  # whatever a server, a disk or a library does
            _warn(name, error)

    def _guarded(self, name: str, call: Callable[[Tracker], None]) -> None:
        try:
            call(self.trackers[name])
        except Exception as error:  # as in `begin`
            del self.trackers[name]
            _warn(name, error)


@contextmanager
def tracked(config: TrackingConfig, name: str, settings: Mapping[str, Any]) -> Iterator[TrackedRun]:
    """Log a run until the context ends.

    Parameters
    ----------
    name : what is run, such as "train".
    settings : logged as the run's parameters, nested or not.
    """
    run = TrackedRun()
    if config.mlflow is not None:
        from recsys.tracking.mlflow_run import MlflowRun

        where = config.mlflow
        run.begin("mlflow", lambda: MlflowRun.start(where, config.experiment, name, flat(settings)))
    if config.tensorboard is not None:
        from recsys.tracking.tensorboard_run import TensorboardRun

        folder = config.tensorboard
        run.begin("tensorboard", lambda: TensorboardRun.start(folder, name, flat(settings)))
    status = FAILED
    try:
        yield run
        status = FINISHED
    except KeyboardInterrupt:
        status = KILLED
        raise
    finally:
        run.finish(status)


def flat(values: Mapping[str, Any], separator: str = ".") -> dict[str, Any]:
    """Return nested values under the dotted path of their keys."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        inner = flat(value, separator) if isinstance(value, dict) else {"": value}
        out |= {f"{name}{separator}{key}" if key else name: each for key, each in inner.items()}
    return out


def _warn(name: str, error: Exception) -> None:
    advice = missing_extra(error) if isinstance(error, ModuleNotFoundError) else None
    reason = advice or f"{type(error).__name__}: {one_line(error)[:200]}"
    _log.warning("note: tracking.%s: nothing more of this run is logged there: %s", name, reason)
