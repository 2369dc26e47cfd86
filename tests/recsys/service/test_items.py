"""New prices and stock: on disk before the answer, in all answers of every worker, and until a newer catalogue has them."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from recsys.recommend.live_rules import LiveRules
from recsys.recommend.open import open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.refresh.refresh import refresh
from recsys.workspace.item_changes import ItemChange, ItemChanges
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, inside, problem, recommender_of, taken_over


def send(client: TestClient, *items: dict[str, Any]) -> Any:
    return client.post("/v1/items", json={"items": list(items)})


def wait_until(holds: Any) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def found(client: TestClient, **rules: Any) -> dict[str, float]:
    """Price by item of the whole catalogue, as far as the rules allow."""
    answer = client.post("/v1/recommend", json={"user": "user-01", "k": 100, "rules": rules}).json()
    return {item["item_id"]: item["price"] for item in answer["items"]}


def searched(client: TestClient, item: str, **options: Any) -> dict[str, float]:
    title = recommender_of(client).facts(recommender_of(client).snapshot.catalog.rows_or_raise([item]))[0][1]
    answer = client.post("/v1/search", json={"text": title, "k": 100, **options}).json()
    return {one["item_id"]: one["price"] for one in answer["items"]}


def test_the_next_answer_has_it(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    before = found(client)
    item = next(iter(before))
    answer = send(client, {"item": item, "price": 0.07}).json()
    assert (answer["accepted"], answer["new"], answer["outdated"], answer["unknown_items"]) == (1, 1, 0, [])
    assert found(client) == before | {item: 0.07}
    assert item in found(client, max_price=0.07)
    assert searched(client, item, max_price=0.1) == {item: 0.07}
    near = client.post("/v1/similar", json={"item": next(one for one in before if one != item), "k": 100}).json()["items"]
    assert {one["item_id"]: one["price"] for one in near}.get(item, 0.07) == 0.07
    assert send(client, {"item": item, "price": 0.07}).json()["new"] in (0, 1)
    send(client, {"item": item, "price": 50})
    assert item not in found(client, max_price=49)
    assert found(client)[item] == 50


@pytest.mark.parametrize("gone", [{"stock": 0}, {"available": False}, {"available": False, "stock": 4}], ids=str)
def test_what_is_sold_out_is_found_no_more(spare: Place, serve: Serve, gone: dict[str, Any]) -> None:
    client = serve(spare)
    item = next(iter(found(client, in_stock=True)))
    assert item in searched(client, item)
    send(client, {"item": item, **gone})
    assert item not in found(client, in_stock=True)
    assert item not in searched(client, item)
    assert item in found(client), "without the filter it is shown, as before"
    send(client, {"item": item, "stock": 3})
    assert item in found(client, in_stock=True)
    assert item in searched(client, item)


def test_it_is_available_without_stock_where_the_shop_says_so(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    item = next(iter(found(client, in_stock=True)))
    send(client, {"item": item, "stock": 0, "available": True})
    assert item in found(client, in_stock=True)


def test_the_rule_against_unavailable_items_follows(spare: Place, serve: Serve) -> None:
    spare.workspace.rules.write_text("unavailable = true\n", encoding="utf-8")
    client = serve(spare)
    item = next(iter(found(client)))
    send(client, {"item": item, "stock": 0})
    assert item not in found(client)


def test_it_is_on_disk_before_the_answer(spare: Place, serve: Serve, tmp_path: Any) -> None:
    client = serve(spare)
    assert send(client, {"item": "sku-07", "price": 3.25, "timestamp": "2026-11-01T10:00:00Z"}).status_code == 202
    shutil.copytree(spare.workspace.service, tmp_path / "then")
    assert ItemChanges(tmp_path / "then" / "items.sqlite").all() == [ItemChange.at("sku-07", 1_793_527_200.0, price=3.25)]


def test_another_worker_and_the_command_line_have_it(spare: Place, serve: Serve) -> None:
    one, other = serve(spare), serve(spare)
    send(one, {"item": "sku-07", "price": 0.07}, {"item": "sku-12", "stock": 0})
    catalog = recommender_of(other).snapshot.catalog
    wait_until(lambda: found(other).get("sku-07") == 0.07 and not catalog.available[catalog.rows(["sku-12"])[0]])
    (answer,) = open_recommender(spare.workspace).answer(RecommendOptions(k=100), ["user-01"])
    assert {item.item_id: item.price for item in answer.items}["sku-07"] == 0.07
    assert "sku-12" not in found(serve(spare), in_stock=True), "a worker that starts later"


def test_a_request_keeps_the_prices_that_it_began_with(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    snapshot = recommender_of(client).snapshot
    before = snapshot.prices
    copy = before.copy()
    send(client, {"item": "sku-07", "price": 0.07})
    assert snapshot.prices is not before
    np.testing.assert_array_equal(before, copy)
    assert (snapshot.prices != copy).sum() == 1


def test_late_messages_change_nothing(spare: Place, serve: Serve) -> None:
    client, now = serve(spare), time.time()
    send(client, {"item": "sku-07", "price": 4, "timestamp": now})
    answer = send(client, {"item": "sku-07", "price": 9, "stock": 0, "timestamp": now - 5}).json()
    assert answer["new"] == 1, "of the stock it is the first that is heard"
    assert found(client)["sku-07"] == 4
    assert "sku-07" not in found(client, in_stock=True)
    assert send(client, {"item": "sku-07", "price": 9, "timestamp": now - 5}).json()["new"] == 0
    assert send(client, {"item": "sku-07", "price": 5, "timestamp": now + 40_000}).json()["new"] == 1
    send(client, {"item": "sku-07", "price": 6})
    assert found(client)["sku-07"] == 6, "a clock that is ahead does not win for hours"


def test_what_is_older_than_the_catalogue_is_told(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    before = found(client)
    answer = send(client, {"item": "sku-07", "price": 0.07, "timestamp": "2020-01-01"}).json()
    assert (answer["outdated"], found(client)) == (1, before)


def rewritten(place: Place, price: float | None = None) -> None:
    """The shop's file of its catalogue, written now."""
    items = pl.read_csv(place.items)
    if price is not None:
        items = items.with_columns(price=pl.when(pl.col("item_id") == "sku-07").then(price).otherwise("price"))
    items.write_csv(place.items)
    now = time.time()
    os.utime(place.items, (now, now))


