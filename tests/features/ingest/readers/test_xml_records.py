"""Feeds of products as XML: RSS and Atom."""

from __future__ import annotations

import pytest

from features.errors import DataError
from features.ingest.readers.files import read_head
from features.ingest.readers.xml_records import xml_records
from tests.features.ingest.readers.conftest import Read, rows

GOOGLE = 'xmlns:g="http://base.google.com/ns/1.0"'
RSS = f"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" {GOOGLE}><channel><title>Shop</title><link>https://example.org</link>
<item><title>Not this</title><g:title>Café &amp; Tea</g:title><g:item_id>1</g:item_id><g:price>3 EUR</g:price>
<g:image_link>a</g:image_link><g:image_link>b</g:image_link><g:shipping><g:country>DE</g:country><g:price>5</g:price></g:shipping></item>
<item><title><![CDATA[Mug <b>]]></title><g:item_id>2</g:item_id><g:price/></item>
</channel></rss>"""
ATOM = f"""<feed xmlns="http://www.w3.org/2005/Atom" {GOOGLE}><title>Shop</title>
<entry><title>Café &amp; Tea</title><g:item_id>1</g:item_id><link href="https://example.org/1"/></entry>
<entry><title>Mug &lt;b&gt;</title><g:item_id>2</g:item_id></entry></feed>"""
YML = """<yml_catalog><shop><offers><offer item_id="1"><title>Café &amp; Tea</title></offer>
<offer item_id="2"><title>Mug &lt;b&gt;</title></offer></offers></shop></yml_catalog>"""
BOTH = [(1, "Café & Tea"), (2, "Mug <b>")]


@pytest.mark.parametrize("feed", [RSS, ATOM, YML], ids=["rss", "atom", "offers"])
@pytest.mark.parametrize("name", ["items.xml", "items.csv", "items"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_feeds_give_the_same_rows(feed: str, name: str, encoding: str, read: Read) -> None:
    assert rows(read(feed.encode(encoding), name)) == BOTH


def test_another_encoding_is_the_declared_one(read: Read) -> None:
    assert rows(read(RSS.replace("UTF-8", "windows-1252").encode("cp1252"), "items.xml")) == BOTH
    assert rows(read(RSS.replace("UTF-8", "UTF-16").encode("utf-16"), "items.xml")) == BOTH


def test_a_record_has_local_names(tmp_path, read: Read) -> None:
    read(RSS.encode(), "items.xml")
    (first, second) = (record for _, record, _ in xml_records(tmp_path / "items.xml"))
    assert first == {
        "title": "Café & Tea",
        "item_id": "1",
        "price": "3 EUR",
        "image_link": ["a", "b"],
        "shipping": {"country": "DE", "price": "5"},
    }
    assert second == {"title": "Mug <b>", "item_id": "2"}
    assert read_head(tmp_path / "items.xml", None).names == list(first)


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ('<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><rss><item><item_id>&b;</item_id></item></rss>', "declares entities"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss><item><item_id>&a;</item_id></item></rss>', "declares entities"),
        ("<rss><item><item_id>1</item_id></item><item>", "is damaged XML .* after 1 records"),
        ("<rss><item><g:id>1</g:id></item></rss>", "is damaged XML .unbound prefix"),
        ("<a><b/></a>", "is XML without <item> or <entry>"),
    ],
)
def test_a_feed_that_cannot_be_read_is_one_line(feed: str, message: str, read: Read) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(feed.encode(), "items.xml")
    assert "\n" not in str(caught.value)
