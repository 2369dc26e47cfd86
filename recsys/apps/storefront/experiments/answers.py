"""What the read-out of an experiment says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

GUARDRAIL_WORDS = {
    "error_share": "the share of failed pages is {value:+.2%} against the control, at most {limit:+.2%} is allowed",
    "latency_p95_ms": "{value:.1%} of a unit's pages take longer than {limit:g} ms, at most 5% may",
    "revenue": "the revenue of a unit is {value:+,.2f} against the control, at most {limit:.1%} of it may be lost",
}


@dataclass(frozen=True)
class DailyLook:
    """The difference between an arm and the control at the end of a day, with its always-valid interval; None before there is one."""

    day: str
    units: int
    difference: float
    low: float | None
    high: float | None

    @property
    def decides(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class ArmComparison:
    """An arm against the control.

    Attributes
    ----------
    latest : None while no unit counts.
    looks : the end of each day, and now.
    decided : the first day whose interval leaves 0 out; None without one.
    better : whether the arm is better there.
    """

    arm: str
    latest: DailyLook | None
    looks: tuple[DailyLook, ...]
    decided: str | None
    better: bool


@dataclass(frozen=True)
class ArmResult:
    """One arm: units that entered, those that count, and their means; None without units."""

    arm: str
    share: float
    units: int
    counted: int
    mean: float | None
    revenue: float | None
    error_share: float | None
    latency_p95_ms: float | None


@dataclass(frozen=True)
class Guardrail:
    """What an arm must not do. `value`: the difference, or for the latency the share of slow pages; None before units count."""

    arm: str
    name: str
    limit: float
    value: float | None
    broken: bool

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.arm}: {self.name} is not known yet"
        told = GUARDRAIL_WORDS[self.name].format(value=self.value, limit=self.limit)
        return f"{self.arm}: {told}{': BROKEN' if self.broken else ''}"


@dataclass(frozen=True)
class ReadOut:
    """An experiment at one moment.

    Attributes
    ----------
    ratio_p : p-value of the arms' sizes under their shares; `ratio_kept`: whether it is no sample ratio mismatch.
    """

    experiment: str
    unit: str
    metric: str
    control: str
    begin: str
    end: str
    now: str
    state: str
    ratio_p: float
    ratio_kept: bool
    arms: tuple[ArmResult, ...]
    comparisons: tuple[ArmComparison, ...]
    guardrails: tuple[Guardrail, ...]
    notes: tuple[str, ...]

    @property
    def broken(self) -> tuple[Guardrail, ...]:
        """The guardrails that are broken."""
        return tuple(guardrail for guardrail in self.guardrails if guardrail.broken)

    @property
    def verdict(self) -> str:
        """What to do, in one sentence."""
        if not self.ratio_kept:
            sizes = ", ".join(f"{arm.arm} {arm.units:,}" for arm in self.arms)
            return f"no result is valid: the arms have {sizes} units (p {self.ratio_p:.2g} under their shares): find out who is missing"
        if self.broken:
            names = ", ".join(f"{guardrail.arm} breaks {guardrail.name}" for guardrail in self.broken)
            return f"{names}: end the experiment, or the arm's share"
        decided = [one for one in self.comparisons if one.decided is not None]
        if decided:
            told = (f"{one.arm} is {'better' if one.better else 'worse'} than {self.control} since {one.decided}" for one in decided)
            return f"{', '.join(told)}: the interval leaves 0 out, and one may stop"
        counted = sum(arm.counted for arm in self.arms)
        return f"nothing is decided after {counted:,} {self.unit}s: the difference may be 0"

    @property
    def alert(self) -> str | None:
        """What somebody should see to, in a few words that do not change from day to day; None for nothing."""
        if not self.ratio_kept:
            return "sample ratio mismatch"
        if self.broken:
            return " ".join(f"{guardrail.arm}/{guardrail.name}" for guardrail in self.broken)
        decided = [one.arm for one in self.comparisons if one.decided is not None]
        return f"decided: {' '.join(decided)}" if decided else None

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`; see docs/json.md."""
        return asdict(self) | {"verdict": self.verdict, "alert": self.alert}
