"""What the pages show, and that nothing a shop or a visitor wrote is more than text on them."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from features.histories import Histories
from recsys import verbs
from recsys.engine import UNKNOWN_USER, UNKNOWN_VISITOR
from recsys.options import RecommendOptions, Scope
from recsys.refresh import refresh
from recsys.service.app import application
from recsys.service.keys import Keys
from recsys.service.pages.look import look
from recsys.service.pages.session import COOKIE
from retrieval.joint import FUSION
from tests.recsys.conftest import Place

from .conftest import HERE, Serve, inside, recommender_of
from .test_access import add
from .test_events import wait_for
from .test_swap import publish

HOSTILE = '<script>alert("1")</script>\u202e"><img src=x onerror=alert(2)>'
ODD = "a/b ?#%&é'\"<"  # an item's id
PATHS = ("/", "/map", "/map?group=0", "/items/sku-07", "/evaluation", "/refreshes", "/simulations", "/items/nothing", "/login")


class Seen(HTMLParser):
    """Elements, the addresses that they hold, their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "formaction")]

    def handle_data(self, data: str) -> None:
        self.text += f" {' '.join(data.split())}"


def seen(response: Any, status: int = 200) -> str:
    """The words of a page."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return " ".join(Seen(response.text).text.split())


@pytest.fixture(scope="module")
def hostile(_ready: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A shop whose titles, brands and categories attack, with reports."""
    place = Place(tmp_path_factory.mktemp("hostile") / "shop", _ready.settings)
    shutil.copytree(_ready.folder, place.folder)
    items = pl.read_csv(place.items, schema_overrides={"brand": pl.String})
    texts = {name: pl.concat_str(pl.lit(HOSTILE), pl.col(name).fill_null("")) for name in ("title", "brand", "description", "category")}
    odd = items[:1].with_columns(item_id=pl.lit(ODD))
    pl.concat([items, odd]).with_columns(**texts).write_csv(place.items)
    place.ingest()
    verbs.build_index(place.workspace, place.settings)
    write_reports(place)
    with TestClient(application(place.workspace, place.settings), base_url=HERE) as client:
        yield client


def write_reports(place: Place) -> None:
    """What `recsys evaluate` and `recsys simulate` write, as far as pages read it."""
    figure = {"value": 0.25, "low": 0.2, "high": 0.3, "users": 40}
    evaluation = {
        "metrics": {"ndcg@10": figure, "coverage@10": figure | {"low": None, "high": None}},
        "slices": {"new": {"ndcg@10": figure | {"value": None}}},
        "baselines": {"recent_popular": {"metrics": {"ndcg@10": figure}, "slices": {}}},
        "split": {"cut": "2024-06-20T00:00:00", "users": 60, "items": 40},
        "bundle_id": "20240101T000000000000Z-000000000000",
        "reasons": {"all": figure | {"value": 0.981}},
        "exposure": {"brand": [{"name": HOSTILE, "shown": 0.5, "bought": 0.25, "catalogue": 0.125}]},
    }
    paired = {"a": 0.1, "b": 0.2, "difference": 0.1, "low": 0.05, "high": 0.15, "users": 9}
    simulation = {
        "start": "2024-06-01",
        "days": 7,
        "users": 50,
        "visits": 90,
        "alike": 0.5,
        "a": {"name": "popular", "note": ""},
        "b": {"name": HOSTILE, "note": HOSTILE},
        "rows": [{"segment": "all", "metric": "ndcg@10", "paired": paired}],
    }
    place.workspace.reports.mkdir(exist_ok=True)
    for name, told in (("evaluation", evaluation), ("simulation-popular-x", simulation)):
        (place.workspace.reports / f"{name}.json").write_text(json.dumps(told))
        (place.workspace.reports / f"{name}.html").write_text("<!doctype html><title>plots</title><script>alert(3)</script>")


