"""A circuit breaker: a step that keeps failing is skipped for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class CircuitBreaker:
    """Counts failures in a row and decides whether to try again.

    Closed, it allows every call. After `failures` failures in a row it opens and allows none for `seconds`. Then it
    allows one trial: a success closes it, a failure opens it again. If the outcome of a trial is never recorded, because
    its client disconnected, another trial follows after `seconds`. Not thread-safe: for one event loop.

    Parameters
    ----------
    failures
        Failures in a row that open it.
    seconds
        How long it stays open before a trial.
    clock
        Returns seconds; differences alone matter.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._seconds, self._clock = failures, seconds, clock
        self._failures = 0  # in a row
        self._retry_at = 0.0

    def allows(self) -> bool:
        """Return whether to make the call now. The one allowed after an open period is the trial."""
        if self._failures < self._limit:
            return True
        if self._clock() < self._retry_at:
            return False
        self._retry_at = self._clock() + self._seconds  # other calls wait for the trial's outcome
        return True

    def record(self, *, success: bool) -> None:
        """Record the outcome of a call."""
        self._failures = 0 if success else self._failures + 1
        if self._failures >= self._limit:
            self._retry_at = self._clock() + self._seconds
