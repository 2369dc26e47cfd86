"""What the routes of pages answer, and how they refuse."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from starlette.testclient import TestClient

from recsys.apps.storefront.request import MAX_ROWS, PageRequest, RowRequest
from tests.recsys.service.conftest import inside, problem

# Drawn anew for each page.
NAMES = {"page_id", "impression_id", "cursor", "more"}


def without_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_names(inner) for key, inner in value.items() if key not in NAMES}
    return [without_names(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"page": "home", "user": "user-01"}, PageRequest("home", "user-01")),
        (
            {"page": "product", "item": "sku-07", "rows": [{"name": "popular", "k": 3}, {"name": "alternatives"}], "max_price": 9},
            PageRequest("product", item="sku-07", rows=(RowRequest("popular", 3), RowRequest("alternatives")), max_price=9),
        ),
        (
            {"page": "basket", "basket": ["sku-01", "gone"], "viewed": ["sku-02"], "in_stock": False},
            PageRequest("basket", basket=("sku-01", "gone"), viewed=("sku-02",), in_stock=False),
        ),
        ({"page": "category", "category": "bakery", "place": "Ulm"}, PageRequest("category", category="bakery", place="Ulm")),
    ],
)
def test_a_page_is_the_storefronts(shared: TestClient, body: dict[str, Any], asked: PageRequest) -> None:
    response = shared.post("/v1/page", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    expected = json.loads(json.dumps(inside(shared).bundles.live.storefront.answer(asked).to_dict()))
    assert without_names({key: answer[key] for key in expected}) == without_names(expected)
    assert answer["degraded"] is False
    for row in answer["rows"]:
        assert (row["cursor"] is None) == (row["more"] == 0)


def test_a_row_is_turned_over_to_its_end(shared: TestClient) -> None:
    rows = [{"name": "for_you", "k": 3}, {"name": "popular", "k": 3}]
    page = shared.post("/v1/page", json={"page": "home", "user": "user-01", "rows": rows}).json()
    seen = [item["item_id"] for row in page["rows"] for item in row["items"]]
    for row in page["rows"]:
        left, place, cursor = row["more"], 3, row["cursor"]
        while cursor:
            answer = shared.post("/v1/page/turn", json={"cursor": cursor, "k": 4})
            assert answer.status_code == 200, answer.text
            part = answer.json()["row"]
            assert [item["position"] for item in part["items"]] == list(range(place + 1, place + 1 + len(part["items"])))
            seen += [item["item_id"] for item in part["items"]]
            place, left, cursor = place + len(part["items"]), left - len(part["items"]), part["cursor"]
            assert part["more"] == left
        assert left == 0
    assert len(seen) == len(set(seen)) > 6


def test_a_cursor_of_somebody_else_is_refused(shared: TestClient) -> None:
    page = shared.post("/v1/page", json={"page": "home", "rows": [{"name": "popular", "k": 2}]}).json()
    cursor = page["rows"][0]["cursor"]
    for wrong in ("x", cursor[:-2], cursor[1:], cursor.swapcase()):
        assert "the cursor is not one of this shop's pages" in problem(shared.post("/v1/page/turn", json={"cursor": wrong}), 422)


def test_a_cursor_is_good_for_a_day(shared: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    page = shared.post("/v1/page", json={"page": "home", "rows": [{"name": "popular", "k": 2}]}).json()
    body, now = {"cursor": page["rows"][0]["cursor"], "k": 2}, time.time()
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: int(now + 86_300))
    assert shared.post("/v1/page/turn", json=body).status_code == 200
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: int(now + 86_500))
    assert "the cursor is older than a day: ask for the page again" in problem(shared.post("/v1/page/turn", json=body), 422)


SALT = "recsys row 2"
OTHERS = {
    "of another version": ("recsys row", [{"page": "home"}, "popular", 2, ["sku-07"]]),
    "with another key": (SALT, [{"page": "home", "colour": "red"}, "popular", 2, ["sku-07"]]),
    "without a page": (SALT, [{}, "popular", 2, ["sku-07"]]),
    "with a number for a list": (SALT, [{"page": "home", "basket": 7}, "popular", 2, ["sku-07"]]),
    "with one more": (SALT, [{"page": "home"}, "popular", 2, ["sku-07"], 1]),
    "with a list": (SALT, [["page", "basket"], "popular", 2, ["sku-07"]]),
    "of a number": (SALT, 7),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_cursor_of_another_shape_is_refused(shared: TestClient, other: str) -> None:
    salt, content = OTHERS[other]
    secret = inside(shared).cursors._signer.secret_keys
    cursor = URLSafeTimedSerializer(secret, salt=salt, signer_kwargs={"digest_method": hashlib.sha256}).dumps(content)
    assert "the cursor is not one of this shop's pages" in problem(shared.post("/v1/page/turn", json={"cursor": cursor}), 422)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "page"),
        ({"page": "hone"}, "page is 'hone'"),
        ({"page": "product"}, "a product page needs its item"),
        ({"page": "home", "rows": [{"name": "popular", "k": 1000}]}, "k is 1000, expected 1 to"),
        ({"page": "home", "rows": [{"name": "popular"}] * 1000}, str(MAX_ROWS)),
        ({"page": "home", "rows": [{"name": "popular"}, {"name": "popular"}]}, "asked for 2 times"),
        ({"page": "product", "item": "nothing"}, "'nothing' is not in the catalogue"),
        ({"page": "home", "rule": 1}, "'rule'"),
    ],
)
def test_wrong_pages_are_refused_in_a_line(shared: TestClient, body: dict[str, Any], said: str) -> None:
    response = shared.post("/v1/page", json=body)
    detail = problem(response, 422)
    assert said in detail
    assert "\n" not in detail


def test_the_documented_keys_are_those_of_an_answer(shared: TestClient) -> None:
    page = (Path(__file__).parents[4] / "docs" / "json.md").read_text(encoding="utf-8")
    example = json.loads(page.split("```json page\n")[1].split("```")[0])
    answer = shared.post("/v1/page", json={"page": "home", "user": "user-01"}).json()
    assert example.keys() <= answer.keys()
    (row,) = example["rows"]
    assert row.keys() | {"cursor"} == answer["rows"][0].keys()
    assert row["items"][0].keys() == answer["rows"][0]["items"][0].keys()
