"""Finds how a column spells its times: never from one row, always from the whole column."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from features.ingest.money.number_forms import number
from features.ingest.times import written_times
from features.ingest.times.moments import (
    COMPACT_DATE,
    FIRST_DATE,
    FIRST_SECOND,
    ISO,
    SPREADSHEET_EPOCH,
    SPREADSHEET_FIRST,
    UNITS,
    tomorrow,
)
from features.ingest.times.time_forms import DEFAULT, OFFSET_TAIL, SPREADSHEET_DAYS, UNIFORM, UNIX_DAYS, TimeForm, of_format, read
from features.ingest.times.written_times import NUMERIC, PATTERNS
from features.ingest.values.placeholders import present, raw
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLE = 10_000  # first rows, among which one has a time
_SECONDS = UNITS[0].name
_FIRST_UNIX_DAY = SPREADSHEET_FIRST - SPREADSHEET_EPOCH
ORDER = "where times are an order (1, 2, 3) and no dates, add 100000000 to each"
ISO_ADVICE = "write them as 2026-02-03 18:20:00, with an offset (+01:00) for a time that is not UTC"


def survey(name: str) -> dict[str, pl.Expr]:
    """Return facts of a whole column of text, as aggregates, for `decide`."""
    text, value = present(name), number(name)
    iso = text.str.contains(ISO)
    checks = {
        "present": text.count(),
        "offsets": text.str.contains(OFFSET_TAIL).any(),
        "others": (~iso & value.is_null()).sum(),
        "numbers": (value > 0).sum(),
        "zeros": (value <= 0).sum(),
    }
    return {f"{name} {fact}": check for fact, check in checks.items()}


def uniform(table: pl.LazyFrame, name: str) -> dict[str, Any]:
    """Return the facts of a column whose values all have one of the usual formats; none of another column.

    Such a column needs no `survey`, and is read in a fifth of the time.
    """
    first = table.select(present(name)).head(SAMPLE).select(pl.first().drop_nulls().first()).collect().item()
    form = next((form for form, pattern in UNIFORM.items() if re.fullmatch(pattern, first or "", re.ASCII)), None)
    if form is None:
        return {}
    counts = table.select(fits=(of_format(name, form) >= FIRST_DATE).sum(), all=present(name).count())
    fits, values = counts.collect(engine="streaming").row(0)
    return {f"{name} uniform": form, f"{name} present": values} if fits == values else {}


def decide(table: pl.LazyFrame, name: str, facts: Mapping[str, Any], form: str | None, key: str) -> TimeForm:
    """Return how a column spells its times.

    Parameters
    ----------
    table : raw columns.
    facts : those of `uniform`, or else the answers to `survey`; without any the column has times already.
    form : strptime format or one of `times.NAMED`, given by the user.
    key : the key of recsys.toml for such a format.
    """
    found = {fact.removeprefix(f"{name} "): value for fact, value in facts.items() if fact.startswith(f"{name} ")}
    if not found:
        return TimeForm(native=True)
    if form is not None:
        advice = f"they do not fit {key} = {quoted(form)}: set it to their format, or omit it"
        return TimeForm(format=form, advice={f"{name} not understood": advice})
    if "uniform" in found:
        return TimeForm(uniform=found["uniform"])
    found |= _units(table, name) if found["numbers"] else {}
    unit, notes, advice = _unit(table, name, found, key)
    patterns, day_first = (), None
    if found["others"]:
        patterns, day_first, more, unread = _others(table, name, key)
        notes, advice = [*notes, *more], advice | {f"{name} not understood": unread}
    return TimeForm(
        unit=unit,
        offsets=bool(found["offsets"]),
        compact=bool(found.get(COMPACT_DATE.name)),
        patterns=patterns,
        day_first=day_first,
        notes=tuple(notes),
        advice=advice,
    )


def _units(table: pl.LazyFrame, name: str) -> dict[str, Any]:
    """Return what the numbers of a column may be, with the count of each."""
    value = number(name)
    counts = {unit.name: value.is_between(unit.low, unit.high, closed="left").sum() for unit in (COMPACT_DATE, *UNITS)}
    days = value.is_between(SPREADSHEET_FIRST, _today() + SPREADSHEET_EPOCH).sum()
    answers = table.select(low=value.filter(value > 0).min(), high=value.max(), days=days, **counts)
    return answers.collect(engine="streaming").row(0, named=True)


def default_note(table: pl.LazyFrame, name: str, defaults: pl.Expr) -> list[str]:
    """Return a note on the values that are no time but a program's default; none if there are none."""
    return _unknown(table, name, defaults, ("is a program's default and no time", "are a program's default and no time"))


