"""The rules of rows: raw text becomes typed, canonical columns, and a refused row gets its first reason.

The rules are one lazy polars expression, so that a table larger than memory streams through. A checked table has `row`, the canonical
columns, `reason` (null: the row is valid) and `offence`, the value that broke the rule, shortened.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from features.data.catalog import ITEM_COLUMNS
from features.data.ids import normal_id
from features.data.interactions import EVENTS, INTERACTION_COLUMNS
from features.ingest.formats.layout import REFUSED
from features.ingest.readers.raw_table import ITEM_PREFIX, SHOWN
from features.ingest.source import ITEM_INPUTS, LOG_INPUTS
from features.ingest.values import ids as id_values
from features.ingest.values import money, numbers_survey, times, times_survey, words
from features.ingest.values.events import Events, no_sale
from features.ingest.values.ids import IdColumn
from features.ingest.values.moments import FIRST_DATE, tomorrow
from features.ingest.values.numbers import DECIMALS
from features.ingest.values.placeholders import NO_ID, RAW, line, not_null_word, present, raw
from features.ingest.values.texts import CHANGES, TEXTS, clean, with_clean_texts
from features.ingest.values.visitors import visitors
from features.names import AVAILABLE, CATEGORY, CREATED_AT, CURRENCY, GROUP_ID, GROUP_TITLE, PRICE, QUANTITY, TIMESTAMP, UNIT_PRICE, VALUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from features.ingest.source import Source

_STEP = r"\s+(?:>|&gt;)\s+"  # between the parts of a category, as feeds write it

Rule = tuple[pl.Expr, str | pl.Expr, str]  # the condition that breaks it, the reason, the offending column


@dataclass(frozen=True)
class CheckedTable:
    """A table after its rules.

    Attributes
    ----------
    frame : `row`, the canonical columns, `reason` and `offence`.
    notes : what was guessed, mended or left out without refusing a row, each with a count and an example.
    advice : reason of a refused row -> what to do, where more is known than the reason says.
    understood : name of a column -> in words, how its values are written.
    currency : of its prices; None if no currency is named.
    spellings : of user ids that were changed, `before` and `after`.
    """

    frame: pl.LazyFrame
    notes: tuple[str, ...] = ()
    advice: Mapping[str, str] = field(default_factory=dict)
    understood: Mapping[str, str] = field(default_factory=dict)
    currency: str | None = None
    spellings: pl.DataFrame = field(default_factory=pl.DataFrame)


def validate_interactions(table: pl.LazyFrame, source: Source, software: str = "canonical") -> CheckedTable:
    """Check the rows of the log alone; `features.ingest.item_links` needs the catalogue. `ITEM_PREFIX` columns pass through."""
    amounts = (QUANTITY, VALUE, UNIT_PRICE)
    raws = _with_raw(table, LOG_INPUTS)
    facts, ids = _survey(table, raws, "log", ["user_id", "item_id", "event_id"], TIMESTAMP, amounts)
    form = times_survey.decide(raws, TIMESTAMP, facts, source.timestamp_format, "source.timestamp_format")
    read = money.decide(raws, amounts, facts, source)
    events = Events.of(raws, source)
    carried = [name for name in table.collect_schema().names() if name.startswith(ITEM_PREFIX)]
    if carried:  # no catalogue says whether an item is called NA
        ids["item_id"] = replace(ids["item_id"], missing=NO_ID)
    quantity = read.read(QUANTITY)
    pieces = pl.when(present(QUANTITY).is_null()).then(1).otherwise(quantity)
    value = pl.coalesce(read.price(VALUE), (read.price(UNIT_PRICE) * pieces).round(DECIMALS))
    frame = raws.with_columns(
        item_id=ids["item_id"].read(),
        timestamp=times.read(TIMESTAMP, form),
        event=events.read(),
        quantity=quantity,
        value=pl.when(~no_sale(events.read())).then(value),
        event_id=pl.when(~ids["event_id"].lost()).then(ids["event_id"].read()),  # rounded ids would make rows duplicates of others
    )
    frame = frame.with_columns(user_id=visitors(ids["user_id"], source.guests))
    time = pl.col("timestamp")
    rules = [
        *_layout_rules(table, "event" if software == "google-analytics" else "item_id"),
        *_id_rules(ids["user_id"]),
        *_id_rules(ids["item_id"]),
        (pl.col("event_id").str.contains("\ufffd", literal=True), "event_id is damaged text", "event_id"),
        *_drop_rules(source.drop_items),
        *_drop_user_rules(source.drop_users),
        (present("timestamp").is_null(), "no timestamp", "timestamp"),
        (time.is_null(), "timestamp not understood", "timestamp"),
        (time < FIRST_DATE, "timestamp before 1971", "timestamp"),
        (time > tomorrow(), "timestamp in the future", "timestamp"),
        (~pl.col("event").is_in(EVENTS), "unknown event", "event"),
        (pl.col("quantity") <= 0, "return or zero quantity", "quantity"),
        (pl.col("value") < 0, "negative value", "value"),
    ]
    unread = [note for name in amounts for note in read.unread(raws, name)]
    found = [name for name in amounts if facts[f"{name} present"]]
    understood = {TIMESTAMP: str(form)} | {name: read.described(name) for name in found}
    notes = (*form.notes, *read.notes, *unread, *events.notes, *(note for column in ids.values() for note in column.notes))
    return CheckedTable(
        frame=_checked(frame, rules, [*INTERACTION_COLUMNS, *carried]),
        notes=notes,
        advice={**form.advice, **read.advice},
        understood=understood,
        currency=read.currencies.chosen,
        spellings=ids["user_id"].spellings,
    )


def validate_items(table: pl.LazyFrame, source: Source, form: str = "canonical") -> CheckedTable:
    """Check the rows of the catalogue; `mark_duplicates` finds duplicates. A price of 0 is unknown."""
    raws = _with_raw(table, ITEM_INPUTS)
    facts, ids = _survey(table, raws, "catalogue", ["item_id", GROUP_ID], CREATED_AT, [PRICE])
    when = times_survey.decide(raws, CREATED_AT, facts, source.created_at_format, "source.created_at_format")
    read = money.decide(raws, [PRICE], facts, source)
    amazon = form == "amazon"  # whose prices may be scraps of web pages, which is no reason to lose the item
    price, created = read.price(PRICE), times.read(CREATED_AT, when)
    available = words.available(AVAILABLE, facts, source.availability)
    unknown, no_time = present(AVAILABLE).is_not_null() & available.is_null(), times.is_default(CREATED_AT, when)
    frame = with_clean_texts(raws).with_columns(
        item_id=ids["item_id"].read(),
        group_id=ids[GROUP_ID].read(),
        group_title=line(raw(GROUP_TITLE)),
        **{name: line(clean(name)) for name in TEXTS if name != CATEGORY},
        category=line(clean(CATEGORY)).str.replace_all(_STEP, "|"),
        price=pl.when(price != 0).then(price),
        available=available,
        created_at=pl.when((created >= FIRST_DATE) & ~no_time).then(created),
    )
    rules = [
        *_layout_rules(table, "item_id"),
        *_id_rules(ids["item_id"]),
        *_drop_rules(source.drop_items),
        (pl.col("title").is_null(), "no title", "title"),
        *([] if amazon else [(present(PRICE).is_not_null() & read.read(PRICE).is_null(), "price is not a number", PRICE)]),
        (pl.col("price") < 0, "negative price", "price"),
        (unknown, "available is neither yes nor no", AVAILABLE),
        (present(CREATED_AT).is_not_null() & created.is_null() & ~no_time, "created_at not understood", CREATED_AT),
    ]
    told = words.notes(raws, AVAILABLE, unknown, facts) if facts[f"{AVAILABLE} present"] else []
    defaults = times_survey.default_note(raws, CREATED_AT, no_time) if CREATED_AT in table.collect_schema() else []
    notes = (*when.notes, *defaults, *read.notes, *(read.unread(raws, PRICE) if amazon else []), *told, *ids["item_id"].notes)
    advice = {**when.advice, **read.advice, "available is neither yes nor no": "".join(told[:1]).removeprefix("note: ")}
    described = {CREATED_AT: str(when), PRICE: read.described(PRICE), AVAILABLE: words.described(AVAILABLE, facts)}
    understood = {name: said for name, said in described.items() if facts.get(f"{name} present")}
    return CheckedTable(_checked(frame, rules, [*ITEM_COLUMNS, GROUP_TITLE, CHANGES]), notes, advice, understood, read.currencies.chosen)


def mark_duplicates(checked: pl.LazyFrame, key: str = "item_id") -> pl.LazyFrame:
    """Refuse all but the last valid row of each key; rows without a key are no duplicates.

    The last row takes the values that it lacks from earlier ones, the latest first: an export of changed prices has no descriptions.
    """
    columns = [name for name in checked.collect_schema().names() if name not in ("row", key, "reason", "offence")]
    valid = checked.filter(pl.col("reason").is_null(), pl.col(key).is_not_null())
    latest = [pl.col(name).sort_by("row").drop_nulls().last().alias(f"latest.{name}") for name in columns]
    repeated = valid.filter(pl.col(key).is_in(_repeated(valid, key))).group_by(key).agg(*latest, winner=pl.col("row").max())
    marked = checked.join(repeated, on=key, how="left", maintain_order="left")
    wins, loses = (pl.col("reason").is_null() & test for test in (pl.col("row") == pl.col("winner"), pl.col("row") < pl.col("winner")))
    merged = marked.with_columns(pl.when(wins).then(pl.coalesce(name, f"latest.{name}")).otherwise(name).alias(name) for name in columns)
    return _refuse(merged, loses, f"duplicate {key} (a later row wins)", key).select(checked.collect_schema().names())


def _repeated(valid: pl.LazyFrame, key: str) -> pl.Series:
    counts = valid.select(key).group_by(key).len()
    return counts.filter(pl.col("len") > 1).select(key).collect(engine="streaming")[key].implode()


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


def _survey(
    table: pl.LazyFrame, raws: pl.LazyFrame, name: str, ids: Sequence[str], times_of: str, amounts: Sequence[str]
) -> tuple[dict[str, Any], dict[str, IdColumn]]:
    """Return facts of whole columns, on which the meaning of their values depends, and how columns of ids are read."""
    schema = table.collect_schema()
    checks = {key: check for column in ids if column in schema for key, check in id_values.counts(column).items()}
    if not isinstance(schema.get(times_of), pl.Datetime):
        checks |= times_survey.survey(times_of)
    for amount in amounts:
        checks |= numbers_survey.survey(amount)
    for column in (CURRENCY, AVAILABLE):
        checks |= {f"{column} present": present(column).count() if column in schema else pl.lit(0)}
    if AVAILABLE in schema:
        checks |= words.survey(AVAILABLE)
    facts = raws.select(**checks).collect(engine="streaming").row(0, named=True)
    columns = {column: id_values.surveyed(raws, column, facts, name) if column in schema else IdColumn(column) for column in ids}
    return facts, columns


def _with_raw(table: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """Name raw columns `raw.<name>`, so that rules can refer to the original values; absent columns are null."""
    found = table.collect_schema().names()
    names = (*names, REFUSED)
    columns = [(pl.col(name) if name in found else pl.lit(None, pl.String)).alias(f"{RAW}{name}") for name in names]
    return table.select("row", *columns, *[name for name in found if name.startswith(ITEM_PREFIX)])


def _layout_rules(table: pl.LazyFrame, offends: str) -> list[Rule]:
    """Return the rule for rows that the layout of an export refuses, each with a reason of its own."""
    return [(raw(REFUSED).is_not_null(), raw(REFUSED), offends)] if REFUSED in table.collect_schema() else []


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


def _checked(frame: pl.LazyFrame, rules: Sequence[Rule], columns: Sequence[str]) -> pl.LazyFrame:
    reason = pl.coalesce([pl.when(holds).then(pl.lit(text) if isinstance(text, str) else text) for holds, text, _ in rules])
    offence = pl.coalesce([pl.when(holds).then(raw(name).cast(pl.String).fill_null("")) for holds, _, name in rules])
    shown = offence.str.slice(0, SHOWN).str.replace_all(r"\p{Cc}", " ")
    return frame.select("row", *columns, reason=reason, offence=shown)


def _refuse(frame: pl.LazyFrame, when: pl.Expr, reason: str, offends: str = "item_id") -> pl.LazyFrame:
    """Set the reason and the offending value of rows for which `when` holds."""
    shown = pl.when(when).then(pl.col(offends).str.slice(0, SHOWN)).otherwise("offence")
    return frame.with_columns(reason=pl.when(when).then(pl.lit(reason)).otherwise("reason"), offence=shown)
