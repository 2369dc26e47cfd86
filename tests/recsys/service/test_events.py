"""Events: on disk before the answer, in the next list, in the log from the next build on, and gone when erased."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from recsys.privacy.erasure import Erased, erase
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.refresh.refresh import refresh
from recsys.service import routes
from recsys.service.container import Service
from recsys.workspace.events import Event, EventStore
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, inside, problem, recommender_of, taken_over


def send(client: TestClient, *events: dict[str, Any]) -> Any:
    return client.post("/v1/events", json={"events": list(events)})


def as_after_a_power_cut(place: Place, folder: Path) -> EventStore:
    """The store's files as they lie on the disk at this moment, opened by somebody else."""
    shutil.copytree(place.workspace.service, folder)
    return EventStore(folder / "events.sqlite")


def test_it_is_stored_before_the_answer_and_once(spare: Place, serve: Serve, tmp_path: Path) -> None:
    client = serve(spare)
    event = {"user": "new", "item": "sku-07", "timestamp": "2024-07-10T12:00:00Z", "quantity": 2, "value": 6.5}
    response = send(client, event, event | {"item": "sku-99"})
    assert response.status_code == 202
    answer = response.json()
    assert (answer["accepted"], answer["new"], answer["unknown_items"]) == (2, 2, ["sku-99"])
    rows = as_after_a_power_cut(spare, tmp_path / "then").of_user("new")
    assert rows == [Event("new", item, "purchase", 1_720_612_800, 2.0, 6.5) for item in ("sku-07", "sku-99")]
    assert send(client, event).json()["new"] == 0
    assert send(client, event | {"event": "view"}).json()["new"] == 1


@pytest.mark.parametrize("time", [1_720_612_800, "1720612800", 1_720_612_800_000, 1_720_612_800_000_000, "2024-07-10 14:00:00+02:00"])
def test_a_time_is_read_as_in_a_file(time: int | str, place: Place, client: TestClient) -> None:
    user = f"at {time}"
    assert send(client, {"user": user, "item": "sku-07", "timestamp": time}).status_code == 202
    assert place.workspace.events.of_user(user) == [Event(user, "sku-07", "purchase", 1_720_612_800)]


def test_all_of_them_or_none(place: Place, client: TestClient) -> None:
    good, bad = {"user": "none", "item": "sku-07"}, {"user": "none", "item": "sku-08", "timestamp": "1969-01-01"}
    problem(send(client, good, bad), 422)
    assert place.workspace.events.of_user("none") == []


def test_the_next_answer_knows_it(spare: Place, serve: Serve) -> None:
    client, ask = serve(spare), {"user": "new", "k": 5}
    assert client.post("/v1/recommend", json=ask).json()["fallback"]
    send(client, {"user": "new", "item": "sku-12"})
    answer = client.post("/v1/recommend", json=ask).json()
    assert answer["fallback"] is None
    same = client.post("/v1/recommend", json={"history": ["sku-12"], "k": 5}).json()
    assert {item["item_id"] for item in answer["items"]} & {item["item_id"] for item in same["items"]}

    def chance() -> dict[str, float]:
        answer = client.post("/v1/recommend", json={"user": "user-01", "k": 40, "explain": True}).json()
        return next(item["contributions"] for item in answer["items"] if item["item_id"] == "sku-35")

    before = chance()
    assert chance() == before
    send(client, {"user": "user-01", "item": "sku-35"})
    assert chance() != before


@pytest.mark.parametrize("user", ["user-03", "new"])
def test_the_service_takes_a_thumb_down_at_once(spare: Place, serve: Serve, user: str) -> None:
    client, ask = serve(spare), {"user": user, "k": 40}
    best = client.post("/v1/recommend", json=ask).json()["items"][0]["item_id"]
    response = client.post("/v1/events", json={"events": [{"user": user, "item": best, "event": "dislike"}]})
    assert response.status_code == 202
    for rules in ({}, {"new_only": False}, {"unsold": True}):
        answer = client.post("/v1/recommend", json=ask | {"rules": rules}).json()
        assert best not in [item["item_id"] for item in answer["items"]]
    assert (client.post("/v1/recommend", json=ask).json()["fallback"] is None) == (user == "user-03"), "it tells nothing of a taste"
    refresh(spare.workspace, spare.settings)
    (after,) = open.open_recommender(spare.workspace).answer(RecommendOptions(k=40), [user])
    assert best not in [item.item_id for item in after.items]