def future_note(table: pl.LazyFrame, name: str, later: pl.Expr) -> list[str]:
    """Return a note on the values that lie in the future; none if there are none."""
    return _unknown(table, name, later, ("lies in the future", "lie in the future"))


def _unknown(table: pl.LazyFrame, name: str, chosen: pl.Expr, what: tuple[str, str]) -> list[str]:
    found = table.filter(chosen).select(pl.len(), row=pl.col("row").first(), value=raw(name).first().cast(pl.String))
    count, row, value = found.collect(engine="streaming").row(0)
    if not count:
        return []
    return [f"note: {counted(count, 'value')} of {name} {agree(count, *what)} ({value!r}, row {row:,}): unknown"]


def quoted(text: str) -> str:
    """Return a text as a value of recsys.toml."""
    return f"'{text}'" if '"' in text else f'"{text}"'


def _today() -> int:
    return (tomorrow() - datetime(1970, 1, 1)).days


def _unit(table: pl.LazyFrame, name: str, found: Mapping[str, Any], key: str) -> tuple[str | None, list[str], dict[str, str]]:
    """Return what the numbers of a column are, notes on it, and advice for those that are no time."""
    early = f"{name} before 1971"
    if not found["numbers"]:
        if found["zeros"]:
            return _SECONDS, [], {early: f"0 is no time, but a program's default: map the column that has the {name}"}
        return None, [], {early: "a date before 1971 is taken for a program's default: map the column that has the time"}
    if found["days"] == found["numbers"]:
        note = _example(table, name, TimeForm(unit=SPREADSHEET_DAYS), "the days of a spreadsheet")
        return SPREADSHEET_DAYS, [f'{note}: if they are something else, set {key} = "{UNIX_DAYS}" or the right format'], {}
    unit = max((one.name for one in UNITS), key=lambda one: found[one])
    future = "expected an epoch in seconds, milliseconds, microseconds or nanoseconds, most of the column in one of them"
    advice = {early: _early_advice(found, key), f"{name} in the future": future, f"{name} not understood": future}
    if not found[unit]:
        return _SECONDS, [], advice
    if unit == _SECONDS or (unit == "milliseconds" and found[unit] + found[COMPACT_DATE.name] == found["numbers"]):
        return unit, [], advice
    words = unit if unit.startswith("yyyy") else f"{unit} since 1970"
    return unit, [_example(table, name, TimeForm(unit=unit), words)], advice


def _early_advice(found: Mapping[str, Any], key: str) -> str:
    if found["days"] > found["numbers"] / 2:
        return f'most numbers look like the days of a spreadsheet: if they are, set {key} = "{SPREADSHEET_DAYS}"'
    if found["low"] >= _FIRST_UNIX_DAY and found["high"] <= _today():
        return f'if they are days since 1970, set {key} = "{UNIX_DAYS}"; {ORDER}'
    if found[COMPACT_DATE.name]:
        return "expected dates written as yyyymmdd, from 19710101 on"
    if found["high"] < FIRST_SECOND:
        return ORDER
    return f"numbers below {FIRST_SECOND:,} are no time in seconds since 1970: map the column that has the time"