def test_nothing_of_a_page_runs_or_comes_from_elsewhere(hostile: TestClient) -> None:
    pages = [hostile.get(path) for path in (*PATHS, "/simulations/simulation-popular-x")]
    pages += [
        hostile.post("/", data={"user": HOSTILE, "words": HOSTILE}),
        hostile.post("/", data={"category": HOSTILE[:9], "beside": HOSTILE}),
    ]
    pages += [
        hostile.post("/", data={"basket": [HOSTILE, "sku-07"], "exclude": ["sku-01"]}),
        hostile.post("/", data={"basket": ["sku-07"]}),
    ]
    for response in pages:
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["cache-control"] == "no-store"
        page = Seen(response.text)
        assert not page.elements & {"script", "img", "iframe", "object", "embed", "style"}
        assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
        assert page.addresses
        assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in page.addresses), page.addresses
        assert "\u202e" not in page.text
    assert '<script>alert("1")</script>' in Seen(hostile.post("/", data={"basket": ["sku-07"]}).text).text


def test_any_id_has_a_page(hostile: TestClient) -> None:
    assert "is not in the catalogue" in seen(hostile.get("/items/"), 404)
    (address, *_) = [address for address in Seen(hostile.post("/", data={"words": ODD}).text).addresses if address.startswith("/items/a")]
    assert ODD in seen(hostile.get(address))


def test_a_report_with_plots_may_bring_styles_and_run_nothing(hostile: TestClient) -> None:
    for path in ("/evaluation/report", "/simulations/simulation-popular-x/report"):
        response = hostile.get(path)
        assert "<title>plots" in response.text
        assert {"default-src 'none'", "sandbox"} <= set(response.headers["content-security-policy"].split("; "))
    for path in ("/simulations/simulation-none", "/simulations/..%2f..%2ferased/report", "/simulations/evaluation/report"):
        assert hostile.get(path).status_code == 404


def test_the_list_is_that_of_the_service(asked: TestClient) -> None:
    form = {
        "user": "user-05",
        "category": "bakery",
        "max_price": "5",
        "in_stock": "true",
        "exclude": ["sku-11"],
        "diversity": "0.5",
        "choice": "all",
    }
    rules = {"category": "bakery", "max_price": 5, "in_stock": True, "exclude": ["sku-11"], "new_only": False}
    answer = asked.post("/v1/recommend", json={"user": "user-05", "rules": rules, "diversity": 0.5}).json()
    words = seen(asked.post("/", data=form | {"diversity": "0.5"}))
    place = -1
    for item in answer["items"]:
        shown = (
            f"{item['rank']} {item['title']} {100 * item['probability']:.1f}% chance {item['price']:.2f} {item['item_id']} {item['reason']}"
        )
        assert words.find(shown) > place
        place = words.find(shown)
    assert answer["bundle_id"] in words
    assert "History of user-05" in words


def test_what_each_stage_said(asked: TestClient) -> None:
    recommender = recommender_of(asked)
    for options in (RecommendOptions("user-05", k=8), RecommendOptions(history=("sku-01", "sku-12"), k=8, diversity=1.0)):
        told = look(recommender, options, None)
        (expected,) = recommender.answer(options, [options.user])
        assert [item.item_id for item in told.answer.items] == [item.item_id for item in expected.items]
        steps = [told.steps[item.item_id] for item in told.answer.items]
        assert told.candidates >= len({one.retrieved for one in steps}) == len(steps)
        assert max(one.retrieved for one in steps) <= told.candidates
        assert all(one.found_by for one in steps)
        assert len({one.before for one in steps}) == len({one.after for one in steps}) == len(steps)
        if options.diversity:
            assert max(one.after or 0 for one in steps) > 8
        else:
            assert [one.after for one in steps] == list(range(1, 9))
        assert told.way == ("personal" if options.user else "basket")


def test_the_places_of_sources_give_the_fused_scores(asked: TestClient) -> None:
    recommender = recommender_of(asked)
    snapshot = recommender.snapshot
    found = recommender.candidates(Histories.of_users(snapshot.log, np.arange(3), snapshot.now), 30)
    places = recommender.retriever.places(found.users, found.rows)
    fused = np.sum([np.where(place >= 0, 1 / (FUSION + 1 + place), 0) for place in places.values()], axis=0)
    assert len(places) > 5
    assert np.allclose(fused[found.valid], found.scores[found.valid], atol=1e-6)


