"""When a rule holds: between two days or moments, on some days of the week, in some hours, all in the shop's time zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from datetime import tzinfo

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
DAY_HOURS = 24
YEARS = range(1971, 2101)  # near the ends of the calendar a time zone or the day after has no date


def _moment(value: Any) -> Any:
    """Read a day or a moment, as TOML or text has it; a day stays one, for its end is not its beginning."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == len("2026-12-01") else datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date):
        raise ValueError("expected a day or a time such as 2026-12-01 or 2026-12-01T18:00")
    if value.year not in YEARS:
        raise ValueError(f"the year is {value.year}, expected {YEARS[0]} to {YEARS[-1]}: leave the key out for no bound")
    return value


def _hour(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= DAY_HOURS:
        raise ValueError("expected hours as two whole numbers from 0 to 24, such as [18, 22]")
    return value


Moment = Annotated[date | datetime, BeforeValidator(_moment)]
Hour = Annotated[int, BeforeValidator(_hour)]


class Schedule(BaseModel):
    """When a rule holds; a key that is left out stands for any time.

    Attributes
    ----------
    start, end : the first and the last day, both included, or the moments between which it holds; `from` and `to` in the file.
        A moment without a zone is the shop's.
    days : days of the week.
    hours : from the first hour until the second one; [22, 2] goes over midnight, and each part belongs to its own day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    start: Moment | None = Field(default=None, alias="from")
    end: Moment | None = Field(default=None, alias="to")
    days: tuple[Weekday, ...] = ()
    hours: tuple[Hour, Hour] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        # 24 and 0 are one moment, but that [0, 24] is the whole day.
        if self.hours not in (None, (0, DAY_HOURS)) and self.hours[0] % DAY_HOURS == self.hours[1] % DAY_HOURS:
            raise ValueError(f"hours are {list(self.hours)}, expected two different ones: leave the key out for the whole day")
        return self

    def between(self, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
        """Return the moments from which and until which it holds, in the zone; None: without a bound."""
        end = self.end
        if end is not None and not isinstance(end, datetime):
            end += timedelta(days=1)  # the last day is included
        return _in_zone(self.start, zone), _in_zone(end, zone)

    def holds(self, moment: datetime, zone: tzinfo) -> bool:
        """Return whether it holds at a moment, which has a zone."""
        start, end = self.between(zone)
        local = moment.astimezone(zone)
        return (
            (start is None or local >= start)
            and (end is None or local < end)
            and (not self.days or WEEKDAYS[local.weekday()] in self.days)
            and local.hour in self._hours
        )

    def meets(self, other: Schedule, zone: tzinfo) -> bool:
        """Return whether there may be a moment at which both hold."""
        starts, ends = zip(self.between(zone), other.between(zone), strict=True)
        start = max((one for one in starts if one is not None), default=None)
        end = min((one for one in ends if one is not None), default=None)
        if start is not None and end is not None and start >= end:
            return False
        days = set(self.days or WEEKDAYS) & set(other.days or WEEKDAYS)
        return bool(days) and not self._hours.isdisjoint(other._hours)

    def is_over(self, moment: datetime, zone: tzinfo) -> bool:
        """Return whether it will never hold again after a moment."""
        end = self.between(zone)[1]
        return end is not None and moment >= end

    @property
    def _hours(self) -> frozenset[int]:
        if self.hours is None:
            return frozenset(range(DAY_HOURS))
        first, last = self.hours
        return frozenset(range(first, last) if first < last else [*range(first, DAY_HOURS), *range(last)])


def _in_zone(moment: date | datetime | None, zone: tzinfo) -> datetime | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
