"""The rules of rows: raw text becomes typed, canonical columns, and a refused row gets its first reason.

The rules are one lazy polars expression, so that a table larger than memory streams through. A checked table has `row`, the canonical
columns, `reason` (null: the row is valid) and `offence`, the value that broke the rule, shortened.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.data.catalog import ITEM_COLUMNS
from features.data.interactions import EVENTS, INTERACTION_COLUMNS
from features.ingest.raw_table import ITEM_PREFIX, SHOWN
from features.ingest.source import UNIT_PRICE
from features.names import PURCHASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from features.ingest.source import Source

# Spellings of a missing value. Case matters: "Nan" is a bread.
NULLS = ("", "nan", "NaN", "NAN", "null", "NULL", "None", "<NA>", "\\N")
YES, NO = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")
FIRST_DATE = datetime(1971, 1, 1)  # naive UTC, like all timestamps here; an epoch of 0 is a default, not a date
TOO_EARLY = "timestamp before 1971"
_WHOLE_FLOAT = r"^-?\d+\.0+$"
_OFFSET = r"(:\d\d(?:\.\d+)?)\s*([+-])(\d\d):?(\d\d)?$"
_COMPACT = r"^(\d{4})(\d\d)(\d\d)$"
_AMAZON_PRICE = r"^(?:from )?[$€£¥]?\s*(\d[\d,]*\.?\d*)"  # the lower end of a range
_THOUSANDS = r"^[$€£¥]?\s*-?\d{1,3}(,\d{3})+(\.\d+)?$"

Rule = tuple[pl.Expr, str, str]  # the condition that breaks it, the reason, the offending column


def validate_interactions(raw: pl.LazyFrame, source: Source) -> pl.LazyFrame:
    """Check the rows of the log alone; `mark_unknown` needs the catalogue. `ITEM_PREFIX` columns pass through."""
    names = [*INTERACTION_COLUMNS, UNIT_PRICE]
    facts = _survey(raw, ["user_id", "item_id", "event_id"], "timestamp")
    event = _present("event").replace(source.events).str.to_lowercase()
    line_value = (_number(UNIT_PRICE) * _number("quantity").fill_null(1)).round(6)
    frame = _with_raw(raw, names).with_columns(
        user_id=_id("user_id", facts),
        item_id=_id("item_id", facts),
        timestamp=_time("timestamp", facts, source.timestamp_format),
        event=event.fill_null(PURCHASE),
        quantity=_number("quantity"),
        value=pl.coalesce(_number("value"), line_value),
        event_id=_id("event_id", facts),
    )
    time = pl.col("timestamp")
    rules = [
        *_id_rules("user_id"),
        *_id_rules("item_id"),
        (pl.col("event_id").str.contains("\ufffd", literal=True), "event_id is damaged text", "event_id"),
        *_drop_rules(source.drop_items),
        (_present("timestamp").is_null(), "no timestamp", "timestamp"),
        (time.is_null(), "timestamp not understood", "timestamp"),
        (time < FIRST_DATE, TOO_EARLY, "timestamp"),
        (time > datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1), "timestamp in the future", "timestamp"),
        (~pl.col("event").is_in(EVENTS), "unknown event", "event"),
        *[_number_rule(name) for name in ("quantity", "value", UNIT_PRICE)],
        (pl.col("quantity") <= 0, "return or zero quantity", "quantity"),
        (pl.col("value") < 0, "negative value", "value"),
    ]
    carried = [name for name in raw.collect_schema().names() if name.startswith(ITEM_PREFIX)]
    return _checked(frame, rules, [*INTERACTION_COLUMNS, *carried])


def validate_items(raw: pl.LazyFrame, source: Source) -> pl.LazyFrame:
    """Check the rows of the catalogue; `mark_duplicates` finds duplicates. A price of 0 is unknown."""
    facts = _survey(raw, ["item_id"], "created_at")
    # Prices of the Amazon metadata may be scraps of web pages, which is no reason to lose the item.
    amazon = source.format == "amazon"
    price = (
        _present("price").str.extract(_AMAZON_PRICE).str.replace_all(",", "").cast(pl.Float64, strict=False) if amazon else _money("price")
    )
    created, available = _time("created_at", facts, None), _present("available").str.to_lowercase()
    frame = _with_raw(raw, list(ITEM_COLUMNS)).with_columns(
        item_id=_id("item_id", facts),
        **{name: _line(name) for name in ("title", "description", "brand", "category")},
        price=pl.when(price != 0).then(price),
        available=pl.when(available.is_in(YES)).then(True).when(available.is_in(NO)).then(False),
        created_at=pl.when(created >= FIRST_DATE).then(created),
    )
    rules = [
        *_id_rules("item_id"),
        *_drop_rules(source.drop_items),
        (pl.col("title").is_null(), "no title", "title"),
        *([] if amazon else [(_present("price").is_not_null() & price.is_null(), "price is not a number", "price")]),
        (pl.col("price") < 0, "negative price", "price"),
        (available.is_not_null() & pl.col("available").is_null(), "available is neither yes nor no", "available"),
        (_present("created_at").is_not_null() & created.is_null(), "created_at not understood", "created_at"),
    ]
    return _checked(frame, rules, list(ITEM_COLUMNS))


def mark_duplicates(checked: pl.LazyFrame, key: str = "item_id") -> pl.LazyFrame:
    """Refuse all but the last valid row of each key; rows without a key are no duplicates."""
    winners = checked.filter(pl.col("reason").is_null(), pl.col(key).is_not_null()).group_by(key).agg(winner=pl.col("row").max())
    marked = checked.join(winners, on=key, how="left", maintain_order="left")
    loses = pl.col("reason").is_null() & (pl.col("row") < pl.col("winner"))
    return _refuse(marked, loses, f"duplicate {key} (a later row wins)", key).drop("winner")


def mark_unknown(checked: pl.LazyFrame, checked_items: pl.LazyFrame) -> pl.LazyFrame:
    """Refuse valid rows whose item has no valid row in the catalogue."""
    known = checked_items.group_by("item_id").agg(known=pl.col("reason").is_null().any())
    marked = checked.join(known, on="item_id", how="left", maintain_order="left")
    good = pl.col("reason").is_null()
    marked = _refuse(marked, good & ~pl.col("known"), "item_id whose row in the catalogue is quarantined")
    return _refuse(marked, good & pl.col("known").is_null(), "item_id not in the catalogue").drop("known")


def items_of_log(checked: pl.LazyFrame) -> pl.LazyFrame:
    """Return a raw catalogue from the log's valid rows: the most frequent title, and the latest of other values."""
    columns = [name for name in checked.collect_schema().names() if name.startswith(ITEM_PREFIX)]
    good = (
        checked.filter(pl.col("reason").is_null())
        .select("row", "item_id", "timestamp", *columns)
        .rename(lambda name: name.removeprefix(ITEM_PREFIX))
    )
    rest = [name for name in ITEM_COLUMNS if ITEM_PREFIX + name in columns and name != "title"]
    latest = good.group_by("item_id").agg(
        pl.col("row").min(), *[pl.col(name).sort_by("timestamp", "row").drop_nulls().last() for name in rest]
    )
    titled = good.with_columns(title=_not_null_word(pl.col("title").str.strip_chars())).drop_nulls("title")
    counted = titled.group_by("item_id", "title").agg(count=pl.len(), last=pl.col("row").max())
    titles = counted.group_by("item_id").agg(pl.col("title").sort_by("count", "last").last())
    return latest.join(titles, on="item_id", how="left").sort("row")


