"""The routes of the search: its answers, its bad input, and that it goes through the same stages, budget and breaker as lists."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from recsys.apps.search.answers import Suggestion
from recsys.apps.search.pipeline import Search, SearchGroup
from recsys.apps.search.request import MAX_LENGTH, SearchOptions
from recsys.service.logs import JsonFormatter
from recsys.service.search.schemas import SearchBody
from retrieval.candidates import Candidates
from tests.recsys.conftest import FOUND, Place
from tests.recsys.service.conftest import Serve, inside, pipeline_of, problem

ABOUT = {"bundle_id", "degraded", "stages"}


def search_of(client: TestClient) -> Search:
    return inside(client).bundles.live.search


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({"text": "rye bread"}, SearchOptions()),
        ({"text": "rye bread", "k": 4}, SearchOptions(k=4)),
        (
            {"text": "tea", "user": "user-05", "category": "drinks", "max_price": 5, "in_stock": True},
            SearchOptions(category="drinks", max_price=5, in_stock=True),
        ),
        (
            {"text": "tea", "min_price": 2, "exclude": ["sku-01"], "max_per_group": 2},
            SearchOptions(min_price=2, exclude=("sku-01",), max_per_group=2),
        ),
        ({"text": "bread", "brand": "acme", "explain": True}, SearchOptions(brand="acme", explain=True)),
        (
            {"text": "tea under 3 dollars", "ignore": ["max_price:3"], "verbatim": True},
            SearchOptions(ignore=("max_price:3",), verbatim=True),
        ),
        ({"text": "tea", "user": "nobody"}, SearchOptions()),
    ],
)
def test_it_answers_as_the_search_does(shared: TestClient, body: dict[str, Any], options: SearchOptions) -> None:
    assert SearchBody.model_validate(body).options == options
    response = shared.post("/v1/search", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    (expected,) = search_of(shared).answer(options, [(body["text"], body.get("user"))])
    assert {name: answer[name] for name in answer if name not in ABOUT - {"bundle_id"}} == json.loads(json.dumps(expected.to_dict()))
    assert answer["degraded"] is False
    assert {"waiting", "retrieval", "telling"} <= answer["stages"].keys()


def test_how_the_query_was_read_is_told(shared: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        SearchGroup, "present", lambda group, best, degraded=False: [replace(FOUND, query=group.queries[0][0], user_id=group.queries[0][1])]
    )
    answer = shared.post("/v1/search", json={"text": "gren tea", "user": "user-01"}).json()
    assert (answer["query"], answer["user_id"], answer["read_as"]) == ("gren tea", "user-01", "green tea")
    assert answer["corrections"] == [{"typed": "gren", "read": "green"}]
    assert [one["relaxed"] for one in answer["filters"]] == [False, True]
    assert answer["facets"]["category"][0] == {"value": "tea", "count": 12}
    assert answer["items"][0]["contributions"] == {"bm25": 1.5, "popular": -0.25}
    assert answer["did_you_mean"] == "green teas"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "text is missing"),
        ({"text": ""}, "text is ''"),
        ({"text": " "}, "text is ' ', should match pattern"),
        ({"text": "x" * (MAX_LENGTH + 1)}, "should have at most 1000 characters"),
        ({"text": "x" * 10_000}, "should have at most 1000 characters"),
        ({"text": ["tea"]}, "text is a list of 1"),
        ({"text": "tea", "k": 0}, "k is 0"),
        ({"text": "tea", "k": 1_000}, "k is 1000, expected 1 to 100"),
        ({"text": "tea", "max_price": -1}, "max_price is -1"),
        ({"text": "tea", "min_price": 5, "max_price": 1}, "min_price"),
        ({"text": "tea", "category": "cars"}, "cars"),
        ({"text": "tea", "brand": "nobrand"}, "nobrand"),
        ({"text": "tea", "praised": "quality"}, "there are no reviews"),
        ({"text": "tea", "exclude": ["sku-99"]}, "sku-99"),
        ({"text": "tea", "ignore": [""]}, "ignore.0 is ''"),
        ({"text": "tea", "query": "tea"}, "unknown key 'query'"),
    ],
)
def test_bad_bodies_are_refused_in_one_line(shared: TestClient, body: Any, detail: str) -> None:
    assert detail in problem(shared.post("/v1/search", json=body), 422)


STRANGE = (
    *("🍓🍓", "the of and", "\x00\x01\x1b[31m", "\u202e", "title:(", "*", "AND", "NOT (", "^~2", "[a TO b]"),
    *("'; DROP TABLE items; --", "<script>alert(1)</script>", "{{ 7 * 7 }}", "../../etc/passwd", "x" * MAX_LENGTH),
)


@pytest.mark.parametrize("text", STRANGE)
def test_any_words_are_answered(shared: TestClient, text: str) -> None:
    answer = shared.post("/v1/search", json={"text": text, "k": 3}).json()
    assert answer["query"] == text
    assert len(answer["items"]) <= 3
    assert shared.post("/v1/suggest", json={"prefix": text[:200]}).status_code == 200


def test_suggestions(shared: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def suggest(_search: Search, prefix: str, n: int = 8) -> list[Suggestion]:
        asked.append((prefix, n))
        return [Suggestion("teas", "category"), Suggestion("green tea large", "item", "sku-07")]

    monkeypatch.setattr(Search, "suggest", suggest)
    expected = [
        {"text": "teas", "kind": "category", "item_id": None},
        {"text": "green tea large", "kind": "item", "item_id": "sku-07"},
    ]
    for response in (
        shared.post("/v1/suggest", json={"prefix": "gre", "n": 5}),
        shared.get("/v1/suggest", params={"prefix": "gre", "n": "5"}),
    ):
        assert response.json()["suggestions"] == expected
        assert response.json().keys() >= ABOUT
    assert shared.get("/v1/suggest?prefix=").json()["suggestions"] == expected
    assert asked == [("gre", 5), ("gre", 5), ("", 8)]
    for wrong in ({"prefix": "gre", "n": 0}, {"prefix": "gre", "n": 21}, {"prefix": "x" * 201}, {"n": 3}, {"prefix": "gre", "m": 3}):
        problem(shared.post("/v1/suggest", json=wrong), 422)
        problem(shared.get("/v1/suggest", params={name: str(value) for name, value in wrong.items()}), 422)


def test_what_the_user_just_did_is_handed_to_the_search(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client, right, seen = serve(spare), SearchGroup.retrieve, []

    def retrieve(group: SearchGroup) -> Candidates:
        seen.append(group.histories.item.tolist())
        return right(group)

    monkeypatch.setattr(SearchGroup, "retrieve", retrieve)
    client.post("/v1/search", json={"text": "tea", "user": "new"})
    client.post("/v1/events", json={"events": [{"user": "new", "item": "sku-07"}]})
    client.post("/v1/search", json={"text": "tea", "user": "new"})
    client.post("/v1/search", json={"text": "tea"})
    assert seen == [[], [7], []]


def late(group: SearchGroup, candidates: Candidates) -> Candidates:
    time.sleep(0.6)
    return group.unranked(candidates)


def failing(_group: SearchGroup, _candidates: Candidates) -> Candidates:
    raise ValueError("user-01 searched for it")


@pytest.fixture
def ranker(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Puts something in the place of the ranking, which the search then has in any case."""

    def put(work: Any) -> None:
        monkeypatch.setattr(SearchGroup, "ranks", property(lambda _group: True))
        monkeypatch.setattr(SearchGroup, "rank", work)

    return put


