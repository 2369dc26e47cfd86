"""Times: dates, ISO 8601, yyyymmdd, seconds and milliseconds since the epoch."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from features.ingest.values.numbers import number
from features.ingest.values.placeholders import present, raw

FIRST_DATE = datetime(1971, 1, 1)  # naive UTC, like all timestamps here; an epoch of 0 is a default, not a date
_OFFSET = r"(:\d\d(?:\.\d+)?)\s*([+-])(\d\d):?(\d\d)?$"
_COMPACT = r"^(\d{4})(\d\d)(\d\d)$"


def survey(name: str) -> dict[str, pl.Expr]:
    """Return facts of the whole column, as aggregates: times in milliseconds, with a zone, as yyyymmdd."""
    text = present(name)
    return {
        "milliseconds": (number(name) > 1e11).mean() > 0.5,  # in seconds the year 5138, in milliseconds 1973
        "offsets": text.str.contains(_OFFSET).any(),
        "compact": text.str.contains(_COMPACT).any(),
    }


def read(name: str, facts: dict[str, bool], form: str | None) -> pl.Expr:
    """Return a time as naive UTC, from a date, ISO 8601, yyyymmdd, or epoch seconds, or milliseconds if most are."""
    if facts["dates"]:
        return raw(name).cast(pl.Datetime("us"))
    if form is not None:
        return (
            present(name)
            .str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC" if "%z" in form else None)
            .dt.replace_time_zone(None)
        )
    text = present(name)
    for utc in ("Z", "z", "UTC", "GMT"):
        text = text.str.strip_suffix(utc)
    local = text.str.replace("T", " ", literal=True).str.strip_chars()
    if facts.get("compact"):
        local = local.str.replace(_COMPACT, "$1-$2-$3")
    if facts.get("offsets"):
        local = local.str.replace(_OFFSET, "$1")
    # The tail that a shorter form lacks, so that one pattern parses every form.
    missing = pl.lit(" 00:00:00").str.slice((local.str.len_bytes().cast(pl.Int64) - len("yyyy-mm-dd")).clip(lower_bound=0))
    moment = pl.concat_str(local, missing).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    if facts.get("offsets"):
        hours, minutes = (text.str.extract(_OFFSET, group).cast(pl.Int64, strict=False).fill_null(0) for group in (3, 4))
        sign = pl.when(text.str.extract(_OFFSET, 2) == "-").then(-1).otherwise(1)
        moment -= pl.duration(minutes=sign * (hours * 60 + minutes))
    ticks = number(name) * (1e3 if facts.get("milliseconds") else 1e6)
    return pl.coalesce(moment, ticks.round().cast(pl.Int64, strict=False).cast(pl.Datetime("us")))