def test_strangers_and_mistakes_are_told_in_a_line(asked: TestClient) -> None:
    assert UNKNOWN_VISITOR in seen(asked.get("/"))
    assert UNKNOWN_USER.format("nobody") in seen(asked.post("/", data={"user": " nobody "}))
    for form, said in (
        ({"user": "user-05", "max_price": "cheap"}, "the highest price is 'cheap', should be a valid number"),
        ({"diversity": "7"}, "diversity is '7', should be less than or equal to 1"),
        ({"category": "bakry"}, "did you mean 'bakery'?"),
        ({"basket": ["sku-07", "sku-99"]}, "item 'sku-99' is not in the catalogue"),
        ({"nonsense": "1"}, "unknown key 'nonsense'"),
    ):
        response = asked.post("/", data=form)
        words = seen(response, 422)
        assert said in words
        assert "chance" not in words  # a list beside an error would be taken for the one that was asked for
        assert all(f'value="{value}"' in response.text for name, value in form.items() if name in ("user", "category"))
    assert "is not the id of a bundle" in seen(asked.post("/", data={"beside": "nonsense"}))
    assert "item 'sku-99' is not in the catalogue" in seen(asked.get("/items/sku-99"), 404)
    assert "Nothing to recommend: no item passes the rules." in seen(asked.post("/", data={"user": "user-05", "max_price": "0"}))


def test_a_basket_by_search(asked: TestClient) -> None:
    found = asked.post("/", data={"words": "rye bread"})
    (best, *_) = recommender_of(asked).search("rye bread", 1).items
    assert f'name="add" value="{best.item_id}"' in found.text
    words = seen(asked.post("/", data={"words": "rye bread", "basket": ["sku-01"], "add": best.item_id}))
    assert "For this basket" in words
    assert "in the basket" in words
    by_id = seen(asked.post("/", data={"words": "sku-33"}))
    assert "sku-33" in by_id[by_id.index("Found for") :][:200]


def test_map_and_items(asked: TestClient) -> None:
    page = Seen(asked.get("/map").text)
    points = [address for address in page.addresses if address.startswith("/items/")]
    assert len(points) == len(set(points)) == 39  # two items share a text
    group = Seen(asked.get("/map?group=1").text)
    assert len([address for address in group.addresses if address.startswith("/items/")]) == 2 * 10  # points, and the list
    assert asked.get("/map?group=99").status_code == asked.get("/map?group=x").status_code == 200
    near = recommender_of(asked).similar("sku-07", 12)
    words = seen(asked.get("/items/sku-07"))
    assert all(f"{match.title} {match.score:.3f}" in words for match in near.items)