@pytest.mark.parametrize("work", [late, failing])
def test_without_a_ranking_the_order_is_that_of_retrieval(ready: Place, serve: Serve, ranker: Any, work: Any) -> None:
    client = serve(ready, budget_ms=300.0)
    ranker(work)
    answer = client.post("/v1/search", json={"text": "rye bread", "k": 5}).json()
    assert answer["degraded"] is True
    group = SearchGroup.of(search_of(client), SearchOptions(k=5), [("rye bread", None)])
    (expected,) = group.present(group.unranked(group.retrieve()), degraded=True)
    assert [item["item_id"] for item in answer["items"]] == [item.item_id for item in expected.items]
    assert answer["items"]


def test_a_ranker_that_keeps_failing_is_skipped(ready: Place, serve: Serve, ranker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client, calls = serve(ready, breaker_failures=2, breaker_seconds=5.0), []
    monkeypatch.setattr(pipeline_of(client)._breaker, "_clock", lambda: 0.0)

    def counted(group: SearchGroup, candidates: Candidates) -> Candidates:
        calls.append(1)
        return failing(group, candidates)

    ranker(counted)
    assert all(client.post("/v1/search", json={"text": "tea"}).json()["degraded"] for _ in range(5))
    assert len(calls) == 2


@pytest.mark.parametrize("logged", [False, True])
def test_words_are_logged_only_where_it_is_configured(ready: Place, serve: Serve, caplog: pytest.LogCaptureFixture, logged: bool) -> None:
    with caplog.at_level(logging.DEBUG, "recsys"):
        client = serve(ready, log_queries=logged)
        caplog.clear()
        client.post("/v1/search", json={"text": "gift for Anna", "user": "user-01"})
        client.get("/v1/suggest", params={"prefix": "gift for Anna"})
        client.post("/search", data={"words": "gift for Anna"})
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert [line["query"] for line in lines if "query" in line] == (["gift for Anna"] if logged else [])
    assert ("Anna" in json.dumps(lines)) is logged
    assert "user-01" not in json.dumps(lines)


def test_metrics_tell_what_became_of_searches(spare: Place, serve: Serve) -> None:
    client = serve(spare)

    def value(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    before = value("recsys_searches_total"), value('recsys_search_findings_total{kind="reformulated"}')
    for text in ("ot milk", "oat milk"):
        client.post("/v1/search", json={"text": text, "user": "user-01"})
    client.post("/v1/events", json={"events": [{"user": "user-01", "item": "sku-07"}]})
    client.post("/v1/search", json={"text": "tea", "user": "user-01"})
    client.post("/v1/search", json={"text": " "})
    after = value("recsys_searches_total"), value('recsys_search_findings_total{kind="reformulated"}')
    assert (after[0] - before[0], after[1] - before[1]) == (3, 1)
