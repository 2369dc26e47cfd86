"""Texts of a catalogue: stored as a customer reads them, and a note says what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from features.data.catalog import Catalog
from features.text.template import MAX_DESCRIPTION, item_texts

Ingest = Callable[..., Any]
LOG = "user_id,item_id,timestamp\nu,A,2026-10-01\n"
WRAP = '"<div class=""pf-row"" style=""{css}""><span>{text}</span></div>"'


def test_html_does_not_use_up_the_description(ingested: Ingest) -> None:
    body = WRAP.format(css="color:red;" * 100, text="leather ankle boot")
    shop = ingested(LOG, f"item_id,title,description\nA,Oslo,{body}\n")
    assert len(body) > MAX_DESCRIPTION
    assert item_texts(Catalog.from_frame(shop.items)).to_list() == ["Oslo. leather ankle boot"]
    (note,) = shop.summary.notes
    assert note.startswith("note: HTML or shortcodes were removed from 1 description, e.g. of item A: '<div class=")
    assert note.endswith("is now 'leather ankle boot'")


def test_each_kind_of_change_has_a_note(ingested: Ingest) -> None:
    items = (
        "item_id,title,brand,category\n"
        "A,Cap &amp; Badge &#8211; Blue,R&amp;D,Home &amp; Garden|Tea\n"
        "B,CafÃ©,AT&T,\n"
        "C,Win\u00adter,size <L>,3 < 5\n"
    )
    shop = ingested(LOG, items)
    assert shop.items["title"].to_list() == ["Cap & Badge – Blue", "Café", "Winter"]
    assert shop.items["brand"].to_list() == ["R&D", "AT&T", "size <L>"]
    assert shop.items["category"].to_list() == ["Home & Garden|Tea", None, "3 < 5"]
    assert shop.summary.notes == (
        "note: HTML entities were decoded in 1 title and 1 brand and 1 category, e.g. of item A: "
        "'Cap &amp; Badge &#8211; Blue' is now 'Cap & Badge – Blue'",
        "note: UTF-8 that had been read as another encoding was mended in 1 title, e.g. of item B: 'CafÃ©' is now 'Café'",
        "note: invisible characters were removed from 1 title, e.g. of item C: 'Win\\xadter' is now 'Winter'",
    )


def test_plain_texts_have_no_note(ingested: Ingest) -> None:
    shop = ingested(LOG, "item_id,title,description\nA,Crème brûlée & more,5 < 7 <3\n")
    assert shop.summary.notes == ()
    assert shop.items["description"].to_list() == ["5 < 7 <3"]


def test_a_title_of_tags_alone_is_no_title(ingested: Ingest) -> None:
    shop = ingested(LOG, "item_id,title\nA,Tea\nB,<b></b>\n")
    assert shop.refused == [(2, "no title", "<b></b>")]


def test_items_of_a_log_are_cleaned_too(ingested: Ingest) -> None:
    log = "user_id,item_id,timestamp,title\nu,A,2026-10-01,<b>Tea</b> &amp; more\nv,A,2026-10-02,<b>Tea</b> &amp; more\n"
    shop = ingested(log, None)
    assert shop.items["title"].to_list() == ["Tea & more"]
    assert len(shop.summary.notes) == 1
