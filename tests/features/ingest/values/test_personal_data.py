"""Mails, phone numbers, card numbers and names in texts of customers are masked."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.ingest.source import PHONE_REGIONS
from features.ingest.values.personal_data import KINDS, in_words, masked, named_products


def mask(text: str | None, brands: frozenset[str] = frozenset()) -> tuple[str | None, dict[str, int]]:
    """Return a text without personal data, and the count of each kind that it held."""
    (found,) = masked(pl.Series([text], dtype=pl.String), PHONE_REGIONS, brands).to_list()
    return found["text"], {kind: found[kind] for kind in KINDS if found[kind]}


@pytest.mark.parametrize(
    ("text", "after", "kind"),
    [
        ("Write to john.doe+x@mail.example.com!", "Write to [mail]!", "mail"),
        ("ivan@почта.рф writes", "[mail] writes", "mail"),
        ("john (at) gmail (dot) com", "[mail]", "mail"),
        ("mail john[at]gmail.com.", "mail [mail].", "mail"),
        ("Call +49 171 1234567 now", "Call [phone] now", "phone"),
        ("Call (650) 253-0000.", "Call [phone].", "phone"),
        ("0171 1234567", "[phone]", "phone"),
        ("020 7946 0018 is mine", "[phone] is mine", "phone"),
        ("06 12 34 56 78", "[phone]", "phone"),
        ("我的电话13800138000", "我的电话[phone]", "phone"),
        ("card 4111 1111 1111 1111 exp 12/27", "card [card] exp 12/27", "card"),
        ("5500-0000-0000-0004", "[card]", "card"),
        ("378282246310005", "[card]", "card"),
        ("My name is John Smith and I love it", "My name is [name] and I love it", "name"),
        ("Ich heiße Anna.", "Ich heiße [name].", "name"),
        ("je m'appelle Élodie Durand", "je m'appelle [name]", "name"),
        ("Mr. O’Neil-Smith sold it", "Mr. [name] sold it", "name"),
        ("Frau Müller war nett", "Frau [name] war nett", "name"),
        ("Great!\nThanks, John", "Great!\nThanks, [name]", "name"),
        ("Loved it.\nBest regards,\nÁngel García", "Loved it.\nBest regards,\n[name]", "name"),
        ("Danke. Viele Grüße\nThomas", "Danke. Viele Grüße\n[name]", "name"),
        ("Good stuff. - Mary Jane", "Good stuff. - [name]", "name"),
    ],
)
def test_personal_data_becomes_what_it_was(text: str, after: str, kind: str) -> None:
    assert mask(text) == (after, {kind: 1})


@pytest.mark.parametrize(
    "text",
    [
        "a 34d (and @ a size 2) @140 lbs",
        "pretty bad@$$ sound, 102db@1W",
        "bought 12/24/2015, again 2016-01-03 10:30",
        "from 1930-1940, in 2012 2013 2014 2015",
        "EAN 4006381333931, order 123-4567890-1234567",
        "4111 1111 1111 1112 has another check digit",
        "my name is on the list",
        "i'm called often",
        "These are the best.  Enjoy.",
        "Love, this dress!",
        "Thanks Amazon",
        "3 for 2 (a) option",
        "see [mail], [phone], [card] and [name]",
        "😀😀",
        "",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert mask(text) == (text, {})


def test_a_brand_is_no_person() -> None:
    brands = named_products(["Dr. Martens 1460 boots", "Mrs Meyer's soap"]) | {"fender"}
    text = "Dr. Martens fit. Mr. Smith agreed.\nThanks, Fender"
    assert mask(text, brands) == ("Dr. Martens fit. Mr. [name] agreed.\nThanks, Fender", {"name": 1})


def test_all_of_a_text_are_masked_and_a_null_stays() -> None:
    text = "I am at a@b.de or c@d.com, phone +1 650 253 0000 or +49 171 1234567, card 4111111111111111"
    assert mask(text) == ("I am at [mail] or [mail], phone [phone] or [phone], card [card]", {"mail": 2, "phone": 2, "card": 1})
    assert mask(None) == (None, {})
    assert masked(pl.Series([], dtype=pl.String), PHONE_REGIONS).len() == 0


def test_other_countries_are_a_matter_of_the_shop() -> None:
    found = [masked(pl.Series(["(650) 253-0000"]), regions).to_list()[0]["text"] for regions in ((), ("DE", "FR"), ("US",))]
    assert found == ["(650) 253-0000", "(650) 253-0000", "[phone]"]


def test_counts_are_said_in_words() -> None:
    assert in_words({"mail": 3, "phone": 1, "card": 0, "name": 1_200}) == "3 mails, 1 phone number, 1,200 names"
    assert in_words(dict.fromkeys(KINDS, 0)) == ""


@given(
    before=st.sampled_from(["", "Great. ", "Schön! ", "很好。", "I like it a lot, and "]),
    data=st.sampled_from(["a.b@example.org", "+49 171 1234567", "+33 6 12 34 56 78", "4111-1111-1111-1111", "(650) 253-0000"]),
    after=st.sampled_from(["", ".", " is mine", "\nBye", "！"]),
)
def test_what_stands_around_does_not_matter_and_twice_is_once(before: str, data: str, after: str) -> None:
    text, counts = mask(before + data + after)
    assert text is not None
    assert data not in text
    assert sum(counts.values()) == 1
    assert text.startswith(before)
    assert text.endswith(after)
    assert mask(text) == (text, {}), "a mask is not personal data"
