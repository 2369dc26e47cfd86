"""Which column of a file is which of ours: other spellings are read, other names are asked about, and what is missing is advised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.profile.column_guess import looks_like
from features.ingest.profile.column_names import KNOWN, candidates, other_spellings
from features.ingest.source import Source
from features.ingest.table_store import load_tables

Ingest = Callable[..., Any]

LOG = {
    "user_id": ["u1", "u2", "u1"],
    "item_id": ["1", "2", "2"],
    "timestamp": ["2026-03-01", "2026-03-02", "2026-03-03"],
    "event": ["view", "purchase", "cart"],
    "quantity": ["1", "2", "3"],
}
ITEMS = {
    "item_id": ["1", "2"],
    "title": ["Green tea", "Black tea"],
    "category": ["Tea", "Tea"],
    "price": ["3.50", "4.20"],
    "available": ["no", "yes"],
}


def csv(columns: dict[str, list[str]]) -> str:
    return "\n".join(",".join(row) for row in (columns.keys(), *zip(*columns.values(), strict=True))) + "\n"


def spelled(name: str) -> st.SearchStrategy[str]:
    words = name.split("_")
    return st.sampled_from(
        [
            name,
            name.upper(),
            name.title(),
            name.replace("_", " "),
            name.replace("_", "-"),
            name.replace("_", ""),
            " ".join(word.capitalize() for word in words),
            words[0] + "".join(word.capitalize() for word in words[1:]),
        ]
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.fixed_dictionaries({name: spelled(name) for name in {*LOG, *ITEMS}}))
def test_any_spelling_of_our_names_gives_the_same_shop(names: dict[str, str], tmp_path: Path) -> None:
    def tables(rename: Callable[[str], str], out: str) -> tuple[Any, Any]:
        for file, columns in (("items.csv", ITEMS), ("log.csv", LOG)):
            (tmp_path / file).write_text(csv({rename(name): values for name, values in columns.items()}))
        ingest(Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv"), tmp_path / out)
        return load_tables(tmp_path / out)

    for ours, theirs in zip(tables(lambda name: name, "ours"), tables(names.__getitem__, "theirs"), strict=True):
        assert ours.equals(theirs)


def test_a_column_in_capitals_is_read_and_said(ingested: Ingest) -> None:
    log = "user_id,item_id,timestamp,Event\nu,A,2026-03-01,view\nu,B,2026-03-02,purchase\n"
    shop = ingested(log, "item_id,title,Available\nA,Green tea,no\nB,Black tea,yes\n")
    assert shop.items["available"].to_list() == [False, True]
    assert shop.log["event"].to_list() == ["view", "purchase"]
    assert "note: items.csv: read Available as available" in shop.summary.notes
    assert "note: interactions.csv: read Event as event" in shop.summary.notes


def test_of_two_spellings_neither_is_taken() -> None:
    assert other_spellings(["price", "title"], ["Price", "PRICE", "Title"]) == {"title": "Title"}
    assert other_spellings(["price"], ["price", "PRICE"]) == {}


def test_a_name_that_was_mapped_is_not_read_twice(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp,Value\nu,A,2026-03-01,3\n", interactions_columns={"quantity": "Value"})
    assert shop.log.select("quantity", "value").row(0) == (3.0, None)


NAMES = {
    "event_type": ["view", "cart", "purchase"],
    "behavior_type": ["pv", "fav", "buy"],
    "eventType": ["Ansicht", "Kauf", "Kauf"],
    "action_type": ["1", "4", "3"],
    "whatever it is": ["view", "addtocart", "transaction"],
    "qty": ["1", "2", "1"],
    "order_status": ["paid", "refunded", "paid"],
    "review_score": ["5", "1", "3"],
    "column 7": ["1", "2", "3", "4", "5", "5"],
    "line_total": ["3,50", "4,00", "9,99"],
    "custmer_id": ["a", "b", "c"],
    "visitorid": ["1", "2", "3"],
    "StockCode": ["85123A", "71053", "21754"],
    "InvoiceDate": ["2010-12-01 08:26", "2010-12-01 08:28", "2010-12-02"],
    "t_dat": ["2018-09-20", "2018-09-21", "2018-09-22"],
    "when": ["1", "2", "3"],
    "type": ["shoes", "hats", "socks"],
    "time": ["12:30", "12:31", "12:40"],
    "color": ["red", "blue", "red"],
    "event_type ": ["", "", ""],
}
ASKED = (
    "event",
    "event",
    "event",
    "event",
    "event",
    "quantity",
    "status",
    "rating",
    "rating",
    "value",
    "user_id",
    "user_id",
    "item_id",
    "timestamp",
    "timestamp",
)


@pytest.mark.parametrize(("name", "ours"), list(zip(NAMES, (*ASKED, *[None] * (len(NAMES) - len(ASKED))), strict=True)))
def test_a_column_of_the_log_is_known_by_its_name_and_its_values(name: str, ours: str | None) -> None:
    assert looks_like(name, NAMES[name] * 5, "interactions", set(KNOWN["interactions"])) == ours


@pytest.mark.parametrize(
    ("name", "values", "ours"),
    [
        ("in_stock", ["yes", "no"], "available"),
        ("stock_quantity", ["0", "7", "12"], "available"),
        ("availability", ["in stock", "out of stock"], "available"),
        ("price_usd", ["1.99", "2.99"], "price"),
        ("sale_price", ["1,99", "2,99"], "price"),
        ("launch_date", ["2026-01-01", "2026-01-02"], "created_at"),
        ("vendor", ["Nord", "Acme"], "brand"),
        ("prod_name", ["Strap top", "Tights, 3 pack"], "title"),
        ("desciption", ["a long text", "another long text"], "description"),
        ("status", ["draft", "live"], None),
        ("weight_g", ["100", "250"], None),
    ],
)
def test_a_column_of_the_catalogue_is_known_by_its_name_and_its_values(name: str, values: list[str], ours: str | None) -> None:
    assert looks_like(name, values * 5, "items", set(KNOWN["items"])) == ours


def test_ids_of_the_catalogue_are_recognised_whatever_their_name() -> None:
    assert looks_like("x7", ["A1", "B2", "C3"], "interactions", {"item_id"}, {"A1", "B2", "C3", "D4"}) == "item_id"
    assert looks_like("x7", ["A1", "B2", "C3"], "interactions", {"item_id"}, {"Z1"}) is None


def test_a_column_that_is_read_already_is_not_asked_about(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp,event,event_type\nu,A,2026-03-01,view,view\n")
    assert "event_type" not in " ".join(shop.summary.notes)
    assert [column.name for column in shop.summary.profile.interactions.not_read] == ["event_type"]


def test_a_column_that_looks_like_ours_is_asked_about_with_the_line_that_maps_it(ingested: Ingest) -> None:
    rows = "".join(f"u{n},A,2026-03-0{n},{event},x\n" for n, event in enumerate(("view", "purchase", "view"), 1))
    shop = ingested("user_id,item_id,timestamp,event_type,session\n" + rows)
    assert shop.summary.notes == (
        "note: interactions.csv: not read: event_type (is it event?), session; "
        'if so, map it in recsys.toml: [source.interactions_columns] event = "event_type"',
    )


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            "customer_id,item_id,timestamp\n7,A,2026-03-01\n",
            r'has no user_id; .*: is it customer_id\? map it in recsys.toml: \[source.interactions_columns\] user_id = "customer_id"',
        ),
        (
            "visitorid,itemid,ts\n7,A,1772323200\n",
            r'map them in recsys.toml: \[source.interactions_columns\] user_id = "visitorid", timestamp = "ts"',
        ),
        ("user_id,StockCode,t_dat\n7,A,2026-03-01\n", r'item_id = "StockCode", timestamp = "t_dat"'),
        (
            "Kunde,Artikelnummer,Bestelldatum\n7,A,03-02-2026\n8,B,13-02-2026\n",
            'is Kunde the user_id. is Artikelnummer the item_id. is Bestelldatum the timestamp. map them .*timestamp = "Bestelldatum"',
        ),
        ("item_id,title,price\nA,Apple,1.5\n", "it looks like the catalogue: give it as items, and the log as interactions"),
        ("a,b,c\n1,2,3\n", r"map the column under \[source.interactions_columns\]"),
    ],
)
def test_a_missing_column_is_advised(log: str, says: str, ingested: Ingest) -> None:
    with pytest.raises(DataError, match=says):
        ingested(log)


def test_a_mapping_is_corrected(ingested: Ingest) -> None:
    with pytest.raises(DataError, match=r"has no user_id \(looked for custmer\); .*did you mean 'customer'\? .* user_id = \"customer\""):
        ingested("customer,item_id,timestamp\n7,A,2026-03-01\n", interactions_columns={"user_id": "custmer"})


def test_a_mapping_of_a_column_that_has_our_name_is_left_out(ingested: Ingest) -> None:
    with pytest.raises(DataError, match=r'it has user_id under our name: leave user_id = "kunde" out of \[source.interactions_columns\]'):
        ingested("user_id,item_id,timestamp\n7,A,2026-03-01\n", interactions_columns={"user_id": "kunde"})


def test_a_log_given_as_items_is_noticed(ingested: Ingest) -> None:
    log = "user_id,item_id,timestamp\n7,A,2026-03-01\n"
    with pytest.raises(DataError, match="it looks like the log: give it as interactions"):
        ingested(log, log)


def test_a_title_is_found_in_a_log_that_holds_the_catalogue(ingested: Ingest) -> None:
    with pytest.raises(DataError, match=r'is it name\? map it in recsys.toml: \[source.items_columns\] title = "name"'):
        ingested("user_id,item_id,timestamp,name\n7,A,2026-03-01,Green tea\n", None)


@pytest.mark.parametrize("name", ["", "_", "é", "x" * 500, "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace")])
def test_odd_names_are_like_none_of_ours(name: str) -> None:
    assert candidates(name, "items") == []