def test_two_bundles_side_by_side(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    old = recommender_of(client).bundle_id
    new = publish(spare, 7.5)
    wait_for(client, new)
    words = seen(client.post("/", data={"user": "user-01", "beside": old, "k": "3"}))
    here, there = words.index(f"Bundle {new}"), words.index(f"Bundle {old}")
    assert here < there
    assert words[here:there].count("7.50") == 3
    assert "7.50" not in words[there:]
    assert words.count("same place in the other list") == 6
    refreshes = seen(client.get("/refreshes"))
    assert refreshes.count("in use") == 1
    assert refreshes.index(new) < refreshes.index(old)


def test_reports(hostile: TestClient) -> None:
    evaluation = seen(hostile.get("/evaluation"))
    assert "98.1% of 40 answers score lower" in evaluation
    assert "aim: 95%, reached" in evaluation
    assert "recent popular 0.2500 [0.2000–0.3000]" in evaluation
    assert "50.0% 25.0% 12.5%" in evaluation
    assert "Another bundle is in use since" in evaluation
    assert "is better" in seen(hostile.get("/simulations"))
    assert "+0.1000 [+0.0500 to +0.1500]" in seen(hostile.get("/simulations/simulation-popular-x"))


def test_reports_that_are_missing_or_damaged(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    shutil.rmtree(spare.workspace.reports, ignore_errors=True)
    assert "recsys evaluate" in seen(client.get("/evaluation"))
    assert "recsys simulate" in seen(client.get("/simulations"))
    spare.workspace.reports.mkdir()
    for text in ("{", "[]", "{}"):
        for name in ("evaluation", "simulation-a-b"):
            (spare.workspace.reports / f"{name}.json").write_text(text)
        assert "evaluation.json is damaged" in seen(client.get("/evaluation"), 404)
        assert "simulation-a-b.json is damaged" in seen(client.get("/simulations"))


def test_gates_and_drift_of_a_refresh(spare: Place, serve: Serve) -> None:
    pl.read_csv(spare.log).with_columns(value=pl.col("value") * 3).write_csv(spare.log)
    refresh(spare.workspace, spare.settings)
    words = seen(serve(spare).get("/refreshes"))
    assert "max_items_lost 0.000 0.2 passed" in words
    assert "PSI" in words
    assert "Knows purchases until 2024-07" in words


def test_before_there_is_a_bundle(fresh, serve: Serve) -> None:
    client = serve(fresh())
    assert "run `recsys build-index`" in seen(client.get("/"), 503)
    assert "There are no bundles yet" in seen(client.get("/refreshes"))


def test_a_key_opens_the_pages(spare: Place, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    secret, other = add(spare, "looker", Scope.READ), add(spare, "writer", Scope.WRITE)
    client = serve(spare)
    with caplog.at_level(logging.DEBUG):
        for path in PATHS[:-1]:
            response = client.get(path, follow_redirects=False)
            assert (response.status_code, response.headers["location"]) == (303, "/login")
        assert client.post("/", data={"user": "user-01"}, follow_redirects=False).status_code == 303
        assert "the key is not known" in seen(client.post("/login", data={"key": secret[:-1]}), 401)
        assert "this needs read" in seen(client.post("/login", data={"key": other}), 403)
        answer = client.post("/login", data={"key": f" {secret} "}, follow_redirects=False)
        assert answer.headers["location"] == "/"
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert secret not in cookie
        assert "For user-01" in seen(client.post("/", data={"user": "user-01"}))
        client.get("/items/sku-07")
    told = caplog.text + "".join(str(vars(record)) for record in caplog.records if record.name.startswith("recsys"))
    assert "'key': 'looker'" in told
    for hidden in (secret, other, "user-01", cookie.split(";")[0]):
        assert hidden not in told
    assert client.post("/logout", follow_redirects=False).headers["set-cookie"].startswith(f'{COOKIE}=""')


def test_sessions_end_with_their_keys_and_cannot_be_made_up(spare: Place, serve: Serve) -> None:
    secret = add(spare, "looker", Scope.READ)
    client = serve(spare)
    client.post("/login", data={"key": secret})
    cookie = client.cookies[COOKIE]
    assert client.get("/refreshes").status_code == 200
    for forged in (cookie[:-1] + ("A" if cookie[-1] != "A" else "B"), "looker", ""):
        client.cookies.clear()
        client.cookies.set(COOKIE, forged)
        assert client.get("/refreshes", follow_redirects=False).status_code == 303
    path = spare.workspace.service / "keys.json"
    Keys.read(path).without("looker").write(path)
    add(spare, "looker", Scope.READ)
    client.cookies.clear()
    client.cookies.set(COOKIE, cookie)
    assert client.get("/refreshes", follow_redirects=False).status_code == 303


def test_pages_count_among_the_requests_of_a_key_and_of_a_worker(spare: Place, serve: Serve) -> None:
    add(spare, "looker", Scope.READ)
    secret = add(spare, "often", Scope.READ)
    client = serve(spare, rate_per_minute=3, max_body_kib=1)
    client.post("/login", data={"key": secret}, follow_redirects=False)
    assert [client.get("/refreshes").status_code for _ in range(3)] == [200, 200, 429]
    assert client.post("/", data={"user": "x" * 2_000}).status_code == 413


def test_looking_is_not_serving(ready: Place, serve: Serve) -> None:
    client = serve(ready)
    serving = inside(client).current.serving
    client.post("/", data={"user": "user-01"})
    assert not serving.shown
    assert not serving.latest
