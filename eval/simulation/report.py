"""The report of a simulation, ready for JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from eval.experiment.effects import Effect


def finite(value: float) -> float | None:
    """Return the value, None where it is nan or infinite."""
    return float(value) if math.isfinite(value) else None


class _Frozen(BaseModel):
    """Base of the report's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(_Frozen):
    """`eval.experiment.effects.Effect` with None in place of nan."""

    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    users: int

    @classmethod
    def of(cls, effect: Effect) -> Comparison:
        """Convert from an `Effect`."""
        values = {name: finite(value) for name, value in vars(effect).items() if name != "users"}
        return cls(users=effect.users, **values)

    @property
    def sign(self) -> int:
        """1 where b is better beyond chance, -1 where a is, 0 where that is open."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


class SegmentRow(_Frozen):
    """A metric in a segment.

    Attributes
    ----------
    paired : both variants on the same users
    unpaired : each variant on the users assigned to it
    cuped : the same after CUPED
    variance_left : share of the variance that CUPED leaves
    """

    segment: str
    metric: str
    paired: Comparison
    unpaired: Comparison
    cuped: Comparison
    variance_left: float | None


class Look(_Frozen):
    """The always-valid interval at the end of a day, on each user's first visit; None before there are enough users."""

    day: str
    users: int
    difference: float
    low: float | None
    high: float | None


class Daily(_Frozen):
    """Mean of the primary metric over a day's visits, both variants on all of them."""

    day: str
    visits: int
    a: float | None
    b: float | None


class Online(_Frozen):
    """Whether an online test would find the paired difference.

    Attributes
    ----------
    needed, needed_cuped : users a variant for a power of 80%; None where there is no difference
    power, power_cuped : with the users of the simulation
    detectable : the smallest difference that these users find in 80% of cases
    users_a_day : first visits a day
    """

    difference: float
    needed: float | None
    needed_cuped: float | None
    power: float
    power_cuped: float
    detectable: float
    users_a_day: float


class UserSplit(_Frozen):
    """How many users were assigned to each variant.

    Attributes
    ----------
    share_b : intended share of b
    p_value, ok : of the test for sample ratio mismatch
    """

    users_a: int
    users_b: int
    share_b: float
    p_value: float
    ok: bool


class AATest(_Frozen):
    """Variant a against itself.

    Attributes
    ----------
    runs : number of splits
    low, high : 95% interval of the number of false alarms at a rate of 5%
    alarms : false alarms by test
    flat : by test, whether they are what a rate of 5% gives
    """

    runs: int
    low: int
    high: int
    alarms: dict[str, int]
    flat: dict[str, bool]


class Side(_Frozen):
    """One variant.

    Attributes
    ----------
    facts : its settings
    models : first day -> the model that recommended from then on
    coverage : share of the known items that it showed
    note : what else to know
    """

    name: str
    facts: dict[str, Any]
    models: dict[str, str]
    coverage: float
    note: str = ""


class Clicks(_Frozen):
    """A click log that was written.

    Attributes
    ----------
    lists : how many lists it holds
    a, b : expected clicks of a list of each variant under the click model
    """

    lists: int
    a: float
    b: float


class Simulation(_Frozen):
    """The whole report.

    Attributes
    ----------
    alike : share of visits at which both variants showed the same list
    clicks : None where no click log was requested
    """

    data: str
    start: str
    days: int
    horizon_days: int
    visits: int
    users: int
    alike: float
    a: Side
    b: Side
    rows: tuple[SegmentRow, ...]
    daily: tuple[Daily, ...]
    looks: tuple[Look, ...]
    online: Online
    split: UserSplit
    same_arms: AATest | None
    clicks: Clicks | None = None

    def row(self, segment: str, metric: str) -> SegmentRow:
        """Return the row of a segment and a metric."""
        return next(row for row in self.rows if (row.segment, row.metric) == (segment, metric))

    @property
    def decided(self) -> Look | None:
        """The first look whose interval leaves 0 out."""
        return next(
            (look for look in self.looks if look.low is not None and look.high is not None and not look.low <= 0 <= look.high), None
        )

    def to_json(self) -> str:
        """Return the report as JSON."""
        return self.model_dump_json(indent=1) + "\n"
