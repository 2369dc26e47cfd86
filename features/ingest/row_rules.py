"""The rules of rows: raw text becomes typed, canonical columns, and a refused row gets its first reason.

The rules are one lazy polars expression, so that a table larger than memory streams through. A checked table has `row`, the canonical
columns, `reason` (null: the row is valid) and `offence`, the value that broke the rule, shortened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.data.catalog import ITEM_COLUMNS
from features.data.interactions import EVENTS, INTERACTION_COLUMNS
from features.ingest.formats.layout import REFUSED
from features.ingest.readers.raw_table import ITEM_PREFIX, SHOWN
from features.ingest.source import ITEM_INPUTS, LOG_INPUTS
from features.ingest.values import ids as id_values
from features.ingest.values import numbers, times, words
from features.ingest.values.placeholders import RAW, line, not_null_word, present, raw
from features.ingest.values.times import FIRST_DATE
from features.names import GROUP_ID, GROUP_TITLE, PURCHASE, UNIT_PRICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from features.ingest.source import Source

TOO_EARLY = "timestamp before 1971"
_STEP = r"\s+(?:>|&gt;)\s+"  # between the parts of a category, as feeds write it

Rule = tuple[pl.Expr, str | pl.Expr, str]  # the condition that breaks it, the reason, the offending column


@dataclass(frozen=True)
class CheckedTable:
    """A table after its rules.

    Attributes
    ----------
    frame : `row`, the canonical columns, `reason` and `offence`.
    notes : what was guessed, mended or left out without refusing a row, each with a count and an example.
    """

    frame: pl.LazyFrame
    notes: tuple[str, ...] = ()


def validate_interactions(table: pl.LazyFrame, source: Source, software: str = "canonical") -> CheckedTable:
    """Check the rows of the log alone; `mark_unknown` needs the catalogue. `ITEM_PREFIX` columns pass through."""
    names = LOG_INPUTS
    facts = _survey(table, ["user_id", "item_id", "event_id"], "timestamp")
    event = present("event").replace(source.events).str.to_lowercase()
    line_value = (numbers.number(UNIT_PRICE) * numbers.number("quantity").fill_null(1)).round(6)
    frame = _with_raw(table, names).with_columns(
        user_id=id_values.read("user_id", facts),
        item_id=id_values.read("item_id", facts),
        timestamp=times.read("timestamp", facts, source.timestamp_format),
        event=event.fill_null(PURCHASE),
        quantity=numbers.number("quantity"),
        value=pl.coalesce(numbers.number("value"), line_value),
        event_id=id_values.read("event_id", facts),
    )
    time = pl.col("timestamp")
    rules = [
        *_layout_rules(table, "event" if software == "google-analytics" else "item_id"),
        *_id_rules("user_id"),
        *_id_rules("item_id"),
        (pl.col("event_id").str.contains("\ufffd", literal=True), "event_id is damaged text", "event_id"),
        *_drop_rules(source.drop_items),
        (present("timestamp").is_null(), "no timestamp", "timestamp"),
        (time.is_null(), "timestamp not understood", "timestamp"),
        (time < FIRST_DATE, TOO_EARLY, "timestamp"),
        (time > datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1), "timestamp in the future", "timestamp"),
        (~pl.col("event").is_in(EVENTS), "unknown event", "event"),
        *[_number_rule(name) for name in ("quantity", "value", UNIT_PRICE)],
        (pl.col("quantity") <= 0, "return or zero quantity", "quantity"),
        (pl.col("value") < 0, "negative value", "value"),
    ]
    carried = [name for name in table.collect_schema().names() if name.startswith(ITEM_PREFIX)]
    return CheckedTable(_checked(frame, rules, [*INTERACTION_COLUMNS, *carried]))


def validate_items(table: pl.LazyFrame, source: Source, form: str = "canonical") -> CheckedTable:
    """Check the rows of the catalogue; `mark_duplicates` finds duplicates. A price of 0 is unknown."""
    facts = _survey(table, ["item_id", GROUP_ID], "created_at")
    # Prices of the Amazon metadata may be scraps of web pages, which is no reason to lose the item.
    amazon = form == "amazon"
    price = numbers.lowest("price") if amazon else numbers.money("price")
    created = times.read("created_at", facts, None)
    frame = _with_raw(table, ITEM_INPUTS).with_columns(
        item_id=id_values.read("item_id", facts),
        group_id=id_values.read(GROUP_ID, facts),
        **{name: line(name) for name in ("title", "description", "brand", GROUP_TITLE)},
        category=line("category").str.replace_all(_STEP, "|"),
        price=pl.when(price != 0).then(price),
        available=words.available("available"),
        created_at=pl.when(created >= FIRST_DATE).then(created),
    )
    rules = [
        *_layout_rules(table, "item_id"),
        *_id_rules("item_id"),
        *_drop_rules(source.drop_items),
        (pl.col("title").is_null(), "no title", "title"),
        *([] if amazon else [(present("price").is_not_null() & price.is_null(), "price is not a number", "price")]),
        (pl.col("price") < 0, "negative price", "price"),
        (present("available").is_not_null() & pl.col("available").is_null(), "available is neither yes nor no", "available"),
        (present("created_at").is_not_null() & created.is_null(), "created_at not understood", "created_at"),
    ]
    return CheckedTable(_checked(frame, rules, [*ITEM_COLUMNS, GROUP_TITLE]))


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
    titled = good.with_columns(title=not_null_word(pl.col("title").str.strip_chars())).drop_nulls("title")
    counted = titled.group_by("item_id", "title").agg(count=pl.len(), last=pl.col("row").max())
    titles = counted.group_by("item_id").agg(pl.col("title").sort_by("count", "last").last())
    return latest.join(titles, on="item_id", how="left").sort("row")


def _survey(table: pl.LazyFrame, ids: Sequence[str], time: str) -> dict[str, bool]:
    """Return facts of whole columns, on which the meaning of their values depends."""
    schema = table.collect_schema()
    checks = {key: check for name in ids for key, check in id_values.survey(name).items()}
    if schema.get(time) == pl.String:
        checks |= times.survey(time)
    answers = _with_raw(table, [*ids, time]).select(**checks).collect(engine="streaming").row(0, named=True)
    return {name: bool(answer) for name, answer in answers.items()} | {"dates": isinstance(schema.get(time), pl.Datetime)}


def _with_raw(table: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """Name raw columns `raw.<name>`, so that rules can refer to the original values; absent columns are null."""
    found = table.collect_schema().names()
    names = (*names, REFUSED)
    columns = [(pl.col(name) if name in found else pl.lit(None, pl.String)).alias(f"{RAW}{name}") for name in names]
    return table.select("row", *columns, *[name for name in found if name.startswith(ITEM_PREFIX)])


def _layout_rules(table: pl.LazyFrame, offends: str) -> list[Rule]:
    """Return the rule for rows that the layout of an export refuses, each with a reason of its own."""
    return [(raw(REFUSED).is_not_null(), raw(REFUSED), offends)] if REFUSED in table.collect_schema() else []


def _id_rules(name: str) -> list[Rule]:
    # Bytes that are not UTF-8 became U+FFFD: two different ids may look the same now.
    return [
        (pl.col(name).is_null(), f"no {name}", name),
        (pl.col(name).str.contains("\ufffd", literal=True), f"{name} is damaged text", name),
    ]


def _drop_rules(pattern: str | None) -> list[Rule]:
    return [] if pattern is None else [(pl.col("item_id").str.contains(pattern), "dropped by source.drop_items", "item_id")]


def _number_rule(name: str) -> Rule:
    return present(name).is_not_null() & numbers.number(name).is_null(), f"{name} is not a number", name


def _checked(frame: pl.LazyFrame, rules: Sequence[Rule], columns: Sequence[str]) -> pl.LazyFrame:
    reason = pl.coalesce([pl.when(holds).then(pl.lit(text) if isinstance(text, str) else text) for holds, text, _ in rules])
    offence = pl.coalesce([pl.when(holds).then(raw(name).cast(pl.String).fill_null("")) for holds, _, name in rules])
    shown = offence.str.slice(0, SHOWN).str.replace_all(r"\p{Cc}", " ")
    return frame.select("row", *columns, reason=reason, offence=shown)


def _refuse(frame: pl.LazyFrame, when: pl.Expr, reason: str, offends: str = "item_id") -> pl.LazyFrame:
    """Set the reason and the offending value of rows for which `when` holds."""
    shown = pl.when(when).then(pl.col(offends).str.slice(0, SHOWN)).otherwise("offence")
    return frame.with_columns(reason=pl.when(when).then(pl.lit(reason)).otherwise("reason"), offence=shown)
