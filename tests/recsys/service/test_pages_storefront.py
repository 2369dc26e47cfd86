"""The page of the storefront, which is the answer of the route and leaves no trace; the page of rules; the service's health."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import pytest
from prometheus_client.samples import Sample
from starlette.testclient import TestClient

from recsys.apps.storefront.rule_check import PRICES
from recsys.recommend.live_rules import LiveRules
from recsys.service.pages.storefront.health import health
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, inside
from tests.recsys.service.pages import Seen, rules_with_prices, seen


def test_the_page_is_the_answer_of_the_route(client: TestClient) -> None:
    asked: dict[str, Any] = {"page": "product", "user": "user-05", "item": "sku-07", "basket": ["sku-01"], "viewed": ["sku-02", "sku-03"]}
    answer = client.post("/v1/page", json=asked).json()
    form = {**asked, "basket": "sku-01\r\n", "viewed": "sku-02\r\n\r\nsku-03", "in_stock": "true"}
    response = client.post("/storefront", data=form)
    shown = seen(response)
    at = 0
    assert len(answer["rows"]) > 1
    for row in answer["rows"]:
        at = shown.index(f"{row['title']} {row['name']}", at)
        assert f"Found by {row['retriever']}; " in shown[at:]
        for item in row["items"]:
            at = shown.index(f"{item['position']} {item['title']}", at)
            assert item["reason"] in shown[at : at + 300]
            assert f"/items/{item['item_id']}" in Seen(response.text).addresses
    for why in answer["left_out"].values():
        assert why in shown
    assert "% probability" in shown
    assert "is in no experiment, is not stored as an impression" in shown


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"page": "category", "category": "bakery"}, "Category page of an unknown visitor"),
        ({"page": "basket", "basket": "sku-01\nsku-02", "add": "sku-07"}, "Basket page of an unknown visitor"),
        ({"page": "empty_search", "user": "user-05"}, "Empty search page of user-05"),
        ({"page": "home", "basket": "sku-01\nno such"}, "1 of 2 items of the basket are not in the catalogue"),
        ({"page": "home", "max_price": "0"}, "The page is empty"),
    ],
)
def test_each_kind_of_page(shared: TestClient, form: dict[str, str], said: str) -> None:
    assert said in seen(shared.post("/storefront", data=form))


def test_what_is_added_to_the_basket_stays_in_the_form(shared: TestClient) -> None:
    response = shared.post("/storefront", data={"page": "basket", "basket": "sku-01", "add": "sku-07", "in_stock": "true"})
    assert ">sku-01\nsku-07</textarea>" in response.text
    assert 'name="in_stock" value="true" checked' in response.text
    assert 'name="in_stock" value="true" checked' not in shared.post("/storefront", data={"page": "home"}).text
    assert 'name="in_stock" value="true" checked' in shared.get("/storefront").text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"page": "product"}, "a product page needs its item"),
        ({"page": "product", "item": "sku-x"}, "sku-x"),
        ({"page": "category", "category": "no such"}, "no such"),
        ({"page": "attic"}, "page"),
        ({"max_price": "cheap"}, "highest price"),
    ],
)
def test_what_is_wrong_is_one_line_and_no_page(shared: TestClient, form: dict[str, str], said: str) -> None:
    shown = seen(shared.post("/storefront", data=form), 422)
    assert said in shown
    assert "Found by" not in shown


def test_a_look_leaves_no_impression_exposure_or_count(place: Place, client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400))
    place.workspace.experiments.write_text(
        f"[experiments.looks]\nfrom = {day}\nto = 2100-01-01\nunits = 400\narms = {{ a = {{}}, b = {{}} }}\n"
    )
    live = inside(client).bundles.live
    inside(client).experiments.catch_up(int(time.time()))
    inside(client).impressions.flush()
    store, before = place.workspace.impressions, set(live.shown)
    stored = store.frame()
    with caplog.at_level(logging.INFO):
        assert "Found by" in seen(client.post("/storefront", data={"user": "user-05"}))
    inside(client).impressions.flush()
    assert store.frame().equals(stored)
    assert live.shown == before
    assert not [record for record in caplog.records if record.name.startswith("recsys") and "user-05" in f"{vars(record)}"]
    client.post("/v1/page", json={"page": "home", "user": "user-05"})
    inside(client).impressions.flush()
    assert len(store.frame()) > len(stored)
    assert len(store.exposures("looks", int(time.time()) + 60)) == 1


def test_rules_in_force_with_price_and_places(spare: Place, serve: Serve) -> None:
    rules_with_prices(spare)
    page = seen(serve(spare).get("/rules"))
    assert "sku-33 first pin holds now Does item 'sku-33' at position 1 Where home / popular Matches now 1 item Lists changed 25.0%" in page
    assert "ndcg@10 -0.0300 [-0.0500, -0.0100]: a cost" in page
    assert "revenue@10 +0.2000 [-0.1000, +0.5000]: these customers do not tell" in page
    assert "Places taken 50.0% of popular, 50.0% of its first three (1 place)" in page  # a page from before it began does not count
    assert "acme less bury holds now" in page
    assert "later campaign does not hold now" in page
    assert page.count("Places taken none") == 2  # buried items, and a campaign to come
    assert "Price not estimated yet" in page  # of the campaign
    assert "All rules together" in page
    assert "keeps 1 item out of every answer. It names 1 item." in page
    assert "has changed since" not in page


def test_a_file_that_changed_is_not_in_force_yet(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveRules, "catch_up", lambda _: False)  # the service has not looked yet
    client = serve(spare)
    page = seen(client.get("/rules"))
    assert "There are no rules" in page
    assert "keeps no item out" in page
    spare.workspace.merchandising.write_text('[[bury]]\nname = "b"\nbrands = ["acme"]\n')
    spare.workspace.rules.write_text('items = ["sku-01"]\n')
    page = seen(client.get("/rules"))
    assert "merchandising.toml has changed: it is in force within a second" in page
    assert "rules.toml has changed: it is in force within a second" in page
    assert "There are no rules" in page
    spare.workspace.merchandising.write_text("[[burry]]\n")
    assert "did you mean 'bury'" in seen(client.get("/rules"))


def test_damaged_files_take_no_page_down(spare: Place, serve: Serve) -> None:
    rules_with_prices(spare)
    client = serve(spare)
    (spare.workspace.reports / PRICES).write_text("[")
    page = seen(client.get("/rules"))
    assert f"{PRICES} is damaged or of another version" in page
    assert "sku-33 first" in page


def test_prices_from_before_a_change_are_called_so(spare: Place, serve: Serve) -> None:
    rules_with_prices(spare)
    path = spare.workspace.merchandising
    client = serve(spare)
    path.write_text(path.read_text() + "\n")
    later = (spare.workspace.reports / PRICES).stat().st_mtime + 5
    os.utime(path, (later, later))
    assert "has changed since the prices were estimated" in seen(client.get("/rules"))


def said(samples: dict[tuple[str, str], float], *, bundle: bool = True) -> dict[str, tuple[str, bool | None]]:
    values = [Sample(name, {"kind": label} if label else {}, value) for (name, label), value in samples.items()]
    return {check.name: (check.now, check.fine) for check in health(values, bundle=bundle)}


def test_health_in_words_with_thresholds() -> None:
    answers = ("recsys_stage_seconds_count", "retrieval")
    good = {
        ("recsys_bundle_age_seconds", ""): 7_200.0,
        ("recsys_score_drift", ""): 0.1,
        ("recsys_list_coverage", ""): 0.4,
        answers: 20_000.0,
        ("recsys_degraded_total", "late"): 50.0,
        ("recsys_degraded_total", "failed"): 50.0,
        ("recsys_searches_total", ""): 1_000.0,
        ("recsys_search_findings_total", "zero_results"): 50.0,
        ("recsys_search_findings_total", "mended"): 900.0,
    }
    found = said(good)
    assert found == {
        "Age of the bundle": ("published 2 hours ago", True),
        "Drift of the probabilities": ("0.100", True),
        "Catalogue that lists have shown": ("40.0%", True),
        "Answers without ranking": ("100 of 20,000, 0.5%", True),
        "Pages that were not stored": ("0", True),
        "Searches without results": ("50 of 1,000, 5.0%", True),
    }
    bad = said(
        good
        | {
            ("recsys_bundle_age_seconds", ""): 3 * 86_400.0,
            ("recsys_score_drift", ""): 0.3,
            ("recsys_list_coverage", ""): 0.001,
            ("recsys_degraded_total", "late"): 500.0,
            ("recsys_lost_pages_total", ""): 1.0,
            ("recsys_search_findings_total", "zero_results"): 51.0,
        }
    )
    assert [fine for _, fine in bad.values()] == [False] * 6
    few = said({answers: 99.0, ("recsys_degraded_total", "late"): 99.0})
    assert [fine for _, fine in few.values()] == [True, None, None, None, True, None]
    assert len(said(good, bundle=False)) == 3


def test_the_page_of_refreshes_shows_the_health_of_the_service(shared: TestClient) -> None:
    response = shared.get("/refreshes")
    page = seen(response)
    assert "Age of the bundle fine published" in page
    assert "Pages that were not stored" in page
    assert "/searches" in Seen(response.text).addresses
