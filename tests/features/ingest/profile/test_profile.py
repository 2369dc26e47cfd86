"""The profile itself: what it says of a table, that it is printed and kept, and that what is kept names no user."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import dry_run, ingest
from features.ingest.profile.model import ColumnProfile, DataProfile
from features.ingest.profile.report import full, short
from features.ingest.profile.value_forms import escaped, form_of, shape
from features.ingest.source import Source
from features.ingest.summary import IngestSummary, TableSummary, as_note
from features.ingest.table_store import forget, load_profile
from features.ingest.table_versions import PROFILE, in_use

Ingest = Callable[..., Any]
LOG = "user_id,item_id,timestamp,event,customer_name,qty\n" + "".join(
    f"{user},{item},2026-03-{day:02} 10:00,{event},{name},{day % 3 + 1}\n"
    for day in range(1, 29)
    for user, item, event, name in (("anna.smith@shop.de", "A", "view", "Anna Smith"), (f"user{day}", "B", "purchase", "Bo Li"))
)
ITEMS = "item_id,title,price,available,colour\nA,Green tea,3.50,yes,green\nB,Black tea,,no,\n"


def column(profile: DataProfile, table: str, name: str) -> ColumnProfile:
    return next(one for one in getattr(profile, table).columns if one.name == name)


@pytest.mark.parametrize(
    ("column_name", "values", "wanted"),
    [
        ("timestamp", ("13.02.2026 10:00", "14.02.2026 10:00"), "dates, day first"),
        ("timestamp", ("02/13/2026 10:00", "02/14/2026 10:00"), "dates, month first"),
        ("timestamp", ("1770970800", "1770971800"), "epoch in seconds"),
        ("value", ("12,50 €", "1.299,00 €"), "money with decimal comma, EUR"),
        ("value", ("$12.50", "$1,299.00"), "money, $"),
        ("value", ("12.50", "1299"), "numbers"),
    ],
)
def test_the_profile_says_how_the_rules_read_a_column(column_name: str, values: tuple[str, str], wanted: str, tmp_path: Path) -> None:
    rows = [
        {"user_id": "u", "item_id": "A", "title": "Tea", "timestamp": f"2026-02-1{i}", "value": "1"} | {column_name: value}
        for i, value in enumerate(values)
    ]
    (tmp_path / "log.csv").write_text("\n".join([";".join(rows[0]), *(";".join(row.values()) for row in rows)]), encoding="utf-8")
    profile = dry_run(Source(interactions=tmp_path / "log.csv"), tmp_path).profile
    assert profile is not None
    assert column(profile, "interactions", column_name).understood == wanted


def test_each_column_is_described(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "items.csv").write_text(ITEMS)
    profile = dry_run(Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv"), tmp_path).profile
    assert profile is not None
    price = column(profile, "items", "price")
    assert (price.ours, price.reading, price.missing, price.distinct) == (("price",), "our name", 0.5, 2)
    time = column(profile, "interactions", "timestamp")
    assert (time.understood, time.missing, time.distinct) == ("ISO 8601", 0, 28)
    qty = column(profile, "interactions", "qty")
    assert (qty.reading, qty.looks_like, qty.understood, qty.examples) == ("not read", "quantity", "whole numbers", ("2", "3", "1"))
    assert profile.catalogue.available == 0.5
    log = profile.log
    assert (log.first, log.last, log.events) == (datetime(2026, 3, 1, 10), datetime(2026, 3, 28, 10), {"purchase": 28, "view": 28})
    assert [(one.column, one.value, one.share) for one in log.dominant] == [("user_id", "anna.smith@shop.de", 0.5)]
    assert log.times == "dates"
    assert "dates" in log.times_why
    for text in (short(profile), full(profile)):
        assert "qty (is it quantity?)" in text or "not read (is it quantity?)" in text
    told = "50% of all events are of one user"
    assert told in full(profile)
    assert any("has 50% of all events" in note for note in profile.notes)
    assert told not in short(profile)  # the note says it


def test_what_is_stored_names_no_user(ingested: Ingest, tmp_path: Path) -> None:
    shop = ingested(LOG, ITEMS)
    assert "anna.smith@shop.de" in shop.summary.profile.model_dump_json()
    stored = (in_use(tmp_path / "out") / PROFILE).read_text()
    assert not [name for name in ("anna", "Anna", "Smith", "user1", "Bo Li") if name in stored]
    assert "aaaa.aaaaa@aaaa.aa" in stored, "the form of an id helps"
    assert "Green tea" in stored
    assert load_profile(tmp_path / "out") == shop.summary.profile.without_personal_data()


def test_the_profile_is_that_of_the_log_that_is_left_after_an_erasure(ingested: Ingest, tmp_path: Path) -> None:
    ingested(LOG, ITEMS)
    forget(tmp_path / "out", ErasedUsers().with_users(["anna.smith@shop.de", "user28"]))
    profile = load_profile(tmp_path / "out")
    assert profile is not None
    assert (profile.log.users, profile.log.last, profile.log.events) == (27, datetime(2026, 3, 27, 10), {"purchase": 27})
    assert profile.log.dominant == ()
    table = profile.interactions
    assert table.quarantined["of an erased user"] == 29
    assert table.read == table.kept + sum(table.quarantined.values())
    forget(tmp_path / "out", ErasedUsers().with_users([f"user{day}" for day in range(1, 28)]))
    assert load_profile(tmp_path / "out") is None


def test_a_dry_run_reads_everything_and_stores_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "items.csv").write_text(ITEMS)
    source = Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")
    (tmp_path / "look").mkdir()
    looked, done = dry_run(source, tmp_path / "look"), ingest(source, tmp_path / "out")
    assert (looked.profile, str(looked)) == (done.profile, str(done))
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,Z,2026-03-01\n")
    (tmp_path / "again").mkdir()
    with pytest.raises(DataError, match="no item of the log is in the catalogue"):
        dry_run(source, tmp_path / "again")


@pytest.mark.parametrize("text", ["", "{", "{}", '{"items": 1}', None])
def test_tables_without_a_readable_profile_have_none(text: str | None, ingested: Ingest, tmp_path: Path) -> None:
    ingested(LOG, ITEMS)
    path = in_use(tmp_path / "out") / PROFILE
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    assert load_profile(tmp_path / "out") is None


def test_unknown_keys_are_refused(ingested: Ingest) -> None:
    values = json.loads(ingested(LOG, ITEMS).summary.profile.model_dump_json())
    with pytest.raises(ValueError, match="Extra inputs"):
        DataProfile.model_validate(values | {"user": "anna"})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["2026-01-01", "2026-01-02"], "date, yyyy-mm-dd"),
        (["1772323200000", "1772323300000"], "time: milliseconds since 1970"),
        (["20260101", "20260102"], "date, yyyymmdd"),
        (["01/02/2026", "02/02/2026"], "date with dots or slashes"),
        (["1,50", "2,99"], "numbers, decimal comma"),
        (["1.299,00", "250,00", "12.999,90"], "numbers, thousands with a dot or a space, decimal comma"),
        (["€ 3.50", "€ 4.00"], "money with a sign of its currency"),
        (["17850.0", "17851.0"], "whole numbers written as decimals"),
        (["yes", "no"], "yes or no"),
        (["[1, 2]", "[3]"], "objects or lists"),
        (["<p>Grüner Tee, fein</p>", "<b>Schwarzer Tee</b> aus Assam"], "text, about 30 characters, with HTML"),
        (["Зелёный чай из Китая", "Green tea of Japan"], "text, about 20 characters, in Latin and Cyrillic letters"),
        (["", None, "nan"], "no values"),
        (["N/A", "unknown"], "no values"),
    ],
)
def test_types_are_told_in_words(values: list[str | None], words: str) -> None:
    assert form_of(values).words == words


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["4006381333931", "4006381333948"], "id, 13 digits"),
        (["1", "10", "100"], "id, 1 to 3 digits"),
        (["7.0", "8.0"], "id, whole numbers written as decimals"),
        (["1.2E+5", "77"], "id, numbers of several forms"),
        (["ab-12", "cd-13"], "id, 5 characters like aa-99"),
    ],
)
def test_ids_are_told_in_words(ids: list[str], words: str) -> None:
    assert form_of(ids, "id").words == words


@given(st.text())
def test_examples_are_short_and_hold_no_control_characters(text: str) -> None:
    assert escaped(text).isprintable()
    assert len(escaped(text)) <= 40
    assert shape(text) == shape(shape(text)) or not text.isascii()


@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=30))
def test_any_sample_has_a_form_whose_words_hold_none_of_its_values(values: list[str | None]) -> None:
    long = {value.strip() for value in values if value and len(value.strip()) > 12}
    assert not [value for value in long if value in form_of(values).words]


def test_notes_have_one_form_and_ten_of_them_are_shown() -> None:
    table = TableSummary("items", 1, 1, {})
    summary = IngestSummary(table, table, tuple(f"thing {n}\x1b[2J\nnext" for n in range(13)))
    lines = str(summary).splitlines()
    assert lines[2] == "note: thing 0 [2J next"
    assert len(lines) == 2 + 10 + 1
    assert lines[-1] == "note: and 3 more (recsys ingest --check shows them)"
    assert len(summary.all_lines.splitlines()) == 2 + 13
    assert as_note("note: said") == "note: said"
