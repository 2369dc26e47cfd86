"""Judging rows: what is kept, what is quarantined and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from features.data.catalog import ITEM_COLUMNS, Catalog
from features.data.interactions import Interactions
from features.data.log.rows import INTERACTION_COLUMNS
from features.ingest.summary import TableSummary

Ingest = Callable[..., Any]


def test_the_tables_are_canonical_and_fit_the_foundation_types(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp,junk\nu,A,2024-01-01,1\n")
    assert dict(shop.items.schema) == ITEM_COLUMNS
    assert dict(shop.log.schema) == INTERACTION_COLUMNS
    catalog = Catalog.from_frame(shop.items)
    assert len(Interactions.from_frame(shop.log, catalog)) == 1


def test_the_log_rules(ingested: Ingest) -> None:
    rows = {
        "u,A,2024-01-01,Order,1,1": None,
        "u,A,2024-01-01,click,1,1": ("unknown event", "click"),
        "u,A,2024-01-01,VIEW,,-1": ("negative value", "-1"),
        "u,A,2024-01-01,,x,1": None,
        "u,A,2999-01-01,,1,1": ("timestamp in the future", "2999-01-01"),
        "u,A,1970-01-01,,1,1": ("timestamp before 1971", "1970-01-01"),
        "u,A,0,,1,1": ("timestamp before 1971", "0"),
        "u,A,yesterday,,1,1": ("timestamp not understood", "yesterday"),
        "u,A,2024-02-30,,1,1": ("timestamp not understood", "2024-02-30"),
        "u,A,,,1,1": ("no timestamp", ""),
        "u,A,2024-01-05,,0,1": ("return or zero quantity", "0"),
        "u,A,2024-01-05,,-2,1": ("return or zero quantity", "-2"),
        "u,A,2024-01-05,cart,inf,1": None,
        "u,A,2024-01-05, Rating ,,nan": None,
        "u,A,2024-01-05,purchase,2,0": None,
        ",A,2024-01-05,,1,1": ("no user_id", ""),
        "null,A,2024-01-05,,1,1": ("no user_id", "null"),
        "u, nan ,2024-01-05,,1,1": ("no item_id", " nan "),
        "u,X,2024-01-05,,1,1": ("item_id not in the catalogue", "X"),
        f"u,{'Y' * 99},2024-01-05,,1,1": ("item_id not in the catalogue", "Y" * 60),
    }
    shop = ingested("user_id,item_id,timestamp,event,quantity,value\n" + "\n".join(rows), events={"Order": "purchase"})
    assert shop.refused == [(number, *why) for number, why in enumerate(rows.values(), 1) if why]
    assert shop.log.select("event", "quantity", "value").rows() == [
        ("purchase", 1.0, 1.0),
        ("purchase", None, 1.0),
        ("cart", None, 1.0),
        ("rating", None, None),
        ("purchase", 2.0, 0.0),
    ]
    assert shop.summary.interactions.reasons["timestamp before 1971"] == 2


def test_the_catalogue_rules(ingested: Ingest) -> None:
    rows = {
        "A,First,1,,": ("duplicate item_id (a later row wins)", "A"),
        "B,Bread,2,yes,2024-01-01": None,
        "A,Second,1,0,": None,
        "A,,5,,": ("no title", ""),
        "A,Minus,-1,,": ("negative price", "-1"),
        "D,Dear,abc,,": ("price is not a number", "abc"),
        'D,Dear,"12,99",,': ("price is not a number", "12,99"),
        'E,Euro,"€ 1,299.50",True,': None,
        "F,Free,0,,": None,
        "G,Gone,NaN,N,1970-01-01": None,
        "H,Hm,1,maybe,": ("available is neither yes nor no", "maybe"),
        "I,Ill,1,,0000-00-00": None,
        "I2,Ill,1,,2024-02-30": ("created_at not understood", "2024-02-30"),
        ",Nobody,1,,": ("no item_id", ""),
        "J,null,1,,": ("no title", "null"),
        "K,Nan,1,,": None,
    }
    shop = ingested("user_id,item_id,timestamp\nu,A,2024-01-01\n", "item_id,title,price,available,created_at\n" + "\n".join(rows))
    assert shop.refused == [(number, *why) for number, why in enumerate(rows.values(), 1) if why]
    assert shop.items.select("item_id", "title", "price", "available", "created_at").rows() == [
        ("B", "Bread", 2.0, True, datetime(2024, 1, 1)),
        ("A", "Second", 1.0, False, None),
        ("E", "Euro", 1299.5, True, None),
        ("F", "Free", None, None, None),
        ("G", "Gone", None, False, None),
        ("I", "Ill", 1.0, None, None),
        ("K", "Nan", 1.0, None, None),
    ]


TIMES = {
    "2024-01-02": datetime(2024, 1, 2),
    "20240102": datetime(2024, 1, 2),
    "2024-01-02T10": datetime(2024, 1, 2, 10),
    "2024-01-02 10:30": datetime(2024, 1, 2, 10, 30),
    "2024-01-02T10:30:15": datetime(2024, 1, 2, 10, 30, 15),
    "2024-01-02T10:30:15.25": datetime(2024, 1, 2, 10, 30, 15, 250_000),
    "2024-01-02T10:30:15.123456789Z": datetime(2024, 1, 2, 10, 30, 15, 123_456),
    "2024-01-02 10:30:15 UTC": datetime(2024, 1, 2, 10, 30, 15),
    "2024-01-02T10:30:15+05:30": datetime(2024, 1, 2, 5, 0, 15),
    "2024-01-02T10:30:15-0530": datetime(2024, 1, 2, 16, 0, 15),
    "2024-01-02 10:30:15.5+02": datetime(2024, 1, 2, 8, 30, 15, 500_000),
    "1704189600": datetime(2024, 1, 2, 10),
    "1704189600.5": datetime(2024, 1, 2, 10, 0, 0, 500_000),
}


def test_every_spelling_of_a_time_is_read_as_utc(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp\n" + "".join(f"u,A,{text}\n" for text in TIMES))
    assert shop.refused == []
    assert shop.log["timestamp"].to_list() == list(TIMES.values())


@pytest.mark.parametrize("text", TIMES)
def test_a_spelling_is_read_alike_without_the_others(text: str, ingested: Ingest) -> None:
    assert ingested(f"user_id,item_id,timestamp\nu,A,{text}\n").log["timestamp"].to_list() == [TIMES[text]]


def test_milliseconds_are_told_by_most_of_the_column(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp\nu,A,1704189600000\nu,A,1704189600123\nu,A,1704189600\n")
    assert shop.log["timestamp"].to_list() == [datetime(2024, 1, 2, 10), datetime(2024, 1, 2, 10, 0, 0, 123_000)]
    assert shop.refused == [(3, "timestamp before 1971", "1704189600")]


def test_a_time_format_can_be_named(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp\nu,A,1/12/2010 8:26\nu,A,2010-12-01\n", timestamp_format="%d/%m/%Y %H:%M")
    assert shop.log["timestamp"].to_list() == [datetime(2010, 12, 1, 8, 26)]
    assert shop.refused == [(2, "timestamp not understood", "2010-12-01")]


def test_a_column_of_ids_that_went_through_floats_is_mended(ingested: Ingest) -> None:
    log = "user_id,item_id,timestamp\n17850.0,1,2024-01-01\n,1,2024-01-01\n12583.0,2.0,2024-01-01\n"
    shop = ingested(log, "item_id,title\n1,one\n2.0,two\n")
    assert shop.log["user_id"].to_list() == ["17850", "12583"]
    assert shop.log["item_id"].to_list() == shop.items["item_id"].to_list() == ["1", "2"], "a column of whole numbers, some as floats"


def test_equal_rows_are_kept(ingested: Ingest) -> None:
    assert ingested("user_id,item_id,timestamp\n" + "u,A,2024-01-01\n" * 3).log.height == 3


def test_the_summary_names_the_most_frequent_reasons() -> None:
    reasons = {f"reason {i}": 1_000 - i for i in range(7)}
    assert str(TableSummary("log", 10_000, 3_021, reasons)).endswith("997 reason 3, 996 reason 4, 1,989 for other reasons)")
    assert str(TableSummary("log", 1_000, 1_000, {})) == "log: 1,000 read = 1,000 kept + 0 quarantined"


def test_a_later_row_wins_column_by_column(ingested: Ingest) -> None:
    items = (
        "item_id,title,description,price,available\n"
        "A,Green tea,From Uji,3.5,yes\n"
        "B,Black tea,From Assam,4,yes\n"
        "A,Sencha,,,no\n"
        "A,,,9,\n"
        "B,Black tea,,4.2,\n"
    )
    shop = ingested("user_id,item_id,timestamp\nu,A,2024-01-01\n", items=items)
    assert shop.items.select("item_id", "title", "description", "price", "available").rows() == [
        ("A", "Sencha", "From Uji", 3.5, False),
        ("B", "Black tea", "From Assam", 4.2, True),
    ]
    assert [row for row, reason, _ in shop.refused if reason.startswith("duplicate")] == [1, 2]


def test_later_rows_of_an_event_complete_it(ingested: Ingest) -> None:
    log = (
        "user_id,item_id,timestamp,event_id,quantity,value\n"
        "u,A,2024-01-01,e1,2,7\n"
        "u,A,2024-01-02,e1,,\n"
        "u,A,2024-01-03,,1,\n"
        "u,A,2024-01-03,,1,\n"
    )
    shop = ingested(log)
    assert shop.log.select("timestamp", "event_id", "quantity", "value").rows() == [
        (datetime(2024, 1, 2), "e1", 2.0, 7.0),
        (datetime(2024, 1, 3), None, 1.0, None),
        (datetime(2024, 1, 3), None, 1.0, None),
    ]


SCALES = {
    "five": (["5", "1", "3", "2", "4"], ["rating", "dislike", "rating", "dislike", "rating"]),
    "halves": (["5.0", "0.5", "2.5", "3", ""], ["rating", "dislike", "dislike", "rating", "rating"]),
    "ten": (["10", "5", "6", "1", "9"], ["rating", "dislike", "rating", "dislike", "rating"]),
    "hundred": (["95", "40", "50", "20", "70"], ["rating", "dislike", "rating", "dislike", "rating"]),
    "thumbs": (["1", "0", "1", "0", "1"], ["rating", "dislike", "rating", "dislike", "rating"]),
    "of five": (["5/5", "1/5", "2 of 5", "4/5", "1 out of 5"], ["rating", "dislike", "dislike", "rating", "dislike"]),
    "in words": (
        ["5 stars", "1 star", "2.0 out of 5 stars", "4 Sterne", ""],
        ["rating", "dislike", "dislike", "rating", "rating"],
    ),
    "signs": (["★★★★★", "★☆☆☆☆", "⭐⭐", "★★★★", "★"], ["rating", "dislike", "dislike", "rating", "dislike"]),
    "decimal commas": (['"4,5"', '"1,5"', '"2,0"', '"5,0"', "3"], ["rating", "dislike", "dislike", "rating", "rating"]),
    "percent": (["90%", "20 %", "45%", "100%", "5%"], ["rating", "dislike", "dislike", "rating", "dislike"]),
    "words of thumbs": (["up", "down", "thumbs_up", "Thumbs Down", "up"], ["rating", "dislike", "rating", "dislike", "rating"]),
    "true and false": (["true", "false", "TRUE", "False", "true"], ["rating", "dislike", "rating", "dislike", "rating"]),
    "plus and minus": (["1", "-1", "1", "-1", "1"], ["rating", "dislike", "rating", "dislike", "rating"]),
    "0 for none": (["0", "0", "9", "1", "0"], ["rating", "rating", "rating", "dislike", "rating"]),
    "only good ones": (["5", "4", "4", "5", "4"], ["rating"] * 5),
}


@pytest.mark.parametrize(("stars", "events"), SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("event", ["", "Rating", "review"])
def test_stars_below_the_middle_are_no_praise(ingested: Ingest, stars: list[str], events: list[str], event: str) -> None:
    rows = [f"u{n},A,2024-01-0{n + 1},{event},{star}" for n, star in enumerate(stars) if star or event]
    shop = ingested("user_id,item_id,timestamp,event,rating\n" + "\n".join(rows), events={"review": "rating"})
    assert shop.log["event"].to_list() == events[: len(rows)]
    note = next(note for note in shop.summary.notes if "stars up to" in note)
    below = events[: len(rows)].count("dislike")
    assert f"{below} of {sum(map(bool, stars))} {'is' if below == 1 else 'are'} below" in note


def test_stars_of_other_events_mean_nothing_and_a_bound_can_be_set(ingested: Ingest) -> None:
    log = "user_id,item_id,timestamp,event,rating\nu,A,2024-01-01,purchase,1\nu,B,2024-01-02,rating,4\nu,A,2024-01-03,rating,5\n"
    assert ingested(log, min_rating=4.5).log["event"].to_list() == ["purchase", "dislike", "rating"]


def test_ratings_of_0_are_dislikes_where_they_are_rare_or_the_bound_is_given(ingested: Ingest) -> None:
    rows = "user_id,item_id,timestamp,rating\n" + "".join(
        f"u{stars}-{i},A,2024-01-0{1 + i},{stars}\n" for stars in "012345" for i in range(4)
    )
    assert ingested(rows).log["event"].to_list().count("dislike") == 12
    often = "user_id,item_id,timestamp,rating\nu,A,2024-01-01,0\nv,A,2024-01-01,0\nw,A,2024-01-01,4\n"
    shop = ingested(often)
    assert shop.log["event"].to_list() == ["rating"] * 3
    assert any("2 ratings of 0 are read as events without stars" in note for note in shop.summary.notes)
    assert ingested(often, min_rating=3).log["event"].to_list() == ["dislike", "dislike", "rating"]


@pytest.mark.parametrize("empty", ["", " ", "NULL", "nan"])
def test_rows_without_an_event_are_told_in_a_log_that_has_events(ingested: Ingest, empty: str) -> None:
    log = f"user_id,item_id,timestamp,event\nu,A,2024-01-01,view\nu,B,2024-01-02,{empty}\n"
    shop = ingested(log)
    assert shop.log["event"].to_list() == ["view", "purchase"]
    assert any(note.startswith("note: 1 row has no event (row 2) and counts as a purchase") for note in shop.summary.notes)
    shop = ingested(log, events={"": "view"})
    assert shop.log["event"].to_list() == ["view", "view"]
    assert not any("no event" in note for note in shop.summary.notes)


def test_words_of_known_logs_are_events(ingested: Ingest) -> None:
    words = ["transaction", "addtocart", "view", "buy", "pv", "thumbs_down", "Like", "add-to-cart"]
    rows = "user_id,item_id,timestamp,event\n" + "".join(f"u,A,2024-01-0{i},{word}\n" for i, word in enumerate(words, 1))
    shop = ingested(rows)
    assert shop.log["event"].to_list() == ["purchase", "cart", "view", "purchase", "view", "dislike", "rating", "cart"]
    assert any("'transaction' as purchase (1 rows)" in note for note in shop.summary.notes)
    assert ingested(rows, events={"transaction": "view"}).log["event"][0] == "view"


def test_a_date_of_creation_in_the_future_is_unknown(ingested: Ingest) -> None:
    items = "item_id,title,created_at\nA,Tea,2099-01-01\nB,Cup,2024-01-01\n"
    shop = ingested("user_id,item_id,timestamp\nu,A,2024-01-02\n", items)
    assert shop.items["created_at"].is_null().to_list() == [True, False]
    assert any("1 value of created_at lies in the future ('2099-01-01', row 1)" in note for note in shop.summary.notes)


def test_the_value_of_a_rating_is_no_money(ingested: Ingest) -> None:
    log = "user_id,item_id,timestamp,event,value\nu,A,2024-01-01,rating,5\nu,B,2024-01-02,purchase,4\n"
    shop = ingested(log)
    assert shop.log["value"].to_list() == [None, 4.0]
    assert "note: the value of 1 rating is not read, for a rating is no sale: if it is the stars, map it as rating" in shop.summary.notes


def test_a_rating_that_is_no_number_is_told(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp,rating\nu,A,2024-01-01,good\nu,B,2024-01-02,1\nv,B,2024-01-02,5\n")
    assert shop.log["event"].to_list() == ["rating", "dislike", "rating"]
    assert "note: rating is not a number in 1 row (e.g. 'good'): it counts as praise" in shop.summary.notes
