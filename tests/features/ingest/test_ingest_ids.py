"""Ids in the columns of a shop's tables: one spelling for one thing, or a note why not."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.table_store import load_tables
from features.ingest.values.ids import dominant, read_ids

Ingest = Callable[..., Any]
ITEMS = "item_id,title\n101,Green tea\n102,Black tea\n"


def log_of(*pairs: tuple[str, str]) -> str:
    quoted = [tuple('"' + text.replace('"', '""') + '"' for text in pair) for pair in pairs]
    return "user_id,item_id,timestamp\n" + "".join(f"{user},{item},2026-01-{day:02}\n" for day, (user, item) in enumerate(quoted, 1))


def notes(shop: Any) -> str:
    return "\n".join(shop.summary.notes)


def test_half_a_column_of_floats_is_the_same_users(ingested: Ingest) -> None:
    shop = ingested(log_of(("5001", "101"), ("5001.0", "102"), ("5002.0", "101"), ("5003", "101")), ITEMS)
    assert shop.log["user_id"].to_list() == ["5001", "5001", "5002", "5003"]
    assert shop.summary.notes == ("note: 2 user_ids of the log (2 rows) are read without decimals, e.g. '5001.0' as '5001'",)


@pytest.mark.parametrize("form", ["{}.0", "{},0", "{}.00"])
def test_among_other_ids_a_float_is_a_whole_number_that_is_there(form: str, ingested: Ingest) -> None:
    shop = ingested(log_of(("5001", "101"), ("anna", "101"), (form.format(5001), "102"), (form.format(7), "101")), ITEMS)
    assert shop.log["user_id"].to_list() == ["5001", "anna", "5001", form.format(7)]


def test_floats_in_one_table_alone(ingested: Ingest) -> None:
    shop = ingested(log_of(("u", "101.0"), ("v", "102.0")), ITEMS + "A-7,Cup\n")
    assert shop.log["item_id"].to_list() == ["101", "102"]
    shop = ingested(log_of(("u", "101"), ("v", "A-7")), "item_id,title\n101.0,Green tea\nA-7,Cup\n")
    assert shop.log["item_id"].to_list() == ["101.0", "A-7"]
    assert "differs only in decimals, e.g. '101' as '101.0'" in notes(shop)


def test_a_rounded_id_does_not_keep_the_others_from_being_whole_numbers(ingested: Ingest) -> None:
    shop = ingested(log_of(("5001.0", "101"), ("5002", "101"), ("7.01235E+12", "101")), ITEMS)
    assert shop.log["user_id"].to_list() == ["5001", "5002"]


def test_no_thousands_are_taken_for_decimals(ingested: Ingest) -> None:
    shop = ingested(log_of(("1.000", "101"), ("5.001,0", "101"), ("999", "102")), ITEMS)
    assert shop.log["user_id"].to_list() == ["1.000", "5.001,0", "999"]


def test_floats_of_parquet_keep_their_digits(tmp_path: Path) -> None:
    times = pl.Series(["2026-01-01"] * 4).str.to_datetime()
    users = [5001.0, 1e16, 5.90123e12, None]
    pl.DataFrame({"user_id": users, "item_id": [101.0, 101.0, 102.0, 101.0], "timestamp": times}).write_parquet(tmp_path / "log.parquet")
    (tmp_path / "items.csv").write_text(ITEMS)
    summary = ingest(Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.parquet"), tmp_path / "out")
    assert load_tables(tmp_path / "out")[1]["user_id"].to_list() == ["5001", "10000000000000000", "5901230000000"]
    assert any("1 user_id of the log (1 row) has lost digits" in note and "'10000000000000000.0'" in note for note in summary.notes)


SCIENTIFIC = ["5.90123E+12", "5,90123E+12", "5.90123e12", "6E+12", "1e+05"]


@pytest.mark.parametrize("text", SCIENTIFIC)
def test_a_rounded_id_is_refused(text: str, ingested: Ingest) -> None:
    shop = ingested(log_of(("u", "101"), (text, "101"), ("v", text)), f'{ITEMS}"{text}",Oolong\n')
    reason = "{} was rounded by a spreadsheet (scientific notation)"
    assert sorted(shop.refused) == sorted(
        [(3, reason.format("item_id"), text), (2, reason.format("user_id"), text), (3, reason.format("item_id"), text)]
    )
    assert f"note: 1 user_id of the log (1 row) has lost digits in a spreadsheet or program, e.g. '{text}'" in notes(shop)


def test_codes_that_only_look_like_numbers_stay(ingested: Ingest) -> None:
    users = ["12E3", "1E5", "3e7", "12e45678", "5.9E", "1.2.3"]
    assert ingested(log_of(*[(user, "101") for user in users]), ITEMS).log["user_id"].to_list() == users


def test_scientific_notation_with_all_digits_is_the_number(ingested: Ingest) -> None:
    shop = ingested(log_of(("5.901234123457E12", "101"), ("5901234123457", "102")), ITEMS)
    assert shop.log["user_id"].to_list() == ["5901234123457"] * 2


def test_a_rounded_event_id_loses_no_row(ingested: Ingest) -> None:
    rows = "u,101,2026-01-01,5.90123E+12\nu,101,2026-01-02,5.90123E+12\nu,101,2026-01-03,7\n"
    assert ingested("user_id,item_id,timestamp,event_id\n" + rows, ITEMS).log["event_id"].to_list() == [None, None, "7"]


def test_a_log_of_rounded_ids_says_what_to_do(ingested: Ingest) -> None:
    with pytest.raises(DataError, match=r"the one row of the .*rounded by a spreadsheet.*: export it again with the ids as text"):
        ingested(log_of(("7.01235E+12", "101")), ITEMS)


@pytest.mark.parametrize("text", ["tea-2\u200b", " tea-2", "tea\u00ad-2", '="tea-2"', "“tea-2”", "\u00a0tea-2\u00a0"])
def test_a_spelling_that_looks_alike_is_the_same_item(text: str, ingested: Ingest) -> None:
    shop = ingested(log_of(("u", text), ("v", "101")), f"{ITEMS}tea-2,Tea\n")
    assert shop.log["item_id"].to_list() == ["tea-2", "101"]
    told = "note: 1 item_id of the log (1 row) is read without invisible characters, odd spaces and quotes"
    assert (told in notes(shop)) is (text.strip() != "tea-2"), "white space around a value has never been part of it"


def test_items_that_become_one_are_told(ingested: Ingest) -> None:
    shop = ingested(log_of(("u", "A")), "item_id,title\nA,First\nA\u200b,Second\n")
    assert shop.refused == [(1, "duplicate item_id (a later row wins)", "A")]
    assert r"note: 1 item_id of the catalogue had several spellings, which are one now, e.g. 'A' and 'A\u200b'" in shop.summary.notes


PLACEHOLDERS = ["NA", "N/A", "n/a", "#N/A", "(not set)", "(not provided)", "undefined", "nil", "none", "-", "--", "?", "unknown"]
PLACEHOLDERS += ["Anonymous", "GUEST", "00000000-0000-0000-0000-000000000000", "[object Object]"]


@pytest.mark.parametrize("word", PLACEHOLDERS)
def test_a_placeholder_is_no_user(word: str, ingested: Ingest) -> None:
    shop = ingested(log_of(("u", "101"), (word, "101"), (word, "102")), ITEMS)
    assert [(row, reason) for row, reason, _ in shop.refused] == [(2, "no user_id"), (3, "no user_id")]
    assert shop.summary.notes == (f"note: 2 rows have no user: user_id is '{word}' in 2",)


def test_names_that_are_nearly_placeholders_are_users(ingested: Ingest) -> None:
    users = ["Nan", "Na", "NAN-1", "0", "guest1", "nobody"]
    assert ingested(log_of(*[(user, "101") for user in users]), ITEMS).log["user_id"].to_list() == users


def test_the_catalogue_says_whether_an_item_is_called_na(ingested: Ingest) -> None:
    shop = ingested(log_of(("u", "NA"), ("v", "101"), ("w", "(not set)")), f"{ITEMS}NA,Namibia\n")
    assert shop.log["item_id"].to_list() == ["NA", "101"]
    assert shop.refused == [(3, "no item_id", "(not set)")]
    assert "the catalogue lists an item with the id 'NA'" in notes(shop)
    shop = ingested(log_of(("u", "NA"), ("v", "101")), f"{ITEMS}NA,Cup\nNA,Pot\n")
    assert shop.refused == [(3, "no item_id", "NA"), (4, "no item_id", "NA"), (1, "no item_id", "NA")]


def test_a_placeholder_is_no_price_or_brand(ingested: Ingest) -> None:
    items = "item_id,title,brand,price,description\n101,Tea,N/A,-,undefined\n102,Nan,Nan,3,(not set)\n"
    shop = ingested(log_of(("u", "101")), items)
    assert shop.items.select("brand", "price", "description").rows() == [(None, None, None), ("Nan", 3.0, None)]


def test_a_placeholder_is_no_kind_of_event(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp,event\nu,101,2026-01-01,undefined\nu,101,2026-01-01,\n", ITEMS)
    assert shop.refused == [(1, "unknown event", "undefined")]


SHOP = [("5001", "café-1"), ("5002", "007"), ("5001", "007"), ("5003", "tea 2")]
FORMS: list[Callable[[str], str]] = [
    str,
    lambda text: f" {text}\u00a0",
    lambda text: f"\ufeff{text}",
    lambda text: f'="{text}"',
    lambda text: text.replace("é", "e\u0301"),
    lambda text: text.replace(" ", "\u3000"),
    lambda text: f"{text}.0" if text.startswith("5") else text,
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(FORMS), st.sampled_from(FORMS)), min_size=4, max_size=4), st.booleans())
def test_any_spellings_of_the_same_shop_give_the_same_shop(forms: list[tuple[Any, Any]], shorn: bool) -> None:
    pairs = [(mine(user), its(item)) for (mine, its), (user, item) in zip(forms, SHOP, strict=True)]
    pairs = [(user, item.replace("007", "7") if shorn else item) for user, item in pairs]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "items.csv").write_text("item_id,title\ncafé-1,Coffee\n007,Tea\ntea 2,Tea\n", encoding="utf-8")
        (folder / "log.csv").write_text(log_of(*pairs), encoding="utf-8")
        summary = ingest(Source(items=folder / "items.csv", interactions=folder / "log.csv"), folder / "out")
        log = load_tables(folder / "out")[1]
    assert log.select("user_id", "item_id").rows() == SHOP
    assert summary.interactions.read == summary.interactions.kept == 4
    changed = [new.strip() != old for pair, true in zip(pairs, SHOP, strict=True) for new, old in zip(pair, true, strict=True)]
    assert bool(summary.notes) == any(changed), "what was changed is told"


def test_a_list_of_users_is_read_like_a_column() -> None:
    assert read_ids(pl.Series([5001.0, 1e15, None]))[0].to_list() == ["5001", "1000000000000000", None]
    assert read_ids(pl.Series(["5001.0", "5002", "7\u200b"]))[0].to_list() == ["5001", "5002", "7"]
    assert read_ids(pl.Series(["007", "A.0"]))[0].to_list() == ["007", "A.0"]


@pytest.mark.parametrize(
    ("counts", "found"),
    [({"0": 300, "1": 10, "2": 9}, "0"), ({"0": 20, "1": 10, "2": 9}, None), ({"0": 5}, None), (dict.fromkeys("abcdef", 3), None)],
)
def test_one_id_that_has_very_many_rows(counts: dict[str, int], found: str | None) -> None:
    frame = pl.DataFrame({"user_id": [name for name, count in counts.items() for _ in range(count)]})
    first = dominant(frame.lazy(), "user_id")
    assert first == (None if found is None else (found, counts[found] / sum(counts.values())))
