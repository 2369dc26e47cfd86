"""How long a search may take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Budget:
    """When a search has to end.

    Attributes
    ----------
    end : of the clock, in seconds; None for a search without limit.
    """

    end: float | None = None
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> Budget:
        """Begin a budget."""
        return cls(None if minutes is None else clock() + 60 * minutes, clock)

    def share(self, part: float) -> Budget:
        """Return the budget of the first `part` of the time that is left."""
        return self if self.end is None else Budget(self.clock() + part * (self.end - self.clock()), self.clock)

    @property
    def left(self) -> float | None:
        """Seconds that are left; None for a search without limit."""
        return None if self.end is None else self.end - self.clock()

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.end is not None and self.clock() >= self.end
