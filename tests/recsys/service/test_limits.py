"""A ranker that is late, fails or returns nan costs a list its order alone; requests beyond the queue are refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from recsys.recommend.pipeline import RequestGroup
from recsys.recommend.request import RecommendOptions
from recsys.service.logs import JsonFormatter
from recsys.service.problems import UNEXPECTED
from retrieval.candidates import Candidates
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, pipeline_of, problem, recommender_of

ASK = {"user": "user-01", "k": 5}


def late(group: RequestGroup, candidates: Candidates) -> Candidates:
    time.sleep(0.6)
    return group.unranked(candidates)


def failing(_asked: RequestGroup, _found: Candidates) -> Candidates:
    raise ValueError("user-01 bought it")


def leaving(_asked: RequestGroup, _found: Candidates) -> Candidates:
    raise SystemExit(3)


def without_numbers(group: RequestGroup, candidates: Candidates) -> Candidates:
    plain = group.unranked(candidates)
    return Candidates(plain.users, plain.rows, np.full_like(plain.scores, np.nan), plain.features)


@pytest.fixture
def ranker(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Puts something in the place of the ranking, for requests that have a ranker; None brings the right one back."""
    right = RequestGroup.rank

    def put(work: Any) -> None:
        def rank(group: RequestGroup, candidates: Candidates) -> Candidates:
            return work(group, candidates) if work and group.ranks else right(group, candidates)

        monkeypatch.setattr(RequestGroup, "rank", rank)

    return put


@pytest.mark.parametrize("work", [late, failing, leaving, without_numbers])
def test_without_a_ranking_the_order_is_that_of_retrieval(ready: Place, serve: Serve, ranker, work) -> None:
    client = serve(ready, budget_ms=300.0)
    good = client.post("/v1/recommend", json=ASK).json()
    ranker(work)
    answer = client.post("/v1/recommend", json=ASK).json()
    assert answer["degraded"] is True
    assert good["degraded"] is False

    (_, group), *_ = RequestGroup.groups(recommender_of(client), RecommendOptions(k=ASK["k"]), ["user-01"])
    expected = group.present(group.unranked(group.retrieve()), degraded=True)[0]
    assert [item["item_id"] for item in answer["items"]] == [item.item_id for item in expected.items]
    assert all(item["probability"] is None for item in answer["items"])
    assert len(answer["items"]) == 5
    assert all(item["probability"] is not None for item in good["items"])


def test_a_ranker_that_keeps_failing_is_skipped_and_tried_again(
    ready: Place, serve: Serve, ranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, calls, seconds = serve(ready, breaker_failures=3, breaker_seconds=5.0), [], 0.0
    monkeypatch.setattr(pipeline_of(client)._breaker, "_clock", lambda: seconds)

    def counted(group: RequestGroup, candidates: Candidates) -> Candidates:
        calls.append(1)
        return failing(group, candidates)

    ranker(counted)
    assert all(client.post("/v1/recommend", json=ASK).json()["degraded"] for _ in range(8))
    assert len(calls) == 3
    ranker(None)
    assert client.post("/v1/recommend", json=ASK).json()["degraded"] is True
    seconds = 5.0
    assert client.post("/v1/recommend", json=ASK).json()["degraded"] is False
    assert client.post("/v1/recommend", json=ASK).json()["degraded"] is False


def test_the_message_of_a_failure_is_not_revealed(ready: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    client = serve(ready)
    monkeypatch.setattr(RequestGroup, "retrieve", lambda _asked: failing(_asked, None))  # pyright: ignore[reportArgumentType]
    said = problem(client.post("/v1/recommend", json=ASK), 500)
    assert said == UNEXPECTED
    assert client.get("/healthz").status_code == 200
    (record,) = [record for record in caplog.records if record.message == "unexpected error"]
    line = JsonFormatter().format(record)
    assert '"error": "ValueError"' in line
    assert "test_limits.py" in line
    assert "user-01" not in line


def test_requests_beyond_the_queue_are_refused_at_once(ready: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client, held, begun, right = serve(ready, queue=2, threads=2), threading.Event(), threading.Semaphore(0), RequestGroup.rank

    def waiting(group: RequestGroup, candidates: Candidates) -> Candidates:
        begun.release()
        held.wait(20)
        return right(group, candidates)

    monkeypatch.setattr(RequestGroup, "rank", waiting)
    turned_away = REGISTRY.get_sample_value("recsys_rejected_total", {"reason": "429"}) or 0
    with ThreadPoolExecutor(2) as pool:
        inside = [pool.submit(client.post, "/v1/recommend", json=ASK) for _ in range(2)]
        assert all(begun.acquire(timeout=20) for _ in inside)
        response = client.post("/v1/recommend", json=ASK)
        assert "the queue is full" in problem(response, 429)
        assert response.headers["retry-after"] == "1"
        assert REGISTRY.get_sample_value("recsys_rejected_total", {"reason": "429"}) == turned_away + 1
        assert REGISTRY.get_sample_value("recsys_request_seconds_count", {"route": "none", "status": "429"})
        assert client.get("/healthz").status_code == client.get("/metrics").status_code == 200
        held.set()
        assert [future.result().status_code for future in inside] == [200, 200]
    assert client.post("/v1/recommend", json=ASK).status_code == 200
