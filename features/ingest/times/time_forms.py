"""Times: the form of a column, and the expression that reads all its rows alike. `time_survey` finds the form."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.money.number_forms import number
from features.ingest.times import written_times
from features.ingest.times.moments import FIRST_DATE, SECONDS, SPREADSHEET_EPOCH, UNITS
from features.ingest.times.written_times import NUMERIC
from features.ingest.values.placeholders import present, raw

if TYPE_CHECKING:
    from collections.abc import Mapping

UNIX_DAYS, SPREADSHEET_DAYS = "unix days", "spreadsheet days"
_DAYS = {UNIX_DAYS: 0, SPREADSHEET_DAYS: SPREADSHEET_EPOCH}  # the number of the day 1970-01-01
NAMED = (*(unit.name for unit in UNITS), *_DAYS)  # formats beside those of strptime
LAST_DATE = datetime(9999, 1, 1)
# What programs write where there is no time.
DEFAULT = r"^(?:0000-00-00|0001-01-01|1899-12-3[01]|1900-01-0[01]|1970-01-01|9999-12-31)(?:[T ].*)?$|^-?0+(?:\.0+)?$"

OFFSET_TAIL = r"(:\d\d(?:\.\d+)?) ?([+-])(\d\d)(?::?(\d\d))?$"
_DATE_NUMBER = r"^(\d{4})(\d\d)(\d\d)(?:\.0+)?$"
_MINUTES_NUMBER = r"^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(?:\.0+)?$"
_SECONDS_NUMBER = r"^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.0+)?$"


# The usual formats, and what their values look like.
UNIFORM = {
    "%Y-%m-%dT%H:%M:%SZ": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "%Y-%m-%dT%H:%M:%S": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    "%Y-%m-%d %H:%M:%S": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "%Y-%m-%d": r"\d{4}-\d\d-\d\d",
}


@dataclass(frozen=True)
class TimeForm:
    """How a column spells its times.

    Attributes
    ----------
    native : the column has times already.
    format : strptime format or one of `NAMED`, given by the user.
    unit : what its numbers are; None: it has none.
    offsets, compact : whether some ISO times have an offset, and some are written as yyyymmdd.
    uniform : strptime format of all its values; None: they differ.
    patterns : the other spellings found, keys of `written_times.PATTERNS`.
    day_first : of numeric dates; None: it cannot be told.
    notes : what was guessed, each with an example.
    advice : reason of a refused row -> what to do.
    """

    native: bool = False
    format: str | None = None
    unit: str | None = None
    offsets: bool = False
    compact: bool = False
    uniform: str | None = None
    patterns: tuple[str, ...] = ()
    day_first: bool | None = None
    notes: tuple[str, ...] = ()
    advice: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.native:
            return "times"
        if self.format is not None:
            return f"times of the format {self.format}"
        numbers = {None: [], SPREADSHEET_DAYS: ["days of a spreadsheet"]}.get(self.unit, [f"epoch in {self.unit}"])
        if self.unit is not None and self.unit.startswith("yyyy"):
            numbers = [self.unit]
        order = {True: ["dates, day first"], False: ["dates, month first"], None: ["dates whose day and month cannot be told apart"]}
        dates = order[self.day_first] if NUMERIC in self.patterns else []
        named = ["dates in words"] if set(self.patterns) - {NUMERIC, "basic", "year first"} else []
        return ", ".join([*numbers, *(["yyyymmdd"] if self.compact else []), *dates, *named]) or "ISO 8601"


def read(name: str, form: TimeForm) -> pl.Expr:
    """Return times as naive UTC; null where a value is none."""
    if form.native:
        return raw(name).cast(pl.Datetime("us"))
    if form.format in NAMED:
        return _of_numbers(name, form.format)
    if form.format is not None:
        zone = "UTC" if "%z" in form.format else None
        moment = present(name).str.to_datetime(form.format, strict=False, time_unit="us", time_zone=zone)
        return moment.dt.replace_time_zone(None)
    if form.uniform is not None:
        return of_format(name, form.uniform)
    moments = [_of_iso(name, form)]
    if form.unit is not None:
        moments.append(_of_numbers(name, form.unit))
    if form.patterns:
        moments.append(written_times.read(present(name), form.patterns, form.day_first))
    return pl.coalesce(moments)


def of_format(name: str, form: str) -> pl.Expr:
    """Return times of one strptime format."""
    return _with_whole_year(present(name).str.to_datetime(form, strict=False, time_unit="us", cache=False), present(name))


def _with_whole_year(moment: pl.Expr, text: pl.Expr) -> pl.Expr:
    """Return times; null where %Y took 05-01-26 for a day of the year 5."""
    return pl.when((moment.dt.year() > 99) | text.str.starts_with("00")).then(moment)


def is_default(name: str, form: TimeForm) -> pl.Expr:
    """Return whether a value is what programs write where there is no time: 0, 0000-00-00, 1970-01-01, 1900-01-00, 9999-12-31."""
    if form.native:
        return (raw(name) < FIRST_DATE) | (raw(name) >= LAST_DATE)
    return present(name).str.contains(DEFAULT).fill_null(False)


def _of_iso(name: str, form: TimeForm) -> pl.Expr:
    text = present(name)
    for utc in ("Z", "z", "UTC", "GMT"):
        text = text.str.strip_suffix(utc)
    local = text.str.replace("T", " ", literal=True).str.strip_chars()
    if form.compact:
        local = local.str.replace(_DATE_NUMBER, "$1-$2-$3")
    if form.offsets:
        local = local.str.replace(OFFSET_TAIL, "$1")
    # The tail that a shorter form lacks, so that one pattern parses every form.
    missing = pl.lit(" 00:00:00").str.slice((local.str.len_bytes().cast(pl.Int64) - len("yyyy-mm-dd")).clip(lower_bound=0))
    moment = pl.concat_str(local, missing).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    moment = _with_whole_year(moment, local)
    if not form.offsets:
        return moment
    hours, minutes = (text.str.extract(OFFSET_TAIL, group).cast(pl.Int64, strict=False).fill_null(0) for group in (3, 4))
    sign = pl.when(text.str.extract(OFFSET_TAIL, 2) == "-").then(-1).otherwise(1)
    return moment - pl.duration(minutes=sign * (hours * 60 + minutes))


def _of_numbers(name: str, unit: str) -> pl.Expr:
    value = number(name)
    if unit in _DAYS:
        # To the second: 45962.5208 is as near as a spreadsheet shows half past twelve.
        micros = ((value - _DAYS[unit]) * 86_400).round() * 1e6
    elif (ticks := next(one.micros for one in UNITS if one.name == unit)) is not None:
        micros = (value * ticks).round()
    else:
        digits = (_SECONDS_NUMBER, "$1-$2-$3 $4:$5:$6") if unit == SECONDS else (_MINUTES_NUMBER, "$1-$2-$3 $4:$5:00")
        return present(name).str.replace(*digits).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    return micros.cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
