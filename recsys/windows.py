"""Which stretch of time each model is fitted on: every later one stands on scores of data that the earlier ones never saw."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime

from features.errors import DataError
from features.interactions import DAY

MOST_DAYS = 28.0
STRETCHES = 10  # of which the last five are windows; the rest, and all before, trains the towers


@dataclass(frozen=True)
class Window:
    """start <= time < end, seconds since the epoch."""

    start: int
    end: int

    @property
    def days(self) -> float:
        return (self.end - self.start) / DAY

    def __str__(self) -> str:
        return f"{moment(self.start)} to {moment(self.end)}"


@dataclass(frozen=True)
class Windows:
    """Windows of one length, one after another, up to `until`.

    towers: histories and purchases that the towers learn from. validation: by which their training is stopped. early, late: labels of the
    blend, and of the cross-encoder (early alone). correction: labels of the blend's second booster. calibration: of the probabilities.
    """

    towers: Window
    validation: Window
    early: Window
    late: Window
    correction: Window
    calibration: Window

    @classmethod
    def plan(cls, start: int, until: int) -> Windows:
        """Cut the time from `start` to `until`.

        Raises
        ------
        DataError: the time is too short for ten stretches of an hour.
        """
        length = int(min(MOST_DAYS * DAY, (until - start) / STRETCHES))
        if length < 3600:
            raise DataError(
                f"the log covers {(until - start) / 3600:.1f} hours before {moment(until)}, expected at least {STRETCHES}: "
                "bring a longer log, or build the index without training"
            )
        edges = [until - length * back for back in range(5, -1, -1)]
        later = [Window(begin, end) for begin, end in itertools.pairwise(edges)]
        return cls(Window(start, edges[0]), *later)

    def to_dict(self) -> dict[str, str]:
        return {name: str(window) for name, window in vars(self).items()}


def moment(seconds: int) -> str:
    """ISO 8601, UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M")
