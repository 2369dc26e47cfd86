"""Visitors: users as the log names them, guests, whom it does not, and users that are hardly persons."""

from __future__ import annotations

import json
from datetime import time
from typing import TYPE_CHECKING

import polars as pl

from features.data.ids import normal_id, visible
from features.data.interactions import CAP, CAPPED_FROM
from features.ingest.values.ids import AHEAD, largest
from features.ingest.values.placeholders import present
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.ingest.values.ids import IdColumn

GUEST = "guest-"  # begins the id of a visitor without an account
LISTED = 3  # users that are told of


def visitors(users: IdColumn, guests: Sequence[str]) -> pl.Expr:
    """Return user ids. Each order of a guest is a visitor of its own, so that many buyers count as many.

    Without an order's id, rows of one moment are one order; of whole days, each row is.

    Parameters
    ----------
    guests : user ids that stand for everybody without an account; "" is a row without a user.
    """
    user = users.read()
    if not guests:
        return user
    named = users.spelt().is_in([normal_id(guest) for guest in guests]).fill_null(value=False)
    nobody = named | user.is_null() if "" in guests else named
    moment = pl.col("timestamp")
    at = pl.when(moment.dt.time() != time()).then(moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.f"))
    order = pl.coalesce(present("order_id"), at, pl.format("row-{}", "row"))
    return pl.when(nobody).then(pl.lit(GUEST) + order).otherwise(user)


def guest_notes(checked: pl.LazyFrame, guests: Sequence[str]) -> tuple[str, ...]:
    """Return how many rows of a checked log are of guests, and how many visitors they are."""
    if not guests:
        return ()
    theirs = checked.filter(pl.col("reason").is_null(), pl.col("user_id").str.starts_with(GUEST))
    rows, orders = theirs.select(pl.len(), pl.col("user_id").n_unique().alias("orders")).collect(engine="streaming").row(0)
    if not rows:
        listed = ", ".join(visible(guest) for guest in guests if guest)
        return (f"note: source.guests has no effect: no row of the log has the user {listed}",) if listed else ()
    what = f"{counted(rows, 'row')} of guests {agree(rows, 'is', 'are')} read as {counted(orders, 'visitor')}"
    return (f"note: {what}, one for each order (source.guests)",)


def user_notes(log: pl.LazyFrame) -> tuple[str, ...]:
    """Return notes on users of a log who have so many of its events that they are hardly persons, or who may be one."""
    mails = _mails(log)
    first = largest(log, "user_id")
    many = [user for user, share in first if share >= CAP]
    if not many:
        return mails
    total, users = log.select(pl.len(), users=pl.col("user_id").n_unique()).collect(engine="streaming").row(0)
    if users < CAPPED_FROM:  # in a small shop a customer may well have so many; ten times what the next has is another matter
        many = many[:1] if users > 1 and first[0][1] >= AHEAD * first[1][1] else []
    return (*mails, *(_note(log, user, total, capped=users >= CAPPED_FROM) for user in many[:LISTED]))


def _mails(log: pl.LazyFrame) -> tuple[str, ...]:
    """Return a note on e-mail addresses that differ only in case: programs write one customer's in several ways."""
    mails = log.select("user_id").filter(pl.col("user_id").str.contains("@", literal=True)).unique()
    spelt = mails.group_by(one=pl.col("user_id").str.to_lowercase()).agg(pl.col("user_id").sort()).filter(pl.col("user_id").list.len() > 1)
    several = spelt.sort("one").collect(engine="streaming")
    if not several.height:
        return ()
    example = " and ".join(map(visible, several["user_id"][0].to_list()[:2]))
    what = f"{several.height:,} e-mail addresses among the user ids are written in several ways, e.g. {example}"
    return (f"note: {what}, and count as several users: export them in lower case",)


def _note(log: pl.LazyFrame, user: str, total: int, *, capped: bool) -> str:
    theirs = log.filter(pl.col("user_id") == user)
    days = pl.col("timestamp").dt.date().n_unique()
    facts = theirs.select(pl.len(), items=pl.col("item_id").n_unique(), days=days)
    count, items, dates = facts.collect(engine="streaming").row(0)
    cap = f"; models learn from the newest of them, at most {CAP:.0%} of all events" if capped else ""
    quoted = json.dumps(user, ensure_ascii=False)
    has = f"{count / total:.0%} of all events ({count:,}, of {counted(items, 'item')} on {counted(dates, 'day')})"
    return (
        f"note: user {visible(user)} has {has}: if that is everybody without an account, set source.guests = [{quoted}];"
        f" if it is a bot, a test or a reseller, set source.drop_users = [{quoted}]{cap}"
    )
