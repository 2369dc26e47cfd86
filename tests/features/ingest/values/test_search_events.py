"""Words for what became of a shown item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

WORDS = {
    "shown": ("shown", "SHOWN", "impression", "Impressions", "displayed", "view_item_list", "view search results", "no-click", "search"),
    "click": ("click", "Clicked", "select_item", "product click", "tap", "view_item"),
    "cart": ("cart", "add_to_cart", "AddToBasket", "added to cart"),
    "purchase": ("purchase", "PURCHASED", "order", "transaction", "bought"),
}


@pytest.mark.parametrize(("event", "word"), [(event, word) for event, words in WORDS.items() for word in words])
def test_words_of_known_logs_are_read(event: str, word: str, searched: Callable[..., Any]) -> None:
    log = searched(f"timestamp,query,item_id,event\n2026-01-01,tea,A,{word}\n")
    assert log.rows["event"].to_list() == [event]
    if word.lower() != event:
        assert f"events are read by their words: {word!r} as {event} (1 row)" in log.notes[0]
        assert "[source.queries_events] gives them another meaning" in log.notes[0]
    else:
        assert log.notes == []


@pytest.mark.parametrize(
    ("word", "likely"),
    [("view", "shown"), ("1", "click"), ("item_tapped", "click"), ("wishlisted", "cart"), ("Sales", "purchase"), ("🛒", "shown")],
)
def test_other_words_are_quarantined_with_the_line_that_maps_them(word: str, likely: str, searched: Callable[..., Any]) -> None:
    text = f"timestamp,query,item_id,event\n2026-01-01,tea,A,{word}\n2026-01-01,tea,A,click\n"
    log = searched(text)
    assert log.refused == [(1, "unknown event", word)]
    assert log.notes[0].endswith(f'say under [source.queries_events] what it is, such as "{word}" = "{likely}"')
    assert searched(text, queries_events={word: likely}).rows["event"].to_list() == [likely, "click"]


@pytest.mark.parametrize("empty", ["", "NULL", "None", "nan"])
def test_rows_without_an_event_count_as_shown_and_it_is_said(empty: str, searched: Callable[..., Any]) -> None:
    text = f"timestamp,query,item_id,event\n2026-01-01,tea,A,{empty}\n2026-01-01,tee,,{empty}\n2026-01-01,tea,B,click\n"
    log = searched(text)
    assert log.rows["event"].to_list() == ["shown", "shown", "click"]
    assert log.notes == [
        '1 row with an item has no event (row 1) and counts as shown: [source.queries_events] "" = "click" makes them something else'
    ]
    other = searched(text.replace("2026-01-01,tee,,", "2026-01-01,tee,B,"), queries_events={"": "click"})
    assert other.rows["event"].to_list() == ["click", "click", "click"]
    assert other.notes == []


def test_a_log_without_the_column_says_so_too(searched: Callable[..., Any]) -> None:
    log = searched("timestamp,query,item_id\n2026-01-01,tea,A\n2026-01-01,tea,B\n")
    assert log.rows["event"].to_list() == ["shown", "shown"]
    assert log.notes[0].startswith("2 rows with an item have no event (row 1) and count as shown")


def test_the_users_word_goes_before_the_known_one(searched: Callable[..., Any]) -> None:
    log = searched("timestamp,query,item_id,event\n2026-01-01,tea,A,search\n", queries_events={"search": "click"})
    assert log.rows["event"].to_list() == ["click"]
