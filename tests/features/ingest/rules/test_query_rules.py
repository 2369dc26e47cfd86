"""Which rows of a search log are kept, and why the others are not."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.table_store import load_optional

Searched = Callable[..., Any]
HEADER = ("timestamp", "query", "item_id", "event", "rank", "user_id")
GOOD = ("2026-01-01T10:00:00", "tea", "A", "shown", "1", "u1")


def text(*rows: tuple[str, ...], header: tuple[str, ...] = HEADER) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


def row(**values: str) -> tuple[str, ...]:
    return tuple(values.get(name, good) for name, good in zip(HEADER, GOOD, strict=True))


def test_a_row_is_stored_with_canonical_columns(searched: Searched) -> None:
    log = searched(text(GOOD, row(query="Grüner TEE ", item_id="", rank="", user_id="")))
    assert log.rows.rows() == [
        (datetime(2026, 1, 1, 10), "tea", "A", "shown", 1, "u1"),
        (datetime(2026, 1, 1, 10), "Grüner TEE", None, "shown", None, None),
    ]
    assert log.rows.schema == {
        "timestamp": pl.Datetime("us"),
        "query": pl.String,
        "item_id": pl.String,
        "event": pl.String,
        "rank": pl.Int32,
        "user_id": pl.String,
    }
    assert str(log.summary).splitlines()[2] == "queries: 2 read = 2 kept + 0 quarantined"
    facts = log.summary.profile.search
    assert (facts.rows, facts.distinct, facts.users, facts.items, facts.events, facts.empty) == (2, 2, 1, 1, {"shown": 2}, 1)


@pytest.mark.parametrize(
    ("values", "reason", "shown"),
    [
        ({"query": ""}, "no query", ""),
        ({"query": " \t\x0b\u3000"}, "no query", None),
        ({"query": "\x00\x1b\x07"}, "no query", None),
        ({"query": "\u200b\ufeff\u200e"}, "no query", None),
        ({"query": "NULL"}, "no query", "NULL"),
        ({"query": "(not set)"}, "no query", "(not set)"),
        ({"query": "x" * 1_001}, "query longer than 1,000 characters", "x" * 60),
        ({"query": "茶" * 10_000}, "query longer than 1,000 characters", "茶" * 60),
        ({"timestamp": ""}, "no timestamp", ""),
        ({"timestamp": "soon"}, "timestamp not understood", "soon"),
        ({"timestamp": "2126-01-01T10:00:00"}, "timestamp in the future", "2126-01-01T10:00:00"),
        ({"timestamp": "1970-01-01T00:00:00"}, "timestamp before 1971", "1970-01-01T00:00:00"),
        ({"item_id": "X9"}, "item_id not in the catalogue", "X9"),
        ({"item_id": "5.9E+12"}, "item_id was rounded by a spreadsheet (scientific notation)", "5.9E+12"),
        ({"item_id": "", "event": "click"}, "no item_id", ""),
        ({"item_id": "", "event": "purchase"}, "no item_id", ""),
        ({"item_id": "N/A", "event": "cart"}, "no item_id", "N/A"),
        ({"event": "wobble"}, "unknown event", "wobble"),
        ({"event": "=cmd()"}, "unknown event", "'=cmd()"),
        ({"event": "\x1b[2J"}, "unknown event", None),
        ({"rank": "-1"}, "impossible rank", "-1"),
        ({"rank": "0"}, "impossible rank", "0"),
        ({"rank": "1.5"}, "impossible rank", "1.5"),
        ({"rank": "first"}, "impossible rank", "first"),
        ({"rank": "99999999999"}, "impossible rank", "99999999999"),
        ({"user_id": "1.23E+15"}, "user_id was rounded by a spreadsheet (scientific notation)", "1.23E+15"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason(values: dict[str, str], reason: str, shown: str | None, searched: Searched) -> None:
    others = [row(query=word, item_id="B") for word in ("bread", "rolls", "buns")]
    log = searched(text(GOOD, row(**values), *others))
    assert [(number, why) for number, why, _ in log.refused] == [(2, reason)]
    assert shown is None or log.refused[0][2] == shown
    assert log.rows["query"].to_list() == ["tea", "bread", "rolls", "buns"]


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("  two   spaces ", "two spaces"),
        ("tea\x00\x1b[2Jpot", "tea [2Jpot"),
        ("line\nend", "line end"),
        ("ice\u00a0tea", "ice tea"),
        ("nan", "nan"),
        ("NA", "NA"),
        ("-", "-"),
        ("?", "?"),
        ("🍵", "🍵"),
        ("🍵👨\u200d👩", "🍵👨\u200d👩"),
        ("SPAGETTI", "SPAGETTI"),
        ("'; DROP TABLE items; --", "'; DROP TABLE items; --"),
        ("<b>tea</b> &amp; title:(", "<b>tea</b> &amp; title:("),
        ("=1+1", "=1+1"),
        ("抹茶 どら焼き", "抹茶 どら焼き"),
        ("x" * 1_000, "x" * 1_000),
    ],
)
def test_a_query_is_kept_as_it_was_typed(typed: str, stored: str, searched: Searched) -> None:
    log = searched(text(GOOD, row(query=typed)))
    assert log.rows["query"].to_list() == ["tea", stored]
    assert log.refused == []


@pytest.mark.parametrize("word", ["", "NA", "null", "(not set)", "-"])
def test_a_query_that_showed_nothing_is_a_row_without_an_item(word: str, searched: Searched) -> None:
    log = searched(text(GOOD, row(item_id=word, query="spagetti", rank="0", event="shown")))
    assert log.rows.select("query", "item_id", "rank").row(1) == ("spagetti", None, None)
    assert log.summary.profile.search.empty == 1


def test_an_item_that_is_called_na_is_found(searched: Searched) -> None:
    log = searched(text(row(item_id="NA")), items="item_id,title\nNA,Sodium\nA,Apple\nB,Bread\n")
    assert log.rows["item_id"].to_list() == ["NA"]


def test_an_item_of_another_spelling_is_the_catalogues(searched: Searched) -> None:
    log = searched(text(row(item_id="a"), row(item_id="B", query="bread")))
    assert log.rows["item_id"].to_list() == ["A", "B"]
    what = "is read as the one id of the catalogue that differs only in case, e.g. 'a' as 'A'"
    assert log.notes == [f"note: 1 item_id of the search log (1 row) {what}"]


def test_rows_of_a_quarantined_item_say_so(searched: Searched) -> None:
    items = "item_id,title,price\nA,Apple,1\nB,Bread,1\nC,Cake,-1\n"
    assert searched(text(GOOD, row(item_id="C")), items=items).refused == [(2, "item_id whose row in the catalogue is quarantined", "C")]


def test_a_rank_that_begins_with_0_is_counted_from_1(searched: Searched) -> None:
    rows = [row(rank=str(place), item_id=item, timestamp=f"2026-01-0{day}T10:00:00") for day in (1, 2) for place, item in enumerate("AB")]
    log = searched(text(*rows, row(rank="", event="click")))
    assert log.rows["rank"].to_list() == [1, 2, 1, 2, None]
    assert log.notes == ["rank is counted from 0 (in 2 rows), and read as counted from 1: a rank of 0 is read as 1"]
    assert log.refused == []


@pytest.mark.parametrize("rank", ["3", "3.0", " 3 ", "3.00"])
def test_a_rank_may_be_written_as_a_decimal(rank: str, searched: Searched) -> None:
    assert searched(text(row(rank=rank))).rows["rank"].to_list() == [3]


def test_the_same_row_twice_counts_once(searched: Searched) -> None:
    other = row(rank="2", item_id="B")
    log = searched(text(GOOD, other, GOOD, other, row(user_id="u2"), row(user_id="")))
    assert log.refused == [(3, "duplicate row (the first one stays)", "tea"), (4, "duplicate row (the first one stays)", "tea")]
    assert log.rows.height == 4


def test_rows_that_nothing_tells_apart_all_count(searched: Searched) -> None:
    """A log of days without users: two people may have clicked the same item."""
    day = row(timestamp="2026-01-01", user_id="")
    assert searched(text(day, day, day)).refused == []
    named = row(timestamp="2026-01-01")
    assert [number for number, *_ in searched(text(named, named)).refused] == [2]


@pytest.mark.parametrize("guest", ["0", "guest", "web"])
def test_guests_are_nobody(guest: str, searched: Searched) -> None:
    log = searched(text(GOOD, row(user_id=guest, query="bread")), guests=[guest, "u2"])
    assert log.rows["user_id"].to_list() == ["u1", None]


def test_bots_and_what_is_no_product_are_left_out(searched: Searched) -> None:
    log = searched(text(GOOD, row(user_id="bot-7"), row(item_id="B")), drop_users=["bot-7"], drop_items="^B")
    assert [reason for _, reason, _ in log.refused] == ["dropped by source.drop_users", "dropped by source.drop_items"]


def test_a_log_of_words_alone_is_read_and_it_is_said(searched: Searched) -> None:
    log = searched(text(("2026-01-01", "tea"), ("2026-01-02", "bread"), header=("timestamp", "query")))
    assert log.rows["query"].to_list() == ["tea", "bread"]
    assert log.notes == ["it has no item_id: it says what was typed, and nothing of what was shown"]


def test_days_and_months_have_a_format_of_their_own(searched: Searched) -> None:
    rows = [row(timestamp="02/01/2026 10:00")]
    with pytest.raises(DataError, match=r'source.queries_timestamp_format = "%d/%m/%Y %H:%M"'):
        searched(text(*rows))
    log = searched(text(*rows), queries_timestamp_format="%d/%m/%Y %H:%M")
    assert log.rows["timestamp"].to_list() == [datetime(2026, 1, 2, 10)]


def test_a_variant_stands_for_its_product(searched: Searched) -> None:
    items = "item_id,title,group_id\nA,Apple,\nB,Bread,\nT-S,Shirt S,T\nT-M,Shirt M,T\n"
    log = searched(text(row(item_id="T-S"), row(item_id="T-M"), row(item_id="T"), GOOD), items=items, variants="one")
    assert log.rows["item_id"].to_list() == ["T", "T", "T", "A"]
    assert log.refused == []


def test_damaged_letters_are_counted(searched: Searched) -> None:
    log = searched(text(GOOD, row(query="caf\ufffd")))
    assert log.notes == ["the query of 1 row holds characters that could not be decoded (\ufffd): set source.encoding, say to cp1252"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "the search log has no rows, expected at least one"),
        ([row(item_id="X9"), row(item_id="X8")], "not one of the 2 rows of the search log can be used"),
        ([row(query="")], "the one row of the search log cannot be used"),
    ],
)
def test_a_log_without_a_usable_row_is_an_error(rows: list[tuple[str, ...]], said: str, searched: Searched) -> None:
    with pytest.raises(DataError, match=said):
        searched(text(*rows))


def test_erased_users_stay_out_also_where_none_is_left(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\nA,Apple\n")
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,A,2026-01-01\n")
    (tmp_path / "queries.csv").write_text(text(row(user_id="gone"), row(user_id="5001.0", query="bread")))
    source = Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv", queries=tmp_path / "queries.csv")
    summary = ingest(source, tmp_path / "out", ErasedUsers().with_users(["gone", "5001"]))
    assert summary.optional["queries"].reasons == {"of an erased user": 2}
    rows = load_optional(tmp_path / "out", "queries")
    assert rows is not None
    assert rows.height == 0
    assert "bread" not in (next((tmp_path / "out").glob("2*")) / "quarantine.csv").read_text()


FIELDS = st.text(st.characters(codec="utf-8"), max_size=12)
CELLS = {
    "timestamp": st.sampled_from(["2026-01-01T10:00:00", "2126-01-01", "", "soon"]) | FIELDS,
    "query": FIELDS,
    "item_id": st.sampled_from(["A", "a", "B", "X9", "NA", ""]) | FIELDS,
    "event": st.sampled_from(["shown", "click", "impression", ""]) | FIELDS,
    "rank": st.sampled_from(["1", "0", "-1", "2.0", ""]) | FIELDS,
    "user_id": st.sampled_from(["u1", "guest", ""]) | FIELDS,
}


@settings(max_examples=15)  # of more rows each: an ingest costs more than its rows
@given(st.lists(st.tuples(*CELLS.values()), max_size=24))
def test_whatever_becomes_of_a_row_it_is_counted(rows: list[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "items.csv").write_text("item_id,title\nA,Apple\nB,Bread\n")
        (folder / "log.csv").write_text("user_id,item_id,timestamp\nu1,A,2026-01-01\n")
        pl.DataFrame([GOOD, *rows], schema=dict.fromkeys(HEADER, pl.String), orient="row").write_parquet(folder / "queries.parquet")
        source = Source(items=folder / "items.csv", interactions=folder / "log.csv", queries=folder / "queries.parquet")
        summary = ingest(source, folder / "out")
        stored = load_optional(folder / "out", "queries")
    table = summary.optional["queries"]
    assert table is not None
    assert stored is not None
    assert table.read == len(rows) + 1 == table.kept + table.quarantined
    assert stored.height == table.kept
    assert stored.filter(pl.col("item_id").is_null())["event"].to_list() == ["shown"] * stored["item_id"].null_count()
    assert set(stored["item_id"].drop_nulls()) <= {"A", "B"}
    assert (stored["query"].str.len_chars() > 0).all()
    assert all(note.startswith("note: ") and note.isprintable() for note in summary.notes)