def test_the_next_build_counts_it_and_the_answer_stays(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    send(client, *({"user": "new", "item": item, "timestamp": "2024-07-18T10:00:00"} for item in ("sku-12", "sku-17")))
    build.build_index(spare.workspace, spare.settings)
    recommender = open.open_recommender(spare.workspace)
    log, catalog = recommender.snapshot.log, recommender.snapshot.catalog
    assert sorted(catalog.ids[log.item[log.user == log.user_rows(["new"])[0]]]) == ["sku-12", "sku-17"]
    client = taken_over(serve, spare)
    (expected,) = recommender.answer(RecommendOptions(), ["new"])
    answer = client.post("/v1/recommend", json={"user": "new"}).json()
    assert [item["item_id"] for item in answer["items"]] == [item.item_id for item in expected.items]


def test_an_erased_user_is_gone_and_stays_away(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client, counted = serve(spare), []

    def counting(*words: Any, **named: Any) -> Erased:
        counted.append(len(inside(client).long_tasks))
        return erase(*words, **named)

    monkeypatch.setattr("recsys.privacy.erasure.erase", counting)
    send(client, {"user": "user-03", "item": "sku-07"}, {"user": "user-04", "item": "sku-07"})
    answer = client.delete("/v1/users/user-03").json()
    assert counted == [1], "the process is not ended meanwhile"
    assert not inside(client).long_tasks
    assert answer["events"] == 1
    assert answer["rows"] > 10
    assert answer["bundles"] == 1
    assert [event.user_id for event in spare.workspace.events.of_user("user-04")] == ["user-04"]
    stored = b"".join(path.read_bytes() for path in spare.workspace.service.iterdir())
    assert b"user-03" not in stored
    assert b"user-04" in stored
    assert "has been erased" in problem(send(client, {"user": "user-03", "item": "sku-07"}, {"user": "user-05", "item": "sku-07"}), 409)
    assert spare.workspace.events.of_user("user-05") == []
    client = taken_over(serve, spare)
    assert client.post("/v1/recommend", json={"user": "user-03"}).json()["fallback"]


def test_an_erasure_that_comes_in_between_takes_the_events_along(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client, add = serve(spare), EventStore.add

    def slowly(store: EventStore, events: list[Event]) -> int:
        erase(spare.workspace, "user-03")
        return add(store, events)

    monkeypatch.setattr(EventStore, "add", slowly)
    problem(send(client, {"user": "user-03", "item": "sku-07"}), 409)
    assert spare.workspace.events.of_user("user-03") == []


def test_an_erasure_does_not_wait_for_a_refresh_in_the_queue(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(spare)
    monkeypatch.setattr(routes, "ERASE_SECONDS", 0.1)
    with spare.workspace.alone():
        assert "at work" in problem(client.delete("/v1/users/user-03"), 503)
    assert client.delete("/v1/users/user-03").json()["rows"] > 0


def test_the_command_erases_events_too(spare: Place, serve: Serve, command) -> None:
    send(serve(spare), {"user": "only-here", "item": "sku-07"})
    assert "1 events" in command("erase", "--user", "only-here", workspace=spare.workspace.root).out
    assert spare.workspace.events.of_user("only-here") == []


def test_a_store_that_cannot_be_written_is_reported_and_lists_go_on(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(spare)
    spare.workspace.service.mkdir(exist_ok=True)
    (spare.workspace.service / "events.sqlite").write_bytes(b"no database, but long enough to look like one" * 100)
    response = send(client, {"user": "new", "item": "sku-07"})
    assert "cannot be read or written" in problem(response, 503)
    assert response.headers["retry-after"]
    monkeypatch.setattr(Service, "erased", lambda *_: [])
    assert client.post("/v1/recommend", json={"history": ["sku-07"]}).status_code == 200


def test_ids_are_spelt_like_those_of_the_sources(place: Place, client: TestClient) -> None:
    for number, user in enumerate((" zoe\u0301 ", "zoé", "\ufeffzoé", '"zoé"')):
        response = send(client, {"user": user, "item": "sku-07\u200b", "timestamp": 1_720_612_800 + number})
        assert response.json()["unknown_items"] == []
    assert [event.item_id for event in place.workspace.events.of_user("zoé")] == ["sku-07"] * 4
    assert client.post("/v1/recommend", json={"user": "zoe\u0301"}).json()["user_id"] == "zoé"


@pytest.mark.parametrize("item", ["sku-07", '="sku-07"', " sku-07 "])
def test_an_event_counts_for_the_user_that_the_log_spells_otherwise(item: str, spare: Place, serve: Serve) -> None:
    client = serve(spare)
    snapshot = recommender_of(client).snapshot
    ids = snapshot.log.user_ids.copy()
    ids[0] = "5001"
    object.__setattr__(snapshot.log, "user_ids", ids)
    assert send(client, {"user": "5001.0", "item": item, "timestamp": 1_720_612_800}).json()["unknown_items"] == []
    assert [event.item_id for event in spare.workspace.events.of_user("5001")] == ["sku-07"]


@pytest.mark.parametrize("user", ["undefined", "null", "(not set)", "NA", "[object Object]"])
def test_an_event_of_nobody_is_refused(user: str, shared: TestClient) -> None:
    said = problem(send(shared, {"user": user, "item": "sku-07"}), 422)
    assert said == f"events.0.user is {user!r}, which stands for no user: leave out events without one"


def test_guests_are_visitors_of_their_own(spare: Place, serve: Serve) -> None:
    source = spare.settings.source | {"guests": ["0"]}
    client = serve(replace(spare, settings=spare.settings.model_copy(update={"source": source})))
    send(client, {"user": "0", "item": "sku-07", "event_id": "17"}, {"user": "0", "item": "sku-12", "timestamp": 1_720_612_800})
    events = spare.workspace.events
    assert [len(events.of_user(user)) for user in ("0", "guest-17", "guest-1720612800")] == [0, 1, 1]