def _example(table: pl.LazyFrame, name: str, form: TimeForm, words: str) -> str:
    moment = read(name, form)
    rows = table.select(value=present(name), moment=moment).drop_nulls()
    value, when = rows.head(1).collect().row(0)
    return f"note: {name} is read as {words} ({value} is {when:%Y-%m-%d %H:%M:%S})"


def _others(table: pl.LazyFrame, name: str, key: str) -> tuple[tuple[str, ...], bool | None, list[str], str]:
    """Return the patterns of the values that are neither ISO 8601 nor numbers, the order of numeric dates, notes and advice."""
    text = present(name).filter(~present(name).str.contains(ISO) & number(name).is_null() & ~present(name).str.contains(DEFAULT))
    first, second = written_times.first_and_second(text)
    matches = {pattern: text.str.contains(regex) for pattern, regex in PATTERNS.items()}
    answers = table.select(
        **{pattern: match.sum() for pattern, match in matches.items()},
        day_first=(first > 12).sum(),
        month_first=(second > 12).sum(),
        shown_first=text.filter(first > 12).first(),
        shown_second=text.filter(second > 12).first(),
        shown=text.filter(matches[NUMERIC]).first(),
        unread=text.filter(~pl.any_horizontal(*matches.values())).first(),
        left=(~pl.any_horizontal(*matches.values())).sum(),
    )
    found = answers.collect(engine="streaming").row(0, named=True)
    patterns = tuple(pattern for pattern in PATTERNS if found[pattern])
    unread = f"{ISO_ADVICE}, or {_format_advice(key, found['unread'])}"
    what = f"{counted(found['left'], 'value')} of {name} {agree(found['left'], 'is no time that is', 'are no times that are')} known"
    notes = [f"note: {what}, such as {found['unread']!r}: {ISO_ADVICE}"] * bool(found["left"])
    if NUMERIC not in patterns:
        return patterns, None, notes, unread
    day_first, note = _order(name, found, key)
    return patterns, day_first, [note, *notes], unread if day_first is not None and found["left"] else note.removeprefix("note: ")


def _format_advice(key: str, text: str | None) -> str:
    """Return how to name the format of a time that is not known: years of two digits leave only the order of day and month open."""
    short = re.match(r"\d{1,2}([./-])\d{1,2}\1\d{2}( \d{1,2}:\d{2}(:\d{2})?)?$", text or "")
    if short is None:
        return f'set {key} to their format in the signs of strptime, such as "%d.%m.%Y %H:%M"'
    time = " %H:%M" * bool(short[2]) + ":%S" * bool(short[3])
    ways = [f'{key} = "{short[1].join(order)}{time}"' for order in (("%d", "%m", "%y"), ("%m", "%d", "%y"))]
    return f"set {ways[0]} or {ways[1]}"


def _order(name: str, found: Mapping[str, Any], key: str) -> tuple[bool | None, str]:
    """Return whether numeric dates begin with the day, and a note that says why, or how to tell."""
    ways = {
        day_first: f"{key} = {quoted(written_times.strptime_format(found['shown'], day_first=day_first))}" for day_first in (True, False)
    }
    if bool(found["day_first"]) != bool(found["month_first"]):
        day_first = bool(found["day_first"])
        which, example = ("day", found["shown_first"]) if day_first else ("month", found["shown_second"])
        count = found["day_first"] or found["month_first"]
        return day_first, (
            f"note: {name} is read with the {which} first, as {count:,} of {found[NUMERIC]:,} such dates can only be read that way "
            f"({example}); {ways[day_first]} says so for good"
        )
    problem = "some dates begin with the day and others with the month" if found["day_first"] else "day and month cannot be told apart"
    return None, f"note: {problem} in {found[NUMERIC]:,} values of {name} ({found['shown']}): set {ways[True]} or {ways[False]}"
