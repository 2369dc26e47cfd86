"""The rules of the log: raw text becomes typed, canonical columns, and a refused row gets its first reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.data.ids import normal_id
from features.data.interactions import EVENTS
from features.data.log.rows import INTERACTION_COLUMNS
from features.ingest.money import amounts
from features.ingest.money.number_forms import DECIMALS
from features.ingest.readers.raw_table import ITEM_PREFIX
from features.ingest.rules.checked_table import CheckedTable, Rule, checked, drop_rules, id_rules, layout_rules, survey, with_raw
from features.ingest.source import ITEM_INPUTS, LOG_INPUTS
from features.ingest.times import time_forms, time_survey
from features.ingest.times.moments import FIRST_DATE, tomorrow
from features.ingest.values.events import Events, no_sale
from features.ingest.values.placeholders import NO_ID, not_null_word, present
from features.ingest.values.visitors import visitors
from features.names import QUANTITY, TIMESTAMP, UNIT_PRICE, VALUE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.ingest.source import Source
    from features.ingest.values.ids import IdColumn

IN_THE_FUTURE = f"{TIMESTAMP} in the future"  # reason of a refusal, which a later day takes back
AMOUNTS = (QUANTITY, VALUE, UNIT_PRICE)


def validate_interactions(table: pl.LazyFrame, source: Source, software: str = "canonical") -> CheckedTable:
    """Check the rows of the log alone; `features.ingest.rules.item_links` needs the catalogue. `ITEM_PREFIX` columns pass through."""
    raws = with_raw(table, LOG_INPUTS)
    facts, ids = survey(table, raws, "log", ["user_id", "item_id", "event_id"], TIMESTAMP, AMOUNTS)
    form = time_survey.decide(raws, TIMESTAMP, facts, source.timestamp_format, "source.timestamp_format")
    read = amounts.decide(raws, AMOUNTS, facts, source)
    events = Events.of(raws, source)
    carried = [name for name in table.collect_schema().names() if name.startswith(ITEM_PREFIX)]
    if carried:  # no catalogue says whether an item is called NA
        ids["item_id"] = replace(ids["item_id"], missing=NO_ID)
    quantity = read.read(QUANTITY)
    pieces = pl.when(present(QUANTITY).is_null()).then(1).otherwise(quantity)
    value = pl.coalesce(read.price(VALUE), (read.price(UNIT_PRICE) * pieces).round(DECIMALS))
    frame = raws.with_columns(
        item_id=ids["item_id"].read(),
        timestamp=time_forms.read(TIMESTAMP, form),
        event=events.read(),
        quantity=quantity,
        value=pl.when(~no_sale(events.read())).then(value),
        event_id=pl.when(~ids["event_id"].lost()).then(ids["event_id"].read()),  # rounded ids would make rows duplicates of others
    )
    frame = frame.with_columns(user_id=visitors(ids["user_id"], source.guests))
    rules = _rules(source, ids)
    layout = layout_rules(table, "event" if software == "google-analytics" else "item_id")
    unread = [note for name in AMOUNTS for note in read.unread(raws, name)]
    found = [name for name in AMOUNTS if facts[f"{name} present"]]
    understood = {TIMESTAMP: str(form)} | {name: read.described(name) for name in found}
    notes = (*form.notes, *read.notes, *unread, *events.notes, *(note for column in ids.values() for note in column.notes))
    return CheckedTable(
        frame=checked(frame, [*layout, *rules], [*INTERACTION_COLUMNS, *carried]),
        notes=notes,
        advice={**form.advice, **read.advice, **({"unknown event": events.advice} if events.advice else {})},
        understood=understood,
        currency=read.currencies.chosen,
        spellings=ids["user_id"].spellings,
    )


def _rules(source: Source, ids: Mapping[str, IdColumn]) -> list[Rule]:
    return [
        *id_rules(ids["user_id"]),
        *id_rules(ids["item_id"]),
        (pl.col("event_id").str.contains("\ufffd", literal=True), "event_id is damaged text", "event_id"),
        *drop_rules(source.drop_items),
        *drop_user_rules(source.drop_users),
        *time_rules(),
        (~pl.col("event").is_in(EVENTS), "unknown event", "event"),
        (pl.col("quantity") <= 0, "return or zero quantity", "quantity"),
        (pl.col("value") < 0, "negative value", "value"),
    ]


def items_of_log(checked: pl.LazyFrame) -> pl.LazyFrame:
    """Return a raw catalogue from the log's valid rows: the most frequent title, and the latest of other values."""
    columns = [name for name in checked.collect_schema().names() if name.startswith(ITEM_PREFIX)]
    good = (
        checked.filter(pl.col("reason").is_null())
        .select("row", "item_id", "timestamp", *columns)
        .rename(lambda name: name.removeprefix(ITEM_PREFIX))
    )
    rest = [name for name in ITEM_INPUTS if ITEM_PREFIX + name in columns and name != "title"]
    latest = good.group_by("item_id").agg(
        pl.col("row").min(), *[pl.col(name).sort_by("timestamp", "row").drop_nulls().last() for name in rest]
    )
    titled = good.with_columns(title=not_null_word(pl.col("title").str.strip_chars())).drop_nulls("title")
    counted = titled.group_by("item_id", "title").agg(count=pl.len(), last=pl.col("row").max())
    titles = counted.group_by("item_id").agg(pl.col("title").sort_by("count", "last").last())
    return latest.join(titles, on="item_id", how="left").sort("row")


def time_rules(name: str = TIMESTAMP) -> list[Rule]:
    """Return the rules for the time of a row."""
    time = pl.col(name)
    return [
        (present(name).is_null(), f"no {name}", name),
        (time.is_null(), f"{name} not understood", name),
        (time < FIRST_DATE, f"{name} before 1971", name),
        (time > tomorrow(), f"{name} in the future", name),
    ]


def drop_user_rules(users: Sequence[str]) -> list[Rule]:
    """Return the rule for users that are no customers."""
    dropped = [normal_id(user) for user in users]
    return [(pl.col("user_id").is_in(dropped), "dropped by source.drop_users", "user_id")] if dropped else []
