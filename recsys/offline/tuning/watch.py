"""Tells of trials as they run: a line each in the log, and a run each where the settings name a tracker of experiments."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from recsys.tracking.run import TrackedRun, tracked

if TYPE_CHECKING:
    from recsys.offline.tuning.search_space import Values
    from recsys.settings.tracking import TrackingConfig

_log = logging.getLogger(__name__)


class Watch(Protocol):
    """Told what the trials do, for the log and for trackers of experiments."""

    def begin(self, stage: str, number: int, values: Values) -> None:
        """Take the beginning of a trial."""
        ...

    def step(self, step: int, value: float) -> None:
        """Take its value after a step."""
        ...

    def end(self, how: str, value: float | None) -> None:
        """Take its end."""
        ...


@dataclass
class TrialLog:
    """Implements `Watch`."""

    tracking: TrackingConfig
    name: str = ""
    begun: float = 0.0
    run: TrackedRun = field(default_factory=TrackedRun)
    opened: ExitStack = field(default_factory=ExitStack)

    def begin(self, stage: str, number: int, values: Values) -> None:
        """Open the run of a trial."""
        self.name, self.begun = f"{stage.rpartition('-')[0]} trial {number}", time.monotonic()
        self.opened = ExitStack()
        self.run = self.opened.enter_context(tracked(self.tracking, f"tune {self.name}", values))

    def step(self, step: int, value: float) -> None:
        """Log a value."""
        self.run.log({"validation_ndcg": value}, step)

    def end(self, how: str, value: float | None) -> None:
        """Close the run."""
        shown = f"NDCG@10 {value:.4f}" if value is not None else how
        _log.info("%s: %s, %.0f s", self.name, shown, time.monotonic() - self.begun)
        if value is not None:
            self.run.log({"value": value})
        self.run.tags["state"] = how
        self.opened.close()
