"""What was there at the last read of a source and is gone: columns, values, events, times, texts that can be read, forms of ids."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from features.ingest.optional_tables import OPTIONAL
from features.ingest.profile.column_names import KNOWN
from features.names import AVAILABLE, CURRENCY, EVENT, ITEM_ID, PRICE, TIMESTAMP, UNIT_PRICE, USER_ID, VALUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.ingest.profile.model import ColumnProfile, DataProfile, TableProfile

# Keys of changes that `refresh.accept_changes` may name: `<table>.<canonical column>`.
KEYS = tuple(f"{table}.{name}" for table, names in KNOWN.items() for name in names)
LOST = 0.5  # of all rows, share that had a value and has none now, or a placeholder
LEAST_ROWS = 10  # of a table whose shares say something
WRONG = 0.5  # of the texts beyond ASCII, share that is damaged after a change of encoding
LEAST_SOLD_OUT, SOLD_OUT = 3, 0.05  # items on the smaller side of a mixed availability
OTHER_SCALE = 20.0  # times the former median price: cents for euros, or a decimal comma that was taken for one of thousands
RARE = 0.01  # share of events below which a kind may vanish by chance
BEGINNING = 0.25  # of the span, part at its beginning that a moving window may lose beyond what it gains at its end
END = 0.02
LEAST_TIME = timedelta(days=2)
ONE_FORM, OTHER_FORM = 0.9, 0.5  # shares of ids of the former form, before and now


@dataclass(frozen=True)
class Change:
    """One thing that is gone.

    Attributes
    ----------
    key : `<table>.<canonical column>`, which `refresh.accept_changes` may name.
    words : what was there, what is there now, and what to do about it.
    """

    key: str
    words: str


def changes(before: DataProfile, after: DataProfile) -> list[Change]:
    """Return what the profile of the last read has and the new one lacks, at most one change for each column."""
    found: dict[str, Change] = {}
    for change in (*_columns(before, after), *_catalogue(before, after), *_log(before, after)):
        found.setdefault(change.key, change)
    return list(found.values())


def _columns(before: DataProfile, after: DataProfile) -> Iterator[Change]:
    old, new = ({key: column for table in profile.tables for key, column in table.by_ours.items()} for profile in (before, after))
    for key, was in old.items():
        table, _, name = key.partition(".")
        where = after.items if table == "items" and after.items.columns else after.interactions
        if table in OPTIONAL:
            where = getattr(after, table)
            if where is None:
                continue
        other = {VALUE: UNIT_PRICE, UNIT_PRICE: VALUE}.get(name, name)  # one of the two is enough
        now = new.get(key) or new.get(f"{table}.{other}")
        if now is None:
            if was.missing < 1:
                yield Change(
                    key, f"{where.file} has no column {name} any more; it had one at the last read: {_instead(where, table, name)}"
                )
        elif where.read >= LEAST_ROWS or now.missing == 1:
            yield from _values(key, name, where, was, now)


def _instead(where: TableProfile, table: str, name: str) -> str:
    """Return what to do about a column that is gone, with the new column that it may be called now."""
    looks = {name, f"items.{name}"} if where.table != table else {name}
    like = next((f" (is it {column.name}?)" for column in where.not_read if column.looks_like in looks), "")
    return f"map it under [source.{table}_columns]{like} and run `recsys ingest` again"


def _values(key: str, name: str, where: TableProfile, was: ColumnProfile, now: ColumnProfile) -> Iterator[Change]:
    if now.missing - was.missing >= LOST:
        yield Change(
            key, f"{now.missing:.0%} of the rows of {where.file} have no {name}, {was.missing:.0%} at the last read: correct the export"
        )
    elif now.placeholders - was.placeholders >= LOST:
        example = next(iter(now.examples), "")
        yield Change(
            key,
            f"{now.placeholders:.0%} of the rows of {where.file} have a placeholder as {name}, {was.placeholders:.0%} at the last read"
            f"{f' (an example of the others: {example})' if example else ''}: correct the export",
        )


def _catalogue(before: DataProfile, after: DataProfile) -> Iterator[Change]:
    old, new = before.catalogue, after.catalogue
    n = before.items.kept
    for name, was in old.texts.items():
        now = new.texts.get(name)
        if now is None:
            continue
        sound = was.damaged <= 0.1 * was.beyond_ascii or was.damaged < WRONG * now.damaged / 2
        letters = max(now.beyond_ascii, was.beyond_ascii)
        if sound and was.beyond_ascii > 0 and now.damaged - was.damaged >= WRONG * letters:
            yield Change(
                f"items.{name}",
                f"{now.damaged:.1%} of the items have a {name} with damaged letters, {was.damaged:.1%} at the last read: "
                "set source.encoding and run `recsys ingest` again",
            )
    if old.available is not None and new.available is not None and new.available in (0, 1) and old.available != new.available:
        fewer = min(old.available, 1 - old.available)
        if (fewer * n >= LEAST_SOLD_OUT and fewer >= SOLD_OUT) or new.available == 0:
            state = "available" if new.available else "sold out"
            yield Change(
                f"items.{AVAILABLE}", f"all items are {state}, {old.available:.0%} were available at the last read: correct the export"
            )
    if old.currency and new.currency and old.currency != new.currency:
        yield Change(f"items.{CURRENCY}", f"the prices are in {new.currency}, in {old.currency} at the last read: correct the export")
    if old.median_price and new.median_price and not 1 / OTHER_SCALE < new.median_price / old.median_price < OTHER_SCALE:
        prices = f"half of the prices are above {new.median_price:,.2f}, above {old.median_price:,.2f} at the last read"
        yield Change(f"items.{PRICE}", f"{prices}: correct the export, or set source.decimal")
    yield from _forms(f"items.{ITEM_ID}", "item ids", old.id_forms, new.id_forms)


def _log(before: DataProfile, after: DataProfile) -> Iterator[Change]:
    old, new = before.log, after.log
    total = sum(old.events.values())
    gone = [kind for kind, n in old.events.items() if n >= RARE * total and not new.events.get(kind)]
    if gone:
        counts = ", ".join(f"{old.events[kind]:,} of kind {kind}" for kind in gone)
        yield Change(f"interactions.{EVENT}", f"the log has no event of kind {gone[0]} any more; it had {counts} at the last read")
    if old.currency and new.currency and old.currency != new.currency:
        yield Change(f"interactions.{CURRENCY}", f"the values of the log are in {new.currency}, in {old.currency} at the last read")
    if old.times != "steps" and new.times != "steps":
        yield from _span(before, after)
    yield from _forms(f"interactions.{USER_ID}", "user ids", old.user_id_forms, new.user_id_forms)


def _span(before: DataProfile, after: DataProfile) -> Iterator[Change]:
    """Compare the log's beginning without its first hundredth, and its last event. A window that moves on loses what it gains."""
    old, new = before.log, after.log
    span = old.last - old.early
    lost = (new.early - old.early) - max(new.last - old.last, timedelta(0))
    if lost > max(LEAST_TIME, BEGINNING * span):
        words = f"the log begins on {new.early:%Y-%m-%d}, on {old.early:%Y-%m-%d} at the last read"
        yield Change(f"interactions.{TIMESTAMP}", f"{words}: give the whole log again")
    elif old.last - new.last > max(LEAST_TIME, END * span):
        words = f"the newest event of the log is of {new.last:%Y-%m-%d}, of {old.last:%Y-%m-%d} at the last read"
        yield Change(f"interactions.{TIMESTAMP}", f"{words}: correct the export")


def _forms(key: str, what: str, before: dict[str, float], after: dict[str, float]) -> Iterator[Change]:
    form, share = next(iter(before.items()), ("", 0.0))
    if share >= ONE_FORM and after.get(form, 0.0) < OTHER_FORM and after:
        now = next(iter(after))
        yield Change(key, f"{what} have the form {now}, {form} at the last read (a letter, A capital, 9 digits): correct the export")
