"""What customers say of an item, a brand, a category and the shop; and what cannot be answered."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from features.errors import DataError
from recsys.apps.reviews.request import ReviewsRequest
from recsys.cli.main import run
from recsys.privacy.erasure import erase
from recsys.recommend.open import open_recommender
from tests.recsys.apps.reviews.conftest import DAYS, ITEM
from tests.recsys.conftest import Place

Reviewed = Callable[[int], Place]


def test_figures_of_an_item_and_of_the_shop(reviewed: Reviewed) -> None:
    shop = reviewed(20).shop
    of_item = shop.reviews.answer(ReviewsRequest(item=ITEM)).figures
    assert (of_item.level, of_item.name, of_item.reviews, of_item.unread) == ("item", ITEM, 60, 0)
    bad = sum((day + number) % 9 == 0 for day in range(20) for number in range(3))
    assert of_item.negative == pytest.approx(bad / 60, abs=1e-4)
    (aspect,) = of_item.aspects
    assert (aspect.aspect, aspect.mentions) == ("quality", 60)
    assert {quote.sentiment for quote in aspect.quotes} == {"positive", "negative"}
    assert all(quote.row > 0 and quote.item_id == ITEM and quote.date for quote in aspect.quotes)
    whole = shop.reviews.answer(ReviewsRequest())
    assert whole.figures.reviews == 100
    assert {part.level for part in whole.parts} >= {"item", "category"}
    assert next(part.name for part in whole.parts if part.level == "item") == ITEM, "the most complained of comes first"
    assert json.loads(json.dumps(whole.to_dict()))["bundle_id"] == shop.recommender.bundle_id
    only = shop.reviews.answer(ReviewsRequest(aspect="price")).figures
    assert [one.aspect for one in only.aspects] == ["price"]


def test_the_parts_of_an_aspect_are_those_most_complained_of_for_it(reviewed: Reviewed, capsys: pytest.CaptureFixture[str]) -> None:
    place = reviewed(20)
    items = [part for part in place.shop.reviews.answer(ReviewsRequest(aspect="price")).parts if part.level == "item"]
    assert [part.name for part in items] == ["sku-10"], "of the other item no review speaks of the price"
    assert run(["--workspace", str(place.workspace.root), "reviews", "--aspect", "price"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("item")]
    assert line.split()[-2:] == ["20", "0%"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ReviewsRequest(item="sku-39"), "no review is of the item 'sku-39'"),
        (ReviewsRequest(item="nothing"), "not in the catalogue"),
        (ReviewsRequest(category="nothing"), "no item is in category"),
        (ReviewsRequest(brand="nothing"), "no item is of brand"),
        (ReviewsRequest(aspect="qualty"), "quality"),
    ],
)
def test_what_cannot_be_answered_is_said(reviewed: Reviewed, request_: ReviewsRequest, message: str) -> None:
    shop = reviewed(3).shop
    with pytest.raises(DataError, match=message):
        shop.reviews.answer(request_)


def test_two_things_at_once_are_an_error() -> None:
    with pytest.raises(DataError, match="name one of them"):
        ReviewsRequest(item="a", brand="b")


def test_a_shop_without_reviews_is_told_how_to_get_them(spare: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], ["--alerts"], ["--alerts", "--json"]):
        assert run(["--workspace", str(spare.workspace.root), "reviews", *options]) == 1
        said = capsys.readouterr()
        assert ("--reviews FILE" in said.err, said.out) == (True, "")


def test_the_command_line_prints_a_table_or_json(
    reviewed: Reviewed, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    line = ["--workspace", str(reviewed(DAYS).workspace.root), "reviews"]
    assert run([*line, "--item", ITEM]) == 0
    printed = capsys.readouterr().out
    assert "480 reviews" in printed
    assert "quality" in printed
    assert "worse" in printed, "the trend"
    assert run([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reviews"] == 800
    assert run([*line, "--alerts"]) == 0
    assert capsys.readouterr().out == "", "nothing is said of what was not looked for"
    assert "no refresh has looked" in caplog.text
    assert run([*line, "--item", ITEM, "--brand", "x"]) == 2


def test_an_erased_author_is_in_no_quote_and_no_figure(reviewed: Reviewed) -> None:
    place = reviewed(5)
    erased = erase(place.workspace, "author-0-1")
    assert erased.rows == 1
    snapshot = open_recommender(place.workspace).snapshot
    assert len(snapshot.reviews) == 24
    assert "author-0-1" not in snapshot.reviews.reviews["user_id"].to_list()
    assert not any("number 0 1." in sentence for sentence in snapshot.reviews.mentions["sentence"])
