"""Orders that are no purchase: a status of one line speaks for all lines of its order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.formats.layout import REFUSED
from features.ingest.values.placeholders import not_null_word
from features.names import ORDER_ID, STATUS
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

CANCELLED, REFUNDED, VOIDED = "order is cancelled", "order is refunded", "order is voided"
FAILED, PENDING = "order has failed", "order is not paid yet"
PARTLY, GOOD = "partially refunded", "good"
# The words of the shop software, without regard to case and to what separates them.
WORDS: dict[str, tuple[str, ...]] = {
    CANCELLED: (
        "cancelled", "canceled", "cancel", "cancellation", "order cancelled", "order canceled", "cancelled by customer",
        "canceled by customer", "cancelled by seller", "trash", "deleted", "storniert", "storno", "annulé", "annulée", "annule", "annulee",
        "cancelado", "cancelada", "annullato", "geannuleerd", "anulowane",
    ),
    REFUNDED: (
        "refunded", "refund", "fully refunded", "order refunded", "returned", "charged back", "chargeback", "reversed", "erstattet",
        "remboursé", "remboursée", "reembolsado", "rimborsato",
    ),
    VOIDED: ("voided", "void"),
    FAILED: (
        "failed", "failure", "payment failed", "payment error", "declined", "rejected", "denied", "expired", "fraud", "suspected fraud",
        "abandoned", "checkout draft",
    ),
    PENDING: (
        "pending", "pending payment", "payment pending", "awaiting payment", "on hold", "holded", "payment review", "unpaid", "draft",
        "not paid",
    ),
    PARTLY: ("partially refunded", "partial refund", "partially returned", "partly refunded"),
    GOOD: (
        "paid", "completed", "complete", "processing", "shipped", "partially shipped", "delivered", "fulfilled", "partially fulfilled",
        "unfulfilled", "partially paid", "authorized", "authorised", "captured", "closed", "archived", "success", "successful", "ok",
        "confirmed", "approved", "settled", "open", "placed", "new", "invoiced", "dispatched", "sent", "in transit", "out for delivery",
        "received", "in progress", "ready for pickup", "ready to ship", "picked up", "awaiting fulfillment", "awaiting shipment", "active",
        "purchased", "sold", "done", "finished", "bezahlt", "abgeschlossen", "versandt", "payé", "livré", "pagado", "pagato", "betaald",
    ),
}  # fmt: skip
MEANING = {word: meaning for meaning, words in WORDS.items() for word in words}
# What a shop can say of its own words in `source.statuses`.
OWN = {"paid": GOOD, "cancelled": CANCELLED, "refunded": REFUNDED, "failed": FAILED, "pending": PENDING}


def without_cancelled(log: pl.LazyFrame, statuses: Mapping[str, str], name: str) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    """Refuse the rows of orders that came to nothing, and say what was not understood.

    Parameters
    ----------
    log : raw columns of a log, maybe with `status` and `order_id`.
    statuses : the shop's word -> a key of `OWN`.
    name : of the file, for the notes.

    Returns
    -------
    log : with the column `refused`.
    notes : orders that are partially refunded, and words that were not understood, with counts.
    """
    schema = log.collect_schema()
    if schema.get(STATUS) != pl.String:
        return log, ()
    counts = dict(log.group_by(not_null_word(pl.col(STATUS).str.strip_chars())).len().collect(engine="streaming").iter_rows())
    counts.pop(None, None)
    own = {_folded(theirs): OWN[ours] for theirs, ours in statuses.items()}
    meaning = {word: (MEANING | own).get(_folded(word)) for word in counts}
    bad = {word: reason for word, reason in meaning.items() if reason not in (None, PARTLY, GOOD)}
    reason = pl.col(STATUS).str.strip_chars().replace_strict(bad, default=None, return_dtype=pl.String)
    if bad:
        log = _refused(log, reason, by_order=ORDER_ID in schema)
    return log, _notes(counts, meaning, name)


def _refused(log: pl.LazyFrame, reason: pl.Expr, *, by_order: bool) -> pl.LazyFrame:
    log = log.with_columns(_reason=reason)
    if by_order:
        order = pl.col(ORDER_ID).cast(pl.String).str.strip_chars()
        log = log.with_columns(_order=not_null_word(order))
        bad = log.filter(pl.col("_reason").is_not_null() & pl.col("_order").is_not_null()).group_by("_order")
        orders = bad.agg(_of_order=pl.col("_reason").sort_by("row").last())
        log = log.join(orders, on="_order", how="left", maintain_order="left")
        log = log.with_columns(_reason=pl.coalesce("_reason", "_of_order")).drop("_of_order", "_order")
    before = [REFUSED] if REFUSED in log.collect_schema() else []
    return log.with_columns(pl.coalesce(*before, "_reason").alias(REFUSED)).drop("_reason")


def _folded(word: str) -> str:
    """Return a status in lower case, its words separated by one space; without WooCommerce's prefix."""
    return re.sub(r"[\s_\-]+", " ", word.strip().lower()).removeprefix("wc ").strip()


def _notes(counts: Mapping[str, int], meaning: Mapping[str, str | None], name: str) -> tuple[str, ...]:
    partly = sum(counts[word] for word, what in meaning.items() if what == PARTLY)
    unknown = sorted((word for word, what in meaning.items() if what is None), key=lambda word: -counts[word])
    notes = []
    if partly:
        what = f"{counted(partly, 'row')} of partially refunded orders {agree(partly, 'is', 'are')} kept"
        notes.append(f"note: {name}: {what}, because what was sent back is not known")
    if unknown:
        said = ", ".join(f"{word[:40]!r} ({counts[word]:,})" for word in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        notes.append(
            f"note: {name}: the status {said} is not understood, and its rows are kept as purchases: "
            f'say under [source.statuses] what it is, such as {unknown[0][:40]!r} = "cancelled"'
        )
    return tuple(notes)
