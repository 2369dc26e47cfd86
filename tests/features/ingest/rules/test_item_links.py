"""Which item of the catalogue a row of the log means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from features.errors import DataError
from features.ingest.rules.item_links import ItemLinks, used_ids

Ingest = Callable[..., Any]


def log_of(*items: str) -> str:
    return "user_id,item_id,timestamp\n" + "".join(f"u{number},{item},2026-01-01\n" for number, item in enumerate(items))


def catalogue_of(*items: str) -> str:
    return "item_id,title\n" + "".join(f"{item},Tea\n" for item in items)


LIKE = {
    "leading zeros": [("123", "00123"), ("0007", "7")],
    "case": [("SKU-1", "sku-1"), ("Straße", "straße")],
    "width or the kind of hyphen": [("ＡＢ１", "AB1"), ("AB\u20111", "AB-1"), ("AB\u20131", "AB-1")],
    "spaces": [("AB 1", "AB1"), ("AB1", "A B 1")],
    "decimals": [("12.0", "12"), ("12", "12.0")],
    "several of zeros, decimals, case, width and spaces": [("ab 1", "AB1"), ("123.0", "00123")],
}


@pytest.mark.parametrize(("difference", "pair"), [(difference, pair) for difference, pairs in LIKE.items() for pair in pairs])
def test_an_id_that_differs_in_nothing_else_is_that_item(difference: str, pair: tuple[str, str], ingested: Ingest) -> None:
    ours, theirs = pair
    shop = ingested(log_of(ours, "other", ours), catalogue_of(theirs, "other", "third"))
    assert shop.log["item_id"].to_list() == [theirs, "other", theirs]
    what = f"read as the one id of the catalogue that differs only in {difference}, e.g. '{ours}' as '{theirs}'"
    assert shop.summary.notes == (f"note: 1 item_id of the log (2 rows) is {what}",)


@pytest.mark.parametrize(("ours", "several"), [("123", ("0123", "00123")), ("SKU", ("sku", "Sku")), ("AB1", ("A B1", "AB 1"))])
def test_an_id_like_several_is_not_guessed(ours: str, several: tuple[str, str], ingested: Ingest) -> None:
    shop = ingested(log_of(ours, "other"), catalogue_of(*several, "other"))
    assert shop.refused == [(1, "item_id not in the catalogue", ours)]
    (note,) = shop.summary.notes
    assert note.startswith("note: 1 item_id of the log (1 row) is like several ids of the catalogue but for ")
    assert note.endswith(", and therefore not read as any of them")


@pytest.mark.parametrize(("ours", "theirs"), [("AB-1", "AB1"), ("10", "1"), ("A-1", "B-1"), ("A007", "A7"), ("-1", "1")])
def test_other_ids_are_other_items(ours: str, theirs: str, ingested: Ingest) -> None:
    shop = ingested(log_of(ours, "other"), catalogue_of(theirs, "other"))
    assert shop.refused == [(1, "item_id not in the catalogue", ours)]
    assert shop.summary.notes == ()


def test_where_case_has_a_meaning_it_is_not_guessed(ingested: Ingest) -> None:
    pairs = [name for number in range(12) for name in (f"aB{number}", f"Ab{number}")]
    shop = ingested(log_of("x9", "aB1"), catalogue_of(*pairs, "X9"))
    assert shop.refused == [(1, "item_id not in the catalogue", "x9")]
    assert "not read as any" in shop.summary.notes[0]


def test_an_item_that_is_meant_and_quarantined(ingested: Ingest) -> None:
    shop = ingested(log_of("123", "other"), "item_id,title,price\n00123,Tea,abc\nother,Cup,1\n")
    assert shop.refused[1:] == [(1, "item_id whose row in the catalogue is quarantined", "123")]


def test_a_log_whose_items_are_all_quarantined_is_told_why(ingested: Ingest) -> None:
    items = "item_id,title,price\n1,Green tea,abc\n2,Black tea,def\n3,Voucher,10\n4,Cup,ghi\n"
    why = r"quarantined \(2 price is not a number; row 1: price is not a number: 'abc'\): mend these rows of the items file$"
    with pytest.raises(DataError, match=why):
        ingested(log_of("1", "2"), items)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ("tea_2", "tea-2", r"the log has 'tea_2', the catalogue 'tea-2'"),
        ("\u0410-1", "A-1", r"the log has '\u0410-1', the catalogue 'A-1'"),
        ("x", "tea", r"the log has 'x', the catalogue 'tea'"),
    ],
)
def test_ids_that_have_nothing_in_common_are_shown(ours: str, theirs: str, said: str, ingested: Ingest) -> None:
    with pytest.raises(DataError) as error:
        ingested(log_of(ours), catalogue_of(theirs))
    assert str(error.value) == f"no item of the log is in the catalogue ({said}): both must use the same item ids"


def test_known_ids_are_left_alone() -> None:
    log = pl.LazyFrame({"item_id": ["a", "B"], "reason": pl.Series([None, None], dtype=pl.String), "offence": ["", ""]})
    links = ItemLinks.find(used_ids(log), pl.LazyFrame({"item_id": ["a", "A", "B"], "reason": pl.Series([None] * 3, dtype=pl.String)}))
    assert (links.read_as.height, links.notes) == (0, ())
    assert links.mark(log).collect()["item_id"].to_list() == ["a", "B"]


@pytest.mark.parametrize(
    ("used", "refused", "complete"), [(["a", "B"], "", True), (["a"], "B", True), (["a", "B"], "B", False), (["A"], "", False)]
)
def test_marking_is_left_out_only_where_it_changes_nothing(used: list[str], refused: str, complete: bool) -> None:
    none = pl.lit(None, pl.String)
    log = pl.LazyFrame({"row": range(1, len(used) + 1), "item_id": used}).with_columns(reason=none, offence=none)
    items = pl.LazyFrame({"item_id": ["a", "B"]}).with_columns(reason=pl.when(pl.col("item_id") == refused).then(pl.lit("no title")))
    links = ItemLinks.find(used_ids(log), items)
    assert links.complete == complete
    assert links.mark(log).collect().equals(log.collect()) == complete
