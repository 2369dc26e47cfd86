"""Guests, and users that are hardly persons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import ERASED, ingest
from features.ingest.source import Source
from features.ingest.table_store import load_tables

Ingest = Callable[..., Any]
ORDERS = """order_id,user_id,item_id,timestamp
1,0,A,2026-01-01 10:00
1,0,B,2026-01-01 10:00
2,0,A,2026-01-01 10:00
3,7,A,2026-01-02 10:00
"""


def test_each_order_of_a_guest_is_a_visitor(ingested: Ingest) -> None:
    shop = ingested(ORDERS, guests=["0"])
    assert shop.log["user_id"].to_list() == ["guest-1", "guest-1", "guest-2", "7"]
    assert shop.summary.notes == ("note: 3 rows of guests are read as 2 visitors, one for each order (source.guests)",)


def test_without_an_order_a_moment_is_one(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp\n0,A,2026-01-01 10:00\n0,B,2026-01-01 10:00\n0,A,2026-01-01 11:00\n", guests=["0"])
    assert shop.log["user_id"].to_list() == ["guest-2026-01-01T10:00:00"] * 2 + ["guest-2026-01-01T11:00:00"]


def test_of_whole_days_each_row_is_one(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp\n0,A,2026-01-01\n0,B,2026-01-01\n7,A,2026-01-01\n", guests=["0"])
    assert shop.log["user_id"].to_list() == ["guest-row-1", "guest-row-2", "7"]


@pytest.mark.parametrize("word", ["-1", "GUEST", "NA", "00000000-0000-0000-0000-000000000000"])
def test_a_guest_may_be_any_word(word: str, ingested: Ingest) -> None:
    shop = ingested(ORDERS.replace(",0,", f",{word},"), guests=[word])
    assert shop.log["user_id"].to_list() == ["guest-1", "guest-1", "guest-2", "7"]


def test_a_guest_may_be_nothing(ingested: Ingest) -> None:
    assert ingested(ORDERS.replace(",0,", ",,"), guests=[""]).log["user_id"].to_list() == ["guest-1", "guest-1", "guest-2", "7"]


def test_the_first_user_of_a_numbering_is_no_guest(ingested: Ingest) -> None:
    rows = "".join(f"{user},A,2026-01-{day:02}\n" for user in range(30) for day in range(1, 4))
    shop = ingested("user_id,item_id,timestamp\n" + rows)
    assert shop.log["user_id"].n_unique() == 30
    assert shop.summary.notes == ()


def many(user: str, count: int, others: int) -> str:
    rows = [f"{user},A,2026-01-{day % 28 + 1:02}\n" for day in range(count)] + [f"u{number},B,2026-01-01\n" for number in range(others)]
    return "user_id,item_id,timestamp\n" + "".join(rows)


def test_a_user_with_most_events_is_told(ingested: Ingest) -> None:
    (note,) = ingested(many("0", 100, 60)).summary.notes
    assert note.startswith("note: user '0' has 62% of all events (100, of 1 item on 28 days)")
    assert 'set source.guests = ["0"]' in note
    assert 'set source.drop_users = ["0"]' in note
    assert "models learn" not in note
    assert ingested(many("bot", 100, 200)).summary.notes[0].endswith("models learn from the newest of them, at most 5% of all events")


@pytest.mark.parametrize(("count", "others"), [(3, 20), (9, 12), (4, 120)])
def test_a_good_customer_is_not_told(count: int, others: int, ingested: Ingest) -> None:
    assert ingested(many("anna", count, others)).summary.notes == ()


def test_users_that_are_no_customers_are_left_out(ingested: Ingest) -> None:
    shop = ingested(many("bot", 5, 30), drop_users=["bot", "u1"])
    assert shop.summary.interactions.reasons == {"dropped by source.drop_users": 6}
    assert shop.log.height == 29


@pytest.mark.parametrize("spelling", ["5001", "5001.0", " 5001", "5001\u200b", '="5001"'])
@pytest.mark.parametrize("erased", ["5001", "5001.0", "5001\u200b"])
def test_an_erased_user_is_known_in_any_spelling(spelling: str, erased: str, tmp_path: Path) -> None:
    quoted = spelling.replace('"', '""')
    (tmp_path / "log.csv").write_text(f'user_id,item_id,timestamp\n"{quoted}",A,2026-01-01\nanna,A,2026-01-01\n', encoding="utf-8")
    (tmp_path / "items.csv").write_text("item_id,title\nA,Apple\n")
    source = Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")
    summary = ingest(source, tmp_path / "out", ErasedUsers().with_users([erased]))
    assert summary.interactions.reasons == {ERASED: 1}
    assert load_tables(tmp_path / "out")[1]["user_id"].to_list() == ["anna"]


def test_a_list_of_an_earlier_version_still_holds(tmp_path: Path) -> None:
    erased = ErasedUsers()
    old = erased.model_copy(update={"users": {erased._hash("anna\u200b"): "2026-01-01T00:00:00Z"}})
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nanna\u200b,A,2026-01-01\nbea,A,2026-01-01\n", encoding="utf-8")
    (tmp_path / "items.csv").write_text("item_id,title\nA,Apple\n")
    ingest(Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv"), tmp_path / "out", old)
    assert load_tables(tmp_path / "out")[1]["user_id"].to_list() == ["bea"]


@pytest.mark.parametrize("other", ["Ann@X.org", "ANN@x.org", "ann@X.ORG"])
def test_addresses_that_differ_only_in_case_are_told(ingested: Ingest, other: str) -> None:
    shop = ingested(f"user_id,item_id,timestamp\nann@x.org,A,2024-01-01\n{other},B,2024-01-02\nBob@x.org,B,2024-01-03\nbob,B,2024-01-03\n")
    (note,) = [note for note in shop.summary.notes if "e-mail" in note]
    assert note.startswith(f"note: 1 e-mail addresses among the user ids are written in several ways, e.g. '{other}' and 'ann@x.org'")
