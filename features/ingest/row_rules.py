"""The rules of rows: raw text becomes typed, canonical columns, and a refused row gets its first reason.

The rules are one lazy polars expression, so that a table larger than memory streams through. A checked table has `row`, the canonical
columns, `reason` (null: the row is valid) and `offence`, the value that broke the rule, shortened.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.data.catalog import ITEM_COLUMNS
from features.data.ids import normal_id
from features.data.interactions import EVENTS, INTERACTION_COLUMNS
from features.ingest.readers.raw_table import ITEM_PREFIX, SHOWN
from features.ingest.source import ITEM_INPUTS, LOG_INPUTS
from features.ingest.values import ids as id_values
from features.ingest.values import numbers, times, words
from features.ingest.values.ids import IdColumn
from features.ingest.values.placeholders import NO_ID, RAW, WRITTEN, line, not_null_word, present, raw, trimmed
from features.ingest.values.times import FIRST_DATE
from features.ingest.values.visitors import visitors
from features.names import PURCHASE, UNIT_PRICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from features.ingest.source import Source

TOO_EARLY = "timestamp before 1971"

Rule = tuple[pl.Expr, str, str]  # the condition that breaks it, the reason, the offending column


@dataclass(frozen=True)
class CheckedTable:
    """A table after its rules.

    Attributes
    ----------
    frame : `row`, the canonical columns, `reason` and `offence`.
    notes : what was guessed, mended or left out without refusing a row, each with a count and an example.
    spellings : of user ids that were changed, `before` and `after`.
    """

    frame: pl.LazyFrame
    notes: tuple[str, ...] = ()
    spellings: pl.DataFrame = field(default_factory=pl.DataFrame)


def validate_interactions(table: pl.LazyFrame, source: Source) -> CheckedTable:
    """Check the rows of the log alone; `features.ingest.item_links` needs the catalogue. `ITEM_PREFIX` columns pass through."""
    names = LOG_INPUTS
    facts, ids = _survey(table, ["user_id", "item_id", "event_id"], "timestamp", "log")
    carried = [name for name in table.collect_schema().names() if name.startswith(ITEM_PREFIX)]
    if carried:  # no catalogue says whether an item is called NA
        ids["item_id"] = replace(ids["item_id"], missing=NO_ID)
    event = not_null_word(trimmed("event"), WRITTEN).replace(source.events).str.to_lowercase()
    line_value = (numbers.number(UNIT_PRICE) * numbers.number("quantity").fill_null(1)).round(6)
    frame = _with_raw(table, names).with_columns(
        item_id=ids["item_id"].read(),
        timestamp=times.read("timestamp", facts, source.timestamp_format),
        event=event.fill_null(PURCHASE),
        quantity=numbers.number("quantity"),
        value=pl.coalesce(numbers.number("value"), line_value),
        event_id=pl.when(~ids["event_id"].lost()).then(ids["event_id"].read()),  # rounded ids would make rows duplicates of others
    )
    frame = frame.with_columns(user_id=visitors(ids["user_id"], source.guests))
    time = pl.col("timestamp")
    rules = [
        *_id_rules(ids["user_id"]),
        *_id_rules(ids["item_id"]),
        (pl.col("event_id").str.contains("\ufffd", literal=True), "event_id is damaged text", "event_id"),
        *_drop_rules(source.drop_items),
        *_drop_user_rules(source.drop_users),
        (present("timestamp").is_null(), "no timestamp", "timestamp"),
        (time.is_null(), "timestamp not understood", "timestamp"),
        (time < FIRST_DATE, TOO_EARLY, "timestamp"),
        (time > datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1), "timestamp in the future", "timestamp"),
        (~pl.col("event").is_in(EVENTS), "unknown event", "event"),
        *[_number_rule(name) for name in ("quantity", "value", UNIT_PRICE)],
        (pl.col("quantity") <= 0, "return or zero quantity", "quantity"),
        (pl.col("value") < 0, "negative value", "value"),
    ]
    notes = tuple(note for column in ids.values() for note in column.notes)
    return CheckedTable(_checked(frame, rules, [*INTERACTION_COLUMNS, *carried]), notes, ids["user_id"].spellings)


def validate_items(table: pl.LazyFrame, source: Source, form: str = "canonical") -> CheckedTable:
    """Check the rows of the catalogue; `mark_duplicates` finds duplicates. A price of 0 is unknown."""
    facts, ids = _survey(table, ["item_id"], "created_at", "catalogue")
    # Prices of the Amazon metadata may be scraps of web pages, which is no reason to lose the item.
    amazon = form == "amazon"
    price = numbers.lowest("price") if amazon else numbers.money("price")
    created = times.read("created_at", facts, None)
    frame = _with_raw(table, ITEM_INPUTS).with_columns(
        item_id=ids["item_id"].read(),
        **{name: line(name) for name in ("title", "description", "brand", "category")},
        price=pl.when(price != 0).then(price),
        available=words.available("available"),
        created_at=pl.when(created >= FIRST_DATE).then(created),
    )
    rules = [
        *_id_rules(ids["item_id"]),
        *_drop_rules(source.drop_items),
        (pl.col("title").is_null(), "no title", "title"),
        *([] if amazon else [(present("price").is_not_null() & price.is_null(), "price is not a number", "price")]),
        (pl.col("price") < 0, "negative price", "price"),
        (present("available").is_not_null() & pl.col("available").is_null(), "available is neither yes nor no", "available"),
        (present("created_at").is_not_null() & created.is_null(), "created_at not understood", "created_at"),
    ]
    return CheckedTable(_checked(frame, rules, list(ITEM_COLUMNS)), ids["item_id"].notes)


def mark_duplicates(checked: pl.LazyFrame, key: str = "item_id") -> pl.LazyFrame:
    """Refuse all but the last valid row of each key; rows without a key are no duplicates."""
    winners = checked.filter(pl.col("reason").is_null(), pl.col(key).is_not_null()).group_by(key).agg(winner=pl.col("row").max())
    marked = checked.join(winners, on=key, how="left", maintain_order="left")
    loses = pl.col("reason").is_null() & (pl.col("row") < pl.col("winner"))
    return _refuse(marked, loses, f"duplicate {key} (a later row wins)", key).drop("winner")


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


def _survey(table: pl.LazyFrame, ids: Sequence[str], time: str, name: str) -> tuple[dict[str, bool], dict[str, IdColumn]]:
    """Return facts of whole columns, on which the meaning of their values depends, and how columns of ids are read."""
    schema = table.collect_schema()
    checks = {key: check for column in ids if column in schema for key, check in id_values.counts(column).items()}
    if schema.get(time) == pl.String:
        checks |= times.survey(time)
    frame = _with_raw(table, [*ids, time])
    answers = frame.select(**checks).collect(engine="streaming").row(0, named=True) if checks else {}
    columns = {column: id_values.surveyed(frame, column, answers, name) if column in schema else IdColumn(column) for column in ids}
    facts = {key: bool(answer) for key, answer in answers.items()}
    return facts | {"dates": isinstance(schema.get(time), pl.Datetime)}, columns


def _with_raw(table: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """Name raw columns `raw.<name>`, so that rules can refer to the original values; absent columns are null."""
    found = table.collect_schema().names()
    columns = [(pl.col(name) if name in found else pl.lit(None, pl.String)).alias(f"{RAW}{name}") for name in names]
    return table.select("row", *columns, *[name for name in found if name.startswith(ITEM_PREFIX)])


def _id_rules(column: IdColumn) -> list[Rule]:
    # Bytes that are not UTF-8 became U+FFFD: two different ids may look the same now.
    name = column.name
    return [
        (pl.col(name).is_null(), f"no {name}", name),
        *([(column.lost(), f"{name} was rounded by a spreadsheet (scientific notation)", name)] if column.rounded else []),
        (pl.col(name).str.contains("\ufffd", literal=True), f"{name} is damaged text", name),
    ]


def _drop_rules(pattern: str | None) -> list[Rule]:
    return [] if pattern is None else [(pl.col("item_id").str.contains(pattern), "dropped by source.drop_items", "item_id")]


def _drop_user_rules(users: Sequence[str]) -> list[Rule]:
    dropped = [normal_id(user) for user in users]
    return [(pl.col("user_id").is_in(dropped), "dropped by source.drop_users", "user_id")] if dropped else []


def _number_rule(name: str) -> Rule:
    return present(name).is_not_null() & numbers.number(name).is_null(), f"{name} is not a number", name


def _checked(frame: pl.LazyFrame, rules: Sequence[Rule], columns: Sequence[str]) -> pl.LazyFrame:
    reason = pl.coalesce([pl.when(holds).then(pl.lit(text)) for holds, text, _ in rules])
    offence = pl.coalesce([pl.when(holds).then(raw(name).cast(pl.String).fill_null("")) for holds, _, name in rules])
    shown = offence.str.slice(0, SHOWN).str.replace_all(r"\p{Cc}", " ")
    return frame.select("row", *columns, reason=reason, offence=shown)


def _refuse(frame: pl.LazyFrame, when: pl.Expr, reason: str, offends: str = "item_id") -> pl.LazyFrame:
    """Set the reason and the offending value of rows for which `when` holds."""
    shown = pl.when(when).then(pl.col(offends).str.slice(0, SHOWN)).otherwise("offence")
    return frame.with_columns(reason=pl.when(when).then(pl.lit(reason)).otherwise("reason"), offence=shown)
