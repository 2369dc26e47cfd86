"""Times as people and programs write them, beside ISO 8601: 3 Feb 2026 6:20 PM, 03/02/2026 18:20, Tue Feb 03 18:20:00 +0000 2026."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
_DAY = r"(?<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?<year>\d{4})"
_HOURS = r"(?<hour>\d{1,2})(?::?(?<minute>\d\d)(?::?(?<second>\d\d)(?:[.,](?<fraction>\d+))?)?)?(?:\s*(?<half>[ap])\.?m\.?)?"
_CLOCK = rf"(?:(?:[t,:]|\s|\sat\s|\s?[-–]\s)+{_HOURS})?"
_ZONE = r"(?:\s*(?:(?:utc|gmt|z)?(?<sign>[+-])(?<hours>\d\d):?(?<minutes>\d\d)?|utc|gmt|z)(?:\s*[\[(][^\])]*[\])])?)?"

# Numbers alone do not tell which of `first` and `second` is the day.
NUMERIC = "numeric"
PATTERNS = {
    name: rf"(?i)^{pattern}$"
    for name, pattern in {
        NUMERIC: rf"(?<first>\d{{1,2}})[-/.](?<second_>\d{{1,2}})[-/.]{_YEAR}{_CLOCK}{_ZONE}",
        "year first": rf"{_YEAR}[-/.](?<month>\d{{1,2}})[-/.](?<day>\d{{1,2}}){_CLOCK}{_ZONE}",
        "basic": rf"{_YEAR}(?<month>\d\d)(?<day>\d\d)(?:[t\s]+{_HOURS}){_ZONE}",
        "day and month name": rf"{_WEEKDAY}{_DAY}[\s\-/.]+{_MONTH},?[\s\-/]+{_YEAR}{_CLOCK}{_ZONE}",
        "month name and day": rf"{_WEEKDAY}{_MONTH}\s+{_DAY},?\s+{_YEAR}{_CLOCK}{_ZONE}",
        "year last": rf"{_WEEKDAY}{_MONTH}\s+{_DAY}\s+{_HOURS}{_ZONE}\s+{_YEAR}",
    }.items()
}


def read(text: pl.Expr, patterns: Iterable[str], day_first: bool | None) -> pl.Expr:
    """Return naive UTC of the texts that match one of the patterns; null for others.

    Parameters
    ----------
    patterns : keys of `PATTERNS`.
    day_first : of numeric dates; None: they are not read.
    """
    kinds = [name for name in patterns if name != NUMERIC or day_first is not None]
    return pl.coalesce([_read(text, name, day_first=bool(day_first)) for name in kinds] or [pl.lit(None, pl.Datetime("us"))])


def first_and_second(text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the two numbers before the year of a numeric date."""
    groups = text.str.extract_groups(PATTERNS[NUMERIC])
    return (groups.struct.field("first").cast(pl.Int64), groups.struct.field("second_").cast(pl.Int64))


def strptime_format(example: str, *, day_first: bool) -> str:
    """Return the strptime format of a numeric date such as 03/02/2026 18:20."""
    form = re.sub(r"^\d{1,2}([-/.])\d{1,2}([-/.])\d{4}", r"%d\1%m\2%Y" if day_first else r"%m\1%d\2%Y", example.strip())
    hour = "%I" if re.search(r"(?i)[ap]m$", form) else "%H"
    form = re.sub(r"\d{1,2}:\d\d:\d\d", f"{hour}:%M:%S", form, count=1)
    form = re.sub(r"\d{1,2}:\d\d", f"{hour}:%M", form, count=1)
    form = re.sub(r"(?<=%S)\.\d+", "%.f", form)
    form = re.sub(r"(?i)[ap]m$", "%p", form)
    return re.sub(r"[+-]\d\d:?\d\d$", "%z", form)


def _read(text: pl.Expr, name: str, *, day_first: bool) -> pl.Expr:
    groups = text.str.to_lowercase().str.extract_groups(PATTERNS[name])
    number = {field: groups.struct.field(field).cast(pl.Int64, strict=False) for field in ("year", "hour", "minute", "second")}
    if name == NUMERIC:
        day, month = (groups.struct.field(field) for field in (("first", "second_") if day_first else ("second_", "first")))
    else:
        day, month = groups.struct.field("day"), groups.struct.field("month")
    if _MONTH in PATTERNS[name]:
        numbers = {short: f"{at:02}" for at, short in enumerate(_MONTHS, 1)}
        month = month.str.slice(0, 3).replace_strict(numbers, default=None, return_dtype=pl.String)
    date = pl.concat_str(groups.struct.field("year"), month.str.zfill(2), day.str.zfill(2)).str.to_datetime(
        "%Y%m%d", strict=False, time_unit="us"
    )
    hour, minute, second = (number[field].fill_null(0) for field in ("hour", "minute", "second"))
    half = groups.struct.field("half")
    clock = hour % 12 + pl.when(half == "p").then(12).otherwise(0)
    hour = pl.when(half.is_null()).then(hour).when(hour.is_between(1, 12)).then(clock)
    # 24:00 is the next midnight, and a leap second the next second.
    leap = (second == 60) & (minute == 59)
    valid = (minute < 60) & ((second < 60) | leap) & ((hour < 24) | ((hour == 24) & (minute == 0) & (second == 0)))
    micros = groups.struct.field("fraction").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64, strict=False).fill_null(0)
    ahead = (_whole(groups, "hours") * 60 + _whole(groups, "minutes")) * pl.when(groups.struct.field("sign") == "-").then(-1).otherwise(1)
    since = pl.duration(hours=hour, minutes=minute - ahead, seconds=second, microseconds=micros)
    return pl.when(valid).then(date + since)


def _whole(groups: pl.Expr, field: str) -> pl.Expr:
    return groups.struct.field(field).cast(pl.Int64, strict=False).fill_null(0)
