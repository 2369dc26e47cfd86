"""Which reviews are kept, what becomes of their words and ratings, and why others are refused."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from features.ingest.rules.review_rules import LEAST_COPIED, LONGEST

Reviewed = Callable[..., Any]
HEADER = ("item_id", "title", "text", "rating", "timestamp", "user_id")
GOOD = ("A", "Crisp", "A good apple", "5", "2026-01-01T10:00:00", "u1")


def text(*rows: tuple[str, ...], header: tuple[str, ...] = HEADER) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


def row(**values: str) -> tuple[str, ...]:
    return tuple(values.get(name, good) for name, good in zip(HEADER, GOOD, strict=True))


def test_a_row_is_stored_with_canonical_columns(reviewed: Reviewed) -> None:
    found = reviewed(text(GOOD, row(item_id="B", title="", rating="2", timestamp="", user_id="")))
    assert found.rows.rows() == [
        ("A", "A good apple", 5.0, "Crisp", datetime(2026, 1, 1, 10), "u1", 1),
        ("B", "A good apple", 2.0, None, None, None, 2),
    ]
    assert found.rows.schema == {
        "item_id": pl.String,
        "text": pl.String,
        "rating": pl.Float64,
        "title": pl.String,
        "timestamp": pl.Datetime("us"),
        "user_id": pl.String,
        "row": pl.Int64,
    }
    assert str(found.summary).splitlines()[2] == "reviews: 2 read = 2 kept + 0 quarantined"
    facts = found.summary.profile.opinions
    assert (facts.rows, facts.users, facts.items, facts.texts, facts.rated, facts.timed, facts.stars) == (2, 1, 2, 2, 2, 1, {2: 1, 5: 1})


@pytest.mark.parametrize(
    ("values", "reason", "shown"),
    [
        ({"item_id": ""}, "no item_id", ""),
        ({"item_id": "Z"}, "item_id not in the catalogue", "Z"),
        ({"title": "", "text": "", "rating": ""}, "no text and no rating", ""),
        ({"title": "N/A", "text": "?", "rating": "N/A"}, "no text and no rating", "?"),
        ({"title": "", "text": "<br>", "rating": "awful"}, "no text and no rating", "<br>"),
        ({"timestamp": "2036-01-01"}, "timestamp in the future", "2036-01-01"),
        ({"timestamp": "some day"}, "timestamp not understood", "some day"),
        ({"timestamp": "1970-06-01"}, "timestamp before 1971", "1970-06-01"),
        ({"user_id": "bot"}, "dropped by source.drop_users", "bot"),
    ],
)
def test_a_broken_row_is_refused_with_its_reason(values: dict[str, str], reason: str, shown: str, reviewed: Reviewed) -> None:
    found = reviewed(text(GOOD, row(**values)), drop_users=("bot",))
    assert found.refused == [(2, reason, shown)]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"text": "\U0001f600\U0001f44d\U0001f3fd"}, {"text": "\U0001f600\U0001f44d\U0001f3fd"}),
        ({"rating": "N/A"}, {"rating": None}),
        ({"rating": "awful"}, {"rating": None}),
        ({"text": ""}, {"text": None, "title": "Crisp"}),
        ({"title": "", "text": ""}, {"text": None, "rating": 5.0}),
        ({"text": "<p>Nice &amp; soft</p><script>x()</script>"}, {"text": "Nice & soft"}),
        ({"text": "One.\r\n\r\n\r\n Two.\tThree\x00"}, {"text": "One.\n\nTwo. Three"}),
        ({"title": "One\nline"}, {"title": "One line"}),
        ({"timestamp": "0000-00-00 00:00:00"}, {"timestamp": None}),
        ({"timestamp": "N/A"}, {"timestamp": None}),
        ({"user_id": "guest"}, {"user_id": None}),
        ({"user_id": ""}, {"user_id": None}),
        ({"text": "很好，很喜欢"}, {"text": "很好，很喜欢"}),
    ],
)
def test_what_is_missing_or_odd_is_no_fault(values: dict[str, str], kept: dict[str, object], reviewed: Reviewed) -> None:
    found = reviewed(text(row(user_id="other"), row(**values)))
    assert found.refused == []
    assert {name: found.rows[name][1] for name in kept} == kept


def test_a_long_text_is_cut_and_counted(reviewed: Reviewed) -> None:
    found = reviewed(text(GOOD, row(text="word " * 4_000), row(text="x" * LONGEST)))
    assert found.rows["text"].str.len_chars().to_list() == [12, LONGEST - 1, LONGEST]
    assert "the words of 1 row are cut after 10,000 characters (row 2)" in found.notes


def test_what_was_done_to_words_is_said(reviewed: Reviewed) -> None:
    found = reviewed(text(GOOD, row(text="<b>Bold</b> words"), row(title="A &amp; B", text="<i>other</i>"), row(timestamp="", text="late")))
    assert "HTML or shortcodes were removed from 2 texts (such as row 2)" in found.notes
    assert "HTML entities were decoded in 1 title (such as row 3)" in found.notes
    assert "1 row has no time (row 4): kept, and left out where a period is asked for, as in alerts" in found.notes
    bare = text(("A", "good"), ("B", "bad"), header=("item_id", "text"))
    assert "no row has a time (row 1): kept, and left out where a period is asked for, as in alerts" in reviewed(bare).notes


def test_personal_data_is_masked_and_counted_in_the_summary(reviewed: Reviewed) -> None:
    found = reviewed(
        text(
            GOOD,
            row(text="Mail me at a@b.org or call +49 171 1234567", title="By x@y.com"),
            row(text="My name is John Smith, a.b@c.net"),
            row(item_id="Z", text="q@q.com"),
        )
    )
    assert found.rows["text"].to_list()[1:] == ["Mail me at [mail] or call [phone]", "My name is [name], [mail]"]
    assert found.rows["title"][1] == "By [mail]"
    line = str(found.summary).splitlines()[2]
    assert line.endswith("(1 item_id not in the catalogue); masked 3 mails, 1 phone number, 1 name in 2 rows (such as row 2)")
    stored = b"".join(path.read_bytes() for path in found.folder.iterdir() if path.suffix != ".parquet")
    assert stored
    assert not [mail for mail in (b"a@b.org", b"x@y.com", b"a.b@c.net", b"q@q.com") if mail in stored]


def test_rows_that_cannot_be_parsed_show_no_personal_data(reviewed: Reviewed) -> None:
    found = reviewed(text(GOOD) + "A,t,my mail is a@b.org,5,2026-01-01,u1,one too many\n")
    ((number, _, value),) = found.refused
    assert number == 2
    assert "[mail]" in value
    assert "a@b.org" not in value


@pytest.mark.parametrize("copies", [2, 1_000])
def test_the_same_review_again_is_refused_and_counted(copies: int, reviewed: Reviewed) -> None:
    found = reviewed(text(*[row(timestamp="" if again % 2 else "2026-01-02", rating=str(1 + again % 5)) for again in range(copies)]))
    assert found.rows.height == 1
    assert found.summary.optional["reviews"].reasons == {"duplicate review (the first one stays)": copies - 1}


@pytest.mark.parametrize("other", [{"user_id": "u2"}, {"item_id": "B"}, {"text": "Another apple"}, {"title": "Other"}])
def test_another_user_item_or_text_is_another_review(other: dict[str, str], reviewed: Reviewed) -> None:
    assert reviewed(text(GOOD, row(**other))).rows.height == 2


def test_of_unknown_authors_only_long_copies_are_the_same(reviewed: Reviewed) -> None:
    long = "x" * LEAST_COPIED
    rows = [row(user_id="", text=words) for words in ("Great!", "Great!", long, long)]
    assert reviewed(text(*rows)).rows["text"].to_list() == ["Great!", "Great!", long]
    assert reviewed(text(*rows[2:], row(user_id="", text=long, rating="1"))).rows.height == 2


def test_ratings_of_one_user_without_words_are_the_same_at_one_time_only(reviewed: Reviewed) -> None:
    rows = [row(title="", text="", rating=rating) for rating in ("5", "5", "4")]
    assert reviewed(text(*rows)).rows["rating"].to_list() == [5, 4]


def test_times_follow_the_rules_of_the_log(reviewed: Reviewed) -> None:
    tomorrow = (datetime.now() + timedelta(hours=2)).isoformat(timespec="seconds")
    assert reviewed(text(row(timestamp=tomorrow))).rows.height == 1
    assert reviewed(text(row(timestamp="13/02/2026"))).rows["timestamp"][0] == datetime(2026, 2, 13)
    found = reviewed(text(row(timestamp="03.02.26")), reviews_timestamp_format="%d.%m.%y")
    assert found.rows["timestamp"][0] == datetime(2026, 2, 3)


def test_ids_of_items_are_spelt_as_in_the_catalogue(reviewed: Reviewed) -> None:
    items = "item_id,title,group_id\nSKU-1,Apple red,G\nSKU-2,Apple green,G\n"
    found = reviewed(text(row(item_id="sku-1"), row(item_id="G"), row(item_id="nothing")), items=items, log_item="SKU-1")
    assert found.rows["item_id"].to_list() == ["SKU-1", "G"], "a product may be reviewed as a whole"
    assert found.refused == [(3, "item_id not in the catalogue", "nothing")]
    one = reviewed(text(row(item_id="sku-1"), row(item_id="G", text="x")), items=items, log_item="SKU-1", variants="one")
    assert one.rows["item_id"].to_list() == ["G", "G"]


def test_a_quoted_text_may_have_many_lines_and_quotes(reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is read once. Following every line with a quote to the end of its text took minutes for some thousand reviews."""
    monkeypatch.delattr("features.ingest.readers.quotes.QuoteMender._followed")
    lines = "\n".join(f'Line {n}, 5\'4" or 6", soft' for n in range(9))
    found = reviewed(text(*(row(text=f"{n}.\n{lines}", user_id=f"u{n}") for n in range(5))))
    assert found.refused == []
    assert found.rows["text"].to_list() == [f"{n}.\n{lines}" for n in range(5)]