def _survey(raw: pl.LazyFrame, ids: Sequence[str], time: str) -> dict[str, bool]:
    """Return facts of whole columns: ids written as floats, times in milliseconds, times with a zone."""
    schema = raw.collect_schema()
    frame = _with_raw(raw, [*ids, time])
    checks = {}
    for name in ids:
        present = _present(name)
        checks[f"{name} floats"] = present.str.contains(_WHOLE_FLOAT).all() & present.is_not_null().any()
    if schema.get(time) == pl.String:
        checks["milliseconds"] = (_number(time) > 1e11).mean() > 0.5  # in seconds the year 5138, in milliseconds 1973
        checks["offsets"] = _present(time).str.contains(_OFFSET).any()
        checks["compact"] = _present(time).str.contains(_COMPACT).any()
    answers = frame.select(**checks).collect(engine="streaming").row(0, named=True)
    return {name: bool(answer) for name, answer in answers.items()} | {"dates": isinstance(schema.get(time), pl.Datetime)}


def _with_raw(raw: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """Name raw columns `raw.<name>`, so that rules can refer to the original values; absent columns are null."""
    found = raw.collect_schema().names()
    columns = [pl.col(name).alias(f"raw.{name}") if name in found else pl.lit(None, pl.String).alias(f"raw.{name}") for name in names]
    return raw.select("row", *columns, *[name for name in found if name.startswith(ITEM_PREFIX)])


def _present(name: str) -> pl.Expr:
    """Return raw text without outer white space; null where it spells a missing value."""
    return _not_null_word(pl.col(f"raw.{name}").cast(pl.String).str.strip_chars())


def _line(name: str) -> pl.Expr:
    """Return text on one line, without control characters (NUL, terminal escapes)."""
    return _not_null_word(pl.col(f"raw.{name}").str.replace_all(r"[\s\p{Cc}]+", " ").str.strip_chars())


def _not_null_word(text: pl.Expr) -> pl.Expr:
    return pl.when(~text.is_in(NULLS)).then(text)


def _id(name: str, facts: dict[str, bool]) -> pl.Expr:
    """Return an id. In a column of only 17850.0, 17841.0 the exporting program wrote the ids as floats."""
    return _present(name).str.replace(r"\.0+$", "") if facts[f"{name} floats"] else _present(name)


def _number(name: str) -> pl.Expr:
    number = _present(name).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _money(name: str) -> pl.Expr:
    """Return a number as people write it: $1,299.00. A decimal comma is refused, because its meaning is ambiguous."""
    text = _present(name)
    plain = pl.when(text.str.contains(_THOUSANDS)).then(text.str.replace_all(",", "")).otherwise(text)
    number = plain.str.replace(r"^[$€£¥]\s*", "").cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _time(name: str, facts: dict[str, bool], form: str | None) -> pl.Expr:
    """Return a time as naive UTC, from a date, ISO 8601, yyyymmdd, or epoch seconds, or milliseconds if most are."""
    if facts["dates"]:
        return pl.col(f"raw.{name}").cast(pl.Datetime("us"))
    if form is not None:
        return (
            _present(name)
            .str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC" if "%z" in form else None)
            .dt.replace_time_zone(None)
        )
    text = _present(name)
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
    ticks = _number(name) * (1e3 if facts.get("milliseconds") else 1e6)
    return pl.coalesce(moment, ticks.round().cast(pl.Int64, strict=False).cast(pl.Datetime("us")))


def _id_rules(name: str) -> list[Rule]:
    # Bytes that are not UTF-8 became U+FFFD: two different ids may look the same now.
    return [
        (pl.col(name).is_null(), f"no {name}", name),
        (pl.col(name).str.contains("\ufffd", literal=True), f"{name} is damaged text", name),
    ]


def _drop_rules(pattern: str | None) -> list[Rule]:
    return [] if pattern is None else [(pl.col("item_id").str.contains(pattern), "dropped by source.drop_items", "item_id")]


def _number_rule(name: str) -> Rule:
    return _present(name).is_not_null() & _number(name).is_null(), f"{name} is not a number", name


def _checked(frame: pl.LazyFrame, rules: Sequence[Rule], columns: Sequence[str]) -> pl.LazyFrame:
    reason = pl.coalesce([pl.when(holds).then(pl.lit(text)) for holds, text, _ in rules])
    offence = pl.coalesce([pl.when(holds).then(pl.col(f"raw.{name}").cast(pl.String).fill_null("")) for holds, _, name in rules])
    shown = offence.str.slice(0, SHOWN).str.replace_all(r"\p{Cc}", " ")
    return frame.select("row", *columns, reason=reason, offence=shown)


def _refuse(frame: pl.LazyFrame, when: pl.Expr, reason: str, offends: str = "item_id") -> pl.LazyFrame:
    """Set the reason and the offending value of rows for which `when` holds."""
    shown = pl.when(when).then(pl.col(offends).str.slice(0, SHOWN)).otherwise("offence")
    return frame.with_columns(reason=pl.when(when).then(pl.lit(reason)).otherwise("reason"), offence=shown)
