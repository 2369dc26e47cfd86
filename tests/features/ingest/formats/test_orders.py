"""The status of one line speaks for its order; words that are not understood are kept and said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.ingest.formats.orders import CANCELLED, FAILED, GOOD, PARTLY, PENDING, REFUNDED, VOIDED, WORDS, without_cancelled

Ingest = Callable[..., Any]
ROWS = "user_id,item_id,timestamp,order_id,status\nu,A,2026-01-01,1,{}\nu,B,2026-01-01,1,\nv,A,2026-01-02,2,paid\n"
SPELLINGS = {
    CANCELLED: ("cancelled", "Canceled", "CANCELLED_BY_CUSTOMER", "wc-cancelled", "storniert"),
    REFUNDED: ("refunded", "Fully Refunded", "wc-refunded", "charged-back"),
    VOIDED: ("voided", "VOID", " Voided "),
    FAILED: ("failed", "wc-failed", "Payment_Failed", "declined"),
    PENDING: ("pending", "pending_payment", "Pending Payment", "on-hold", "wc-on-hold"),
}


@pytest.mark.parametrize(("reason", "word"), [(reason, word) for reason, words in SPELLINGS.items() for word in words])
def test_an_order_that_came_to_nothing_is_no_purchase(ingested: Ingest, reason: str, word: str) -> None:
    shop = ingested(ROWS.format(word))
    assert shop.log["user_id"].to_list() == ["v"]
    assert [(row, why) for row, why, _ in shop.refused] == [(1, reason), (2, reason)]


@pytest.mark.parametrize("word", ["paid", "Completed", "wc-processing", "SHIPPED", "partially_paid", "", "NaN"])
def test_other_orders_are(ingested: Ingest, word: str) -> None:
    shop = ingested(ROWS.format(word))
    assert shop.log.height == 3
    assert not shop.summary.notes


@pytest.mark.parametrize("word", ["partially_refunded", "Partially Refunded", "partial-refund"])
def test_a_part_that_was_sent_back_is_said(ingested: Ingest, word: str) -> None:
    shop = ingested(ROWS.format(word))
    assert shop.log.height == 3
    assert "1 row of partially refunded orders is kept, because what was sent back is not known" in shop.summary.notes[0]


@pytest.mark.parametrize("word", ["on the moon", "200", "zurück"])
def test_a_word_that_is_not_understood_is_kept_and_said(ingested: Ingest, word: str) -> None:
    shop = ingested(ROWS.format(word))
    assert shop.log.height == 3
    assert f"the status {word!r} (1) is not understood" in shop.summary.notes[0]
    shop = ingested(ROWS.format(word), statuses={word: "cancelled"})
    assert shop.log.height == 1
    assert not shop.summary.notes


def test_without_order_ids_a_status_is_of_its_row(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp,status\nu,A,2026-01-01,cancelled\nu,B,2026-01-01,\n")
    assert shop.log["item_id"].to_list() == ["B"]


def test_rows_without_an_order_are_not_of_one_order(ingested: Ingest) -> None:
    text = "user_id,item_id,timestamp,order_id,status\nu,A,2026-01-01,,cancelled\nu,B,2026-01-01,,\nv,B,2026-01-01,nan,\n"
    assert ingested(text).log["item_id"].to_list() == ["B", "B"]


orders = st.lists(st.tuples(st.sampled_from(["1", "2", "3", None]), st.sampled_from([*sum(WORDS.values(), ()), None])), min_size=1)


@given(orders)
def test_an_order_is_refused_as_a_whole_or_not_at_all(rows: list[tuple[str | None, str | None]]) -> None:
    frame = pl.LazyFrame(
        {"row": range(len(rows)), "order_id": [order for order, _ in rows], "status": [word for _, word in rows]},
        schema={"row": pl.Int64, "order_id": pl.String, "status": pl.String},
    )
    out, _ = without_cancelled(frame, {}, "log.csv")
    found = out.collect()
    refused = found["refused"].is_not_null().to_list() if "refused" in found.columns else [False] * len(rows)
    bad = {word for reason, words in WORDS.items() if reason not in (GOOD, PARTLY) for word in words}
    lost = {order for order, word in rows if order and word in bad}
    assert refused == [word in bad or order in lost for order, word in rows]
    assert found["row"].to_list() == list(range(len(rows)))
