"""What an ingest says: words of events and keys without effect are told, and an ordinary ingest is short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from features.errors import DataError
from features.ingest.profile.report import short

Ingest = Callable[..., Any]
DAYS = "".join(f"u{n % 3},A,2026-03-{n:02} 10:{n:02},1\n" for n in range(1, 29))


def test_an_ordinary_ingest_has_no_notes_and_few_lines(ingested: Ingest) -> None:
    shop = ingested(f"user_id,item_id,timestamp,quantity\n{DAYS}")
    assert shop.summary.notes == ()
    assert "real times" not in short(shop.summary.profile)
    assert len(short(shop.summary.profile).splitlines()) <= 8


@pytest.mark.parametrize(("word", "meaning"), [("order", "purchase"), ("Moved to bag", "cart"), ("page seen", "view")])
def test_a_word_that_is_no_event_is_told_with_the_line_that_maps_it(word: str, meaning: str, ingested: Ingest) -> None:
    log = f"user_id,item_id,timestamp,event\nu,A,2026-03-01,purchase\nu,A,2026-03-02,{word}\nv,A,2026-03-02,{word}\n"
    (note,) = ingested(log).summary.notes
    assert f"the event {word!r} (2) is not understood, and such rows are quarantined" in note
    assert note.endswith(f'say under [source.events] what it is, such as "{word}" = "{meaning}"')
    assert ingested(log, events={word: meaning}).log.height == 3


def test_a_log_of_other_words_alone_says_what_maps_them(ingested: Ingest) -> None:
    with pytest.raises(
        DataError, match=r"2 unknown event, such as 'order' in row 1\): say under \[source.events\] .*\"order\" = \"purchase\""
    ):
        ingested("user_id,item_id,timestamp,event\nu,A,2026-03-01,order\nu,B,2026-03-02,order\n")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("drop_users", ["bot-8"], "source.drop_users has no effect: no row was left out for bot-8"),
        ("drop_items", "^FEE", "source.drop_items has no effect: no row was left out for ^FEE"),
        ("guests", ["0"], "source.guests has no effect: no row of the log has the user '0'"),
    ],
)
def test_a_key_without_effect_is_told(key: str, value: Any, words: str, ingested: Ingest) -> None:
    log = f"user_id,item_id,timestamp,quantity\n{DAYS}"
    assert f"note: {words}" in ingested(log, **{key: value}).summary.notes
    hit = {"drop_users": ["u1"], "drop_items": "^B", "guests": ["u1"]}[key]
    assert "has no effect" not in str(ingested(log, **{key: hit}).summary)


@pytest.mark.parametrize(("date", "way"), [("05/01/26", "%d/%m/%y"), ("5.1.26 10:30", "%d.%m.%y %H:%M"), ("31-12-25", "%d-%m-%y")])
def test_years_of_two_digits_are_advised_with_formats_that_read_them(date: str, way: str, ingested: Ingest) -> None:
    log = f"user_id,item_id,timestamp\nu,A,{date}\nv,A,{date}\n"
    with pytest.raises(DataError, match="timestamp_format = ") as caught:
        ingested(log)
    assert f'"{way}"' in str(caught.value)
    assert ingested(log, timestamp_format=way).log.height == 2


def test_an_empty_column_is_told(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp,value\nu,A,2026-03-01,\nv,A,2026-03-02,\n")
    assert "read: user_id, item_id, timestamp, value (empty)" in short(shop.summary.profile)


def test_a_format_shows_columns_of_the_file_and_our_names_alone(ingested: Ingest) -> None:
    items = "Handle,Title,Variant SKU,Variant Price,Status\nh,Tea,A,3.50,active\nk,Mug,B,4.50,draft\n"
    shop = ingested("user_id,item_id,timestamp\nu,A,2026-03-01\n", items)
    said = short(shop.summary.profile)
    assert "  read: title from Title, item_id from Variant SKU, price from Variant Price\n  used: Handle, Status" in said
    assert "_handle" not in said + str(shop.summary)
    assert "note: items.csv: 1 item is not available, as draft, archived or unpublished (such as B)" in shop.summary.notes
