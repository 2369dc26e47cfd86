"""One id, in its one spelling."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.ids import normal, normal_id, spellings, visible
from features.data.interactions import CAP, Interactions
from features.errors import DataError

SPELLINGS = {
    "cafe\u0301-1": "café-1",
    "tea-2\u200b": "tea-2",
    "\ufefftea-2": "tea-2",
    "te\u00ada-2": "tea-2",
    "\u202atea-2\u202c": "tea-2",
    "a\u00a0\u3000b": "a b",
    "\ta  b ": "a b",
    '="00123"': "00123",
    "'00123": "00123",
    "'=A1": "=A1",
    '"A-1"': "A-1",
    "“A-1”": "A-1",
}
KEPT = ("O'Neil", "'tis", "00123", "tea-2", "Tea-2", "a b", "A_1/2", "x'", "=", "12E3", "1E5", "日本-1")


@pytest.mark.parametrize("text", SPELLINGS)
def test_an_odd_spelling_has_its_plain_one(text: str) -> None:
    assert normal_id(text) == SPELLINGS[text]


@pytest.mark.parametrize("text", KEPT)
def test_what_is_part_of_an_id_stays(text: str) -> None:
    assert normal_id(text) == text


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"'= \u200b\u0301“e0"), max_size=12))
def test_the_one_spelling_of_an_id_is_its_own(text: str) -> None:
    once = normal_id(text)
    assert normal_id(once) == once
    assert pl.select(normal(pl.lit(text))).item() == once, "a column's ids are read like one id"


def test_a_lone_surrogate_is_left_to_whoever_reads_it() -> None:
    assert normal_id("a\ud800") == "a\ud800"


def test_a_whole_number_with_decimals_may_be_the_number() -> None:
    assert spellings("5001.0") == ("5001.0", "5001")
    assert spellings("5001,0") == ("5001,0", "5001")
    assert spellings("5.001,0") == ("5.001,0",)


def test_what_cannot_be_seen_is_shown() -> None:
    assert visible("tea\u200b") == r"'tea\u200b'"
    assert visible("cafe\u0301") == r"'cafe\u0301'"
    assert visible("café") == "'café'"


@pytest.fixture
def catalog() -> Catalog:
    return Catalog.from_frame(pl.DataFrame({"item_id": ["00123", "café", "7"], "title": ["a", "b", "c"]}))


def test_an_item_is_found_in_any_spelling(catalog: Catalog) -> None:
    ids = ["cafe\u0301", '="00123"', "7.0", " 7", "7"]
    assert catalog.ids[catalog.rows_or_raise(ids)].tolist() == ["café", "00123", "7", "7", "7"]
    with pytest.raises(DataError, match="'123' is not in the catalogue"):
        catalog.rows_or_raise(["7", "123"])


def test_a_user_is_found_in_any_spelling(catalog: Catalog) -> None:
    frame = pl.DataFrame({"user_id": ["5001", "zoé"], "item_id": ["7", "7"], "timestamp": ["2026-01-01"] * 2})
    log = Interactions.from_frame(frame.with_columns(pl.col("timestamp").str.to_datetime()), catalog)
    assert log.user_rows(["5001.0", "zoe\u0301", "5001", "NA", ""]).tolist() == [0, 1, 0, -1, -1]


def log_of(counts: list[int], catalog: Catalog) -> Interactions:
    users = [f"u{number:03}" for number, count in enumerate(counts) for _ in range(count)]
    time = pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 2, 1), "1m", eager=True).head(len(users))
    return Interactions.from_frame(pl.DataFrame({"user_id": users, "item_id": "7", "timestamp": time}), catalog)


def test_models_learn_from_the_newest_events_of_a_user_with_too_many(catalog: Catalog) -> None:
    log = log_of([900, *[5] * 120], catalog)
    capped = log.capped()
    most = int(CAP * len(log))
    assert (capped.user == 0).sum() == most
    assert capped.time[capped.user == 0].tolist() == log.time[log.user == 0][-most:].tolist()
    assert (capped.user > 0).sum() == 600
    assert capped.user_ids.tolist() == log.user_ids.tolist()


@pytest.mark.parametrize("counts", [[900, *[5] * 50], [8, *[5] * 120], [1]])
def test_small_and_ordinary_logs_are_not_capped(counts: list[int], catalog: Catalog) -> None:
    log = log_of(counts, catalog)
    assert log.capped() is log
