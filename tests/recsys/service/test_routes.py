"""What each route answers, and how it refuses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from recsys.recommend.present import UNKNOWN_USER, UNKNOWN_VISITOR
from recsys.recommend.request import RecommendOptions
from tests.recsys.service.conftest import inside, problem, recommender_of

# These change the shop, or are about a page that was served.
NOT_TRIED = ("/v1/events", "/v1/items", "/v1/actions", "/v1/page/turn")
ABOUT = {"bundle_id", "degraded", "stages"}


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({"user": "user-01"}, RecommendOptions()),
        ({"user": "user-02", "history": ["sku-31"], "k": 3}, RecommendOptions(("sku-31",), 3)),
        ({"history": ["sku-01", "sku-12"], "diversity": 0.5}, RecommendOptions(("sku-01", "sku-12"), diversity=0.5)),
        (
            {"user": "user-05", "rules": {"category": "bakery", "max_price": 5, "in_stock": True, "exclude": ["sku-11"]}},
            RecommendOptions(category="bakery", max_price=5, in_stock=True, exclude=("sku-11",)),
        ),
        ({"user": "user-07", "rules": {"new_only": True}, "explain": True}, RecommendOptions(new_only=True, explain=True)),
        ({"user": "user-07", "rules": {"unsold": True}}, RecommendOptions(unsold=True)),
        ({"user": "user-07", "rules": {"debuts": True}}, RecommendOptions(unsold=True)),
        ({"user": "nobody"}, RecommendOptions()),
        ({}, RecommendOptions()),
    ],
)
def test_recommend_answers_as_the_recommender_does(shared: TestClient, body: dict[str, Any], options: RecommendOptions) -> None:
    response = shared.post("/v1/recommend", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    (expected,) = recommender_of(shared).answer(options, [body.get("user")])
    assert {name: answer[name] for name in answer if name not in ABOUT - {"bundle_id"}} == json.loads(json.dumps(expected.to_dict()))
    assert answer["degraded"] is False
    assert {"waiting", "retrieval", "telling"} <= answer["stages"].keys()
    assert all(taken >= 0 for taken in answer["stages"].values())


def test_the_former_name_of_unsold_is_documented_as_deprecated(shared: TestClient) -> None:
    rules = shared.get("/openapi.json").json()["components"]["schemas"]["RulesBody"]["properties"]
    assert rules["debuts"]["deprecated"] is True
    assert "unsold" in rules["debuts"]["description"]
    assert "deprecated" not in rules["unsold"]
    assert "rules.debuts is 'x'" in problem(shared.post("/v1/recommend", json={"rules": {"debuts": "x"}}), 422)
    assert "'rules.debuts'" in problem(shared.post("/v1/recommend", json={"rules": {"debuts": True, "unsold": True}}), 422)


def test_the_fallback_says_that_the_user_is_unknown(shared: TestClient) -> None:
    assert shared.post("/v1/recommend", json={"user": "nobody"}).json()["fallback"] == UNKNOWN_USER.format("nobody")
    assert shared.post("/v1/recommend", json={}).json()["fallback"] == UNKNOWN_VISITOR


def test_similar(shared: TestClient) -> None:
    expected = recommender_of(shared).similar("sku-07", 4)
    answer = shared.post("/v1/similar", json={"item": "sku-07", "k": 4}).json()
    assert answer.keys() >= ABOUT
    assert [(item["item_id"], item["rank"]) for item in answer["items"]] == [(item.item_id, item.rank) for item in expected.items]
    assert np.allclose([item["score"] for item in answer["items"]], [item.score for item in expected.items], atol=1e-6)


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("recommend", {"k": 0}, "k is 0, should be greater than or equal to 1"),
        ("recommend", {"k": 101}, "k is 101, expected 1 to 100"),
        ("recommend", {"usr": "1"}, "unknown key 'usr': see /openapi.json"),
        ("recommend", {"user": 7}, "user is 7, should be a valid string"),
        ("recommend", {"diversity": 2}, "diversity is 2, should be less than or equal to 1"),
        ("recommend", {"rules": {"max_price": -1}}, "rules.max_price is -1, should be greater than or equal to 0"),
        ("recommend", {"rules": {"category": "cars"}}, "cars"),
        ("recommend", {"history": ["sku-99"]}, "sku-99"),
        ("recommend", {"rules": {"exclude": ["sku-99"]}}, "sku-99"),
        ("recommend", {"user": "", "k": "x"}, "(and 1 more)"),
        ("recommend", [1], "the body"),
        ("similar", {}, "item is missing"),
        ("similar", {"item": "sku-99"}, "sku-99"),
        ("events", {"events": []}, "events is a list of 0, should have at least 1 item"),
        ("events", {"events": [{"user": "u", "item": "i", "event": "theft"}]}, "events.0.event is 'theft'"),
    ],
)
def test_bad_bodies_are_refused_in_one_line(shared: TestClient, path: str, body: Any, detail: str) -> None:
    assert detail in problem(shared.post(f"/v1/{path}", json=body), 422)


@pytest.mark.parametrize(
    "time", [0, 20251115, "20251115", 45976, "45976", 202511151230, "1970-01-01", "2999-01-01", "15/11/2025", True, 10**30]
)
def test_what_is_no_time_for_sure_is_refused(time: Any, shared: TestClient) -> None:
    body = {"events": [{"user": "u", "item": "i", "timestamp": time}]}
    assert f"events.0.timestamp is {time!r}, expected a time from 1971 until now" in problem(shared.post("/v1/events", json=body), 422)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"{", "the body is not valid JSON"),
        (b"", "a JSON body is missing"),
        (b"\xff\xfe", "the body"),
        (b'{"user": "\\ud800"}', "user is"),
        (b'{"rules": {"max_price": 1e400}}', "rules.max_price is"),
        (b'{"diversity": NaN}', "diversity is"),
    ],
)
def test_what_is_no_json_is_refused_in_one_line(shared: TestClient, content: bytes, detail: str) -> None:
    response = shared.post("/v1/recommend", content=content, headers={"content-type": "application/json"})
    assert detail in problem(response, 422)


def test_paths_and_hosts_that_are_not_ours(shared: TestClient) -> None:
    assert shared.get("/v1/recommend").status_code == 405
    assert shared.get("/docs").status_code == 404
    assert shared.get("/healthz", headers={"host": "shop.example"}).status_code == 400


def test_health(shared: TestClient) -> None:
    assert shared.get("/healthz").json() == {"status": "ok"}
    assert shared.get("/readyz").json() == {"status": "ready", "bundle_id": recommender_of(shared).bundle_id}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/"])
def test_the_head_of_what_can_be_read(shared: TestClient, path: str) -> None:
    head, whole = shared.head(path), shared.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert shared.head("/v1/recommend").status_code == 405


def test_metrics_tell_what_happened(shared: TestClient) -> None:
    def value(name: str) -> float:
        lines = shared.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    shared.post("/v1/recommend", json={"user": "user-01"})
    before = {name: value(name) for name in METRICS}
    shared.post("/v1/recommend", json={"user": "user-01"})
    shared.post("/v1/recommend", json={"user": "nobody"})
    shared.post("/v1/recommend", json={"user": "user-01", "k": 0})
    assert {name: value(name) - before[name] for name in METRICS} == METRICS
    live = inside(shared).bundles.live
    assert value("recsys_list_coverage") == pytest.approx(len(live.shown) / 40)
    assert 0 < value("recsys_bundle_age_seconds") < 3_600
    assert value("recsys_score_drift") == 0


METRICS = {
    'recsys_request_seconds_count{route="/v1/recommend",status="200"}': 2,
    'recsys_request_seconds_count{route="/v1/recommend",status="422"}': 1,
    'recsys_stage_seconds_count{stage="retrieval"}': 2,
    'recsys_stage_seconds_count{stage="ranking"}': 1,
    'recsys_fallback_total{kind="unknown"}': 1,
}


def test_drift_is_reported_once_there_are_enough_lists(shared: TestClient) -> None:
    live = inside(shared).bundles.live
    live.note([], [0.0001] * 500)
    assert live.drift > 0.25
    live.note([], np.resize(live.usual, 2_000).tolist())
    assert live.drift < 0.01


def test_every_example_of_the_documentation_works(shared: TestClient) -> None:
    document = shared.get("/openapi.json").json()
    asked = document["components"]["schemas"]["AssistantBody"]["examples"][1]  # its conversation has a user
    tried = 0
    for path, operations in document["paths"].items():
        for about in operations.values():
            schema = about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if schema is None or path in NOT_TRIED:
                continue
            for example in document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]["examples"]:
                if path == "/v1/assistant/hand-back":  # of a conversation that waits for a person
                    shared.post("/v1/assistant", json={**asked, **example, "text": "I want a human"})
                assert shared.post(path, json=example).status_code == 200, (path, example)
                tried += 1
    assert tried >= 4