@pytest.mark.parametrize("price", [8.5, None], ids=["other", "the same"])
def test_a_newer_catalogue_takes_its_place(spare: Place, serve: Serve, price: float | None) -> None:
    client = serve(spare)
    before = found(client)
    send(client, {"item": "sku-07", "price": 0.07}, {"item": "sku-12", "price": 0.09})
    rewritten(spare, price)
    send(client, {"item": "sku-12", "price": 0.11})
    told = str(refresh(spare.workspace, spare.settings))
    line = "1 item with a changed price or stock follows the catalogue again, which is newer; 1 later change stays"
    assert line in told.splitlines()
    client = taken_over(serve, spare)
    wait_until(lambda: found(client)["sku-07"] == (before["sku-07"] if price is None else price))
    assert found(client)["sku-12"] == 0.11


def test_an_older_catalogue_does_not(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    rewritten(spare, 8.5)
    send(client, {"item": "sku-07", "price": 0.07})
    assert "follow" not in str(refresh(spare.workspace, spare.settings))
    client = taken_over(serve, spare)
    assert found(client)["sku-07"] == 0.07
    send(client, {"item": "sku-07", "price": 0.06})
    wait_until(lambda: found(client)["sku-07"] == 0.06)


def test_a_change_that_comes_while_a_bundle_is_warmed_is_not_lost(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    from recsys.service import live_bundle

    client, warm = serve(spare), live_bundle._warm

    def slowly(*given: Any) -> Any:
        done = warm(*given)
        send(client, {"item": "sku-07", "price": 0.07})
        return done

    rewritten(spare, 8.5)
    spare.ingest()
    monkeypatch.setattr(live_bundle, "_warm", slowly)
    build.build_index(spare.workspace, spare.settings)
    assert found(taken_over(serve, spare))["sku-07"] == 0.07


def test_ids_that_the_catalogue_lacks_are_told(spare: Place, serve: Serve) -> None:
    answer = send(serve(spare), {"item": "sku-99", "price": 3}, {"item": " sku-07 ", "price": 3}).json()
    assert (answer["accepted"], answer["unknown_items"]) == (2, ["sku-99"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "nothing changes: give price, available or stock"),
        ({"price": -1}, "greater than 0"),
        ({"price": 0}, "greater than 0"),
        ({"stock": -1}, "greater than or equal to 0"),
        ({"prize": 3}, "prize"),
        ({"price": 3, "timestamp": "1969-01-01"}, "expected a time"),
    ],
    ids=str,
)
def test_a_wrong_change_is_refused_and_none_of_its_batch_is_stored(spare: Place, serve: Serve, change: dict[str, Any], said: str) -> None:
    client = serve(spare)
    assert said in problem(send(client, {"item": "sku-07", "price": 0.07}, {"item": "sku-07", **change}), 422)
    assert spare.workspace.item_changes.all() == []


def test_a_damaged_store_is_said_and_stops_no_answer(spare: Place, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    spare.workspace.service.mkdir(exist_ok=True)
    (spare.workspace.service / "items.sqlite").write_bytes(b"no database" * 500)
    client = serve(spare)
    assert found(client)
    assert "new prices and stock are not shown" in caplog.text
    problem(send(client, {"item": "sku-07", "price": 3}), 503)


def test_readers_of_an_unchanged_store_build_nothing(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    send(client, {"item": "sku-07", "price": 0.07})
    live = inside(client).bundles.live
    prices, available = live.recommender.snapshot.prices, live.recommender.snapshot.catalog.available
    assert live.changes.items.catch_up() == 0
    assert live.recommender.snapshot.prices is prices
    assert live.recommender.snapshot.catalog.available is available


def test_rules_follow_prices_and_stock(spare: Place, serve: Serve) -> None:
    spare.workspace.merchandising.write_text(
        '[[bury]]\nname = "nearly sold out"\nmax_stock = 3\n\n[objective]\nby = "expected_profit"\nmargin = 0.5\n', encoding="utf-8"
    )
    client = serve(spare)
    recommender = inside(client).bundles.live.recommender
    row = int(recommender.snapshot.catalog.rows(["sku-07"])[0])
    assert not recommender.merchandising.masks["nearly sold out"][row]
    send(client, {"item": "sku-07", "price": 40, "stock": 2})
    assert recommender.merchandising.masks["nearly sold out"][row]
    assert recommender.merchandising.known_margins[row] == 20
    send(client, {"item": "sku-07", "stock": 9})
    assert not recommender.merchandising.masks["nearly sold out"][row]


def test_an_unforeseen_error_does_not_end_the_watch(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def overflow(_: LiveRules) -> bool:
        raise OverflowError("date value out of range")

    client, right = serve(spare), LiveRules.catch_up
    monkeypatch.setattr(LiveRules, "catch_up", overflow)
    wait_until(lambda: "what changed is not in answers: unexpected OverflowError" in caplog.text)
    monkeypatch.setattr(LiveRules, "catch_up", right)
    spare.workspace.merchandising.write_text('[[pin]]\nname = "now"\nitem = "sku-33"\nposition = 1\n', encoding="utf-8")
    wait_until(lambda: client.post("/v1/recommend", json={"user": "user-01", "k": 1}).json()["items"][0]["item_id"] == "sku-33")
