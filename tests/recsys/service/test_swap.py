"""A new bundle takes over without a request noticing; a damaged one never does."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from recsys.artifacts.bundle import CURRENT, current_id
from recsys.artifacts.model import ServedModel
from recsys.recommend.pipeline import RequestGroup
from recsys.refresh import build
from recsys.service import live_bundle
from recsys.service.live_bundle import LiveBundle
from recsys.workspace.workspace import Workspace
from retrieval.candidates import Candidates
from retrieval.query_tower.onnx_model import QueryEncoder
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, inside, recommender_of
from tests.recsys.service.test_events import wait_for


def publish(place: Place, price: float) -> str:
    """The same shop with another price for everything."""
    pl.read_csv(place.items).with_columns(price=pl.lit(price)).write_csv(place.items)
    place.ingest()
    build.build_index(place.workspace, place.settings)
    return current_id(place.workspace.bundles)


def ask(client: TestClient) -> tuple[str, float]:
    answer = client.post("/v1/recommend", json={"user": "user-01", "k": 1}).json()
    return answer["bundle_id"], answer["items"][0]["price"]


def test_a_new_bundle_takes_over_while_requests_are_answered(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    old, stop, seen = ask(client), threading.Event(), []

    def asking() -> None:
        while not stop.is_set():
            seen.append(ask(client))

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(asking) for _ in range(2)]
        new = publish(spare, 7.5)
        wait_for(client, new)
        stop.set()
        for future in futures:
            future.result()
    assert {*seen, ask(client)} == {old, (new, 7.5)}


def test_a_request_ends_with_the_bundle_it_began_with(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client, right = serve(spare), RequestGroup.rank
    old, begun, go_on = ask(client), threading.Event(), threading.Event()

    def slowly(group: RequestGroup, candidates: Candidates) -> Candidates:
        if group.recommender.bundle_id == old[0] and threading.current_thread().name.startswith("rank"):
            begun.set()
            go_on.wait(60)
        return right(group, candidates)

    monkeypatch.setattr(RequestGroup, "rank", slowly)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.post, "/v1/recommend", json={"user": "user-01", "k": 1})
        assert begun.wait(20)
        new = publish(spare, 7.5)
        wait_for(client, new)
        shutil.rmtree(spare.workspace.bundles / old[0])
        go_on.set()
        assert held.result().json()["bundle_id"] == old[0]
    assert ask(client) == (new, 7.5)


def test_a_damaged_bundle_is_refused_and_the_old_one_serves(spare: Place, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    client = serve(spare)
    old = ask(client)
    thread = inside(client).bundles
    thread.stop()  # the damage must be there before anybody looks
    new = publish(spare, 7.5)
    path = spare.workspace.bundles / new / "snapshot/stats/item_stats.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for _ in range(3):
        thread.check()
    assert ask(client) == old
    assert caplog.text.count("a bundle is refused") == 1
    path.write_bytes(content)
    thread._refused = (new, time.monotonic())
    thread.check()
    assert ask(client) == (new, 7.5)


def test_a_stale_current_and_the_newest_whole_one(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    old = ask(client)
    (spare.workspace.bundles / CURRENT).write_text("nonsense\n")
    inside(client).bundles.check()
    assert ask(client) == old
    assert ask(serve(spare)) == old  # one that starts now finds it by itself


def test_what_was_refused_at_the_start_is_looked_at_again(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    old = current_id(spare.workspace.bundles)
    new = publish(spare, 7.5)
    right = LiveBundle.open

    def short_of_memory(workspace: Workspace, bundle_id: str, *more: Any) -> LiveBundle:
        if bundle_id == new:
            raise MemoryError
        return right(workspace, bundle_id, *more)

    monkeypatch.setattr(live_bundle, "RETRY_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(LiveBundle, "open", short_of_memory)
        client = serve(spare)
        assert ask(client)[0] == old
    wait_for(client, new)


def test_a_bundle_whose_folder_is_gone_still_answers_everything(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    shutil.rmtree(spare.workspace.bundles)
    for path, body in (
        ("recommend", {"user": "user-08"}),
        ("recommend", {"history": ["sku-30", "sku-02"], "k": 40}),
        ("recommend", {"rules": {"unsold": True}}),
        ("similar", {"item": "sku-39"}),
        ("search", {"text": "a word"}),
    ):
        assert client.post(f"/v1/{path}", json=body).status_code == 200, (path, body)


def query_of(client: TestClient) -> QueryEncoder:
    model = recommender_of(client).model
    assert isinstance(model, ServedModel)
    return model.query


def test_the_encoder_of_the_same_model_is_not_read_twice(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    encoder = query_of(client)
    wait_for(client, publish(spare, 7.5))
    assert query_of(client) is encoder


def test_before_there_is_a_bundle(fresh, serve: Serve) -> None:
    place = fresh()
    client = serve(place)
    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert response.status_code == client.post("/v1/recommend", json={}).status_code == 503
    assert response.headers["retry-after"]
    place.ingest()
    build.build_index(place.workspace, place.settings)
    wait_ready(client)
    answer = client.post("/v1/recommend", json={"user": "user-01"}).json()
    assert answer["degraded"] is False
    assert answer["fallback"].startswith("no model has been trained")


def wait_ready(client: TestClient) -> None:
    until = time.monotonic() + 60
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.05)
