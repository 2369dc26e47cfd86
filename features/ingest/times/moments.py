"""The time scale: which numbers and texts are moments, for columns (`times`) and for single values (the service)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FIRST_DATE = datetime(1971, 1, 1)  # naive UTC, like all timestamps here; an epoch of 0 is a default, not a date
FIRST_SECOND = 31_536_000  # of FIRST_DATE; whole numbers below it are dates written as yyyymmdd, days, or an order
SPREADSHEET_EPOCH = 25_569  # the day 1970-01-01 in the 1900 system of Excel, LibreOffice and Google Sheets
SPREADSHEET_FIRST = 32_874  # 1990-01-01 in the same system
MINUTES, SECONDS = "yyyymmddHHMM", "yyyymmddHHMMSS"


@dataclass(frozen=True)
class Unit:
    """A unit in which moments are counted since 1970, or a way to write them as one number.

    Attributes
    ----------
    low, high : the numbers that are read as this unit, `high` not included.
    micros : microseconds in one; None where the digits are a calendar date.
    """

    name: str
    low: float
    high: float
    micros: float | None


# In the order of their share in a column, the first wins a tie. The numbers of yyyymmddHHMM would be milliseconds
# of the year 1976.
UNITS = (
    Unit("seconds", FIRST_SECOND, 1e11, 1e6),
    Unit(MINUTES, 197_101_010_000, 210_012_312_360, None),
    Unit("milliseconds", 1e11, 1e13, 1e3),
    Unit("microseconds", 3e13, 1e16, 1.0),
    Unit("nanoseconds", 3e16, 1e19, 1e-3),
    Unit(SECONDS, 19_710_101_000_000, 21_001_231_235_960, None),
)
COMPACT_DATE = Unit("yyyymmdd", 19_710_101, 21_001_232, None)

# A date or time of ISO 8601 as most programs write it; `written_times` reads the rarer spellings.
ISO = (
    r"^\d{4}-\d\d-\d\d"
    r"(?:[T ](?:[01]\d|2[0-3])(?::[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?: ?[+-]\d\d(?::?\d\d)?)?)?)?"
    r"(?: ?(?:[Zz]|UTC|GMT))?$"
)
_PARTS = re.compile(
    r"^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?: ?([+-])(\d\d)(?::?(\d\d))?)?)?)?(?: ?(?:[Zz]|UTC|GMT))?$",
    re.ASCII,
)


def tomorrow() -> datetime:
    """Return the end of the times that a log may have: clocks differ by less than a day."""
    return datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)


def read_moment(value: float | str) -> datetime | None:
    """Return one time as naive UTC; None where it is none, or where only its column could tell what it is.

    ISO 8601 and epochs in seconds, milliseconds, microseconds and nanoseconds are read as in a file. A number that a file may hold as
    yyyymmdd, yyyymmddHHMM or a spreadsheet's day is refused, because one value has no column that says so.
    """
    if isinstance(value, str):
        text = value.strip()
        if parts := _PARTS.match(text):
            return _of_parts(parts)
        value = float(text) if re.match(r"^\d+(\.\d*)?$", text, re.ASCII) else math.nan
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    units = [unit for unit in UNITS if unit.low <= value < unit.high]
    if len(units) != 1 or units[0].micros is None:
        return None
    return datetime(1970, 1, 1) + timedelta(microseconds=round(value * units[0].micros))


def _of_parts(parts: re.Match[str]) -> datetime | None:
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = parts.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
        moment += timedelta(microseconds=int((fraction or "").ljust(6, "0")[:6]))
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return moment + offset if sign == "-" else moment - offset
    except (ValueError, OverflowError):
        return None
