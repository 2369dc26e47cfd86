"""The rules of the catalogue: raw text becomes typed, canonical columns, and a refused row gets its first reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.data.catalog import ITEM_COLUMNS
from features.ingest.money import amounts
from features.ingest.rules.checked_table import CheckedTable, Rule, checked, drop_rules, id_rules, layout_rules, survey, with_raw
from features.ingest.source import ITEM_INPUTS
from features.ingest.times import time_forms, time_survey
from features.ingest.times.moments import FIRST_DATE, tomorrow
from features.ingest.values import words
from features.ingest.values.placeholders import line, present, raw
from features.ingest.values.texts import CHANGES, TEXTS, clean, with_clean_texts
from features.names import AVAILABLE, BARCODE, CATEGORY, CREATED_AT, GROUP_ID, GROUP_TITLE, MARGIN, PRICE, STOCK

if TYPE_CHECKING:
    from features.ingest.source import Source
    from features.ingest.values.ids import IdColumn

_STEP = r"\s+(?:>|&gt;)\s+"  # between the parts of a category, as feeds write it


def validate_items(table: pl.LazyFrame, source: Source, form: str = "canonical") -> CheckedTable:
    """Check the rows of the catalogue; `mark_duplicates` finds duplicates. A price of 0 is unknown."""
    columns, table = table.collect_schema().names(), _with_availability(table)
    raws = with_raw(table, ITEM_INPUTS)
    money = [name for name in (PRICE, MARGIN) if name in (PRICE, *columns)]
    facts, ids = survey(table, raws, "catalogue", ["item_id", GROUP_ID, BARCODE], CREATED_AT, money)
    read = amounts.decide(raws, money, facts, source)
    when = time_survey.decide(raws, CREATED_AT, facts, source.created_at_format, "source.created_at_format")
    amazon = form == "amazon"  # whose prices may be scraps of web pages, which is no reason to lose the item
    price, created, available = read.price(PRICE), time_forms.read(CREATED_AT, when), words.available(AVAILABLE, facts, source.availability)
    unknown, no_time = present(AVAILABLE).is_not_null() & available.is_null(), time_forms.is_default(CREATED_AT, when)
    later = created > tomorrow()  # a date of a launch to come, or a typing error: no new arrival
    frame = with_clean_texts(raws).with_columns(
        item_id=ids["item_id"].read(),
        group_id=ids[GROUP_ID].read(),
        group_title=line(raw(GROUP_TITLE)),
        barcode=_barcodes(ids[BARCODE]),
        **{name: line(clean(name)) for name in TEXTS if name != CATEGORY},
        category=line(clean(CATEGORY)).str.replace_all(_STEP, "|"),
        price=pl.when(price != 0).then(price),
        margin=read.price(MARGIN) if MARGIN in money else pl.lit(None, pl.Float64),
        stock=words.stock(STOCK),
        available=available,
        created_at=pl.when((created >= FIRST_DATE) & ~no_time & ~later).then(created),
    )
    no_price = None if amazon else present(PRICE).is_not_null() & read.read(PRICE).is_null()
    no_date = present(CREATED_AT).is_not_null() & created.is_null() & ~no_time
    rules = [*layout_rules(table, "item_id"), *id_rules(ids["item_id"]), *_refusals(source, no_price, unknown, no_date)]
    told = words.notes(raws, AVAILABLE, unknown, facts) if facts[f"{AVAILABLE} present"] else []
    notes = (
        *when.notes,
        *(_date_notes(raws, no_time, later) if CREATED_AT in columns else []),
        *read.notes,
        *(note for name in ([PRICE] if amazon else []) + money[1:] for note in read.unread(raws, name)),
        *told,
        *_stock_notes(raws, columns),
        *(note for name in ("item_id", BARCODE) for note in ids[name].notes),
    )
    advice = {**when.advice, **read.advice, "available is neither yes nor no": "".join(told[:1]).removeprefix("note: ")}
    described = {CREATED_AT: str(when), PRICE: read.described(PRICE), AVAILABLE: words.described(AVAILABLE, facts)}
    understood = {name: said for name, said in described.items() if facts.get(f"{name} present")}
    return CheckedTable(checked(frame, rules, [*ITEM_COLUMNS, GROUP_TITLE, CHANGES]), notes, advice, understood, read.currencies.chosen)


def _with_availability(table: pl.LazyFrame) -> pl.LazyFrame:
    """Read what is in stock as available, where nothing else says what is."""
    columns = table.collect_schema().names()
    return table.with_columns(pl.col(STOCK).alias(AVAILABLE)) if STOCK in columns and AVAILABLE not in columns else table


def _stock_notes(raws: pl.LazyFrame, columns: list[str]) -> list[str]:
    """Return a note on stock that is not understood; where it says what is available, that is noted already."""
    return words.stock_notes(raws, STOCK) if {STOCK, AVAILABLE} <= set(columns) else []


def _refusals(source: Source, no_price: pl.Expr | None, unknown: pl.Expr, no_date: pl.Expr) -> list[Rule]:
    """Return the rules on what an item says.

    Parameters
    ----------
    no_price : a price is no number; None where that is no reason to lose the item.
    unknown : the availability is no word that is known.
    no_date : the day of its launch is not understood.
    """
    return [
        *drop_rules(source.drop_items),
        (pl.col("title").is_null(), "no title", "title"),
        *([] if no_price is None else [(no_price, "price is not a number", PRICE)]),
        (pl.col("price") < 0, "negative price", "price"),
        (unknown, "available is neither yes nor no", AVAILABLE),
        (no_date, "created_at not understood", CREATED_AT),
    ]


def _date_notes(raws: pl.LazyFrame, no_time: pl.Expr, later: pl.Expr) -> list[str]:
    """Return notes on days of launch that are a program's default, or lie in the future."""
    return [*time_survey.default_note(raws, CREATED_AT, no_time), *time_survey.future_note(raws, CREATED_AT, later & ~no_time)]


def _barcodes(column: IdColumn) -> pl.Expr:
    """Return the barcodes of an item as text, leading zeros included, with | between several; null where they lost digits."""
    several = line(column.read()).str.replace_all(r"\s*[|,;/]\s*", "|").str.strip_chars("| ")
    return pl.when(~column.lost() & (several != "")).then(several)
