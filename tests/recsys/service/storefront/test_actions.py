"""Actions on impressions: stored once, only on what was shown, and what becomes of each is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from features.errors import DataError
from recsys.privacy.erasure import erase
from recsys.service.container import Service
from recsys.service.metrics import LOST_PAGES
from recsys.service.storefront import impression_writer
from recsys.service.storefront.impression_writer import ImpressionWriter
from recsys.settings.apps.impressions import ImpressionsConfig
from recsys.workspace.impressions import ImpressionStore
from recsys.workspace.served_pages import Impression, ServedPage, ShownItem
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import inside, problem

PAGE = ServedPage("p1", "home", int(time.time()), (Impression("i1", "for_you", (ShownItem("sku-07"), ShownItem("sku-12"))),), "user-03")


def send(client: TestClient, *actions: dict[str, Any]) -> Any:
    return client.post("/v1/actions", json={"actions": list(actions)})


def click(item: str = "sku-07", impression: str = "i1", **more: Any) -> dict[str, Any]:
    return {"action_name": "click", "query_id": impression, "object_id": item, **more}


def shown(client: TestClient, number: int, **changed: Any) -> str:
    """Have this worker serve a page; the name of its one impression."""
    service: Service = inside(client)
    name = f"row-{number}"
    service.impressions.put(replace(PAGE, page_id=f"page-{number}", rows=(replace(PAGE.rows[0], impression_id=name),), **changed))
    return name


def test_an_action_on_a_page_of_a_moment_ago_is_stored_once(place: Place, client: TestClient) -> None:
    row = shown(client, 1)
    response = send(client, *[click(impression=row, position=1)] * 1000)
    assert response.status_code == 202
    assert response.json() | {"received": 1000, "new": 1, "repeated": 999, "notes": []} == response.json()
    assert send(client, click(impression=row)).json()["repeated"] == 1
    assert place.workspace.impressions.actions()["impression_id"].to_list().count(row) == 1


def test_what_was_not_shown_is_counted_and_said(client: TestClient) -> None:
    row = shown(client, 2)
    answer = send(client, *[click(impression=row, action_id=f"x{i}") for i in range(17)], *[click("sku-20", row)] * 3).json()
    assert (answer["new"], answer["not_shown"]) == (17, 3)
    assert answer["notes"] == ["3 of 20 actions name items that were not shown there: not stored, such as 'sku-20'"]
    answer = send(client, click(impression="never")).json()
    assert answer["notes"] == [
        "1 of 1 actions name impressions that were not served here, or are no longer kept: not stored, such as 'never'"
    ]


def test_the_form_of_user_behavior_insights_is_read(place: Place, client: TestClient) -> None:
    row = shown(client, 3)
    event = {
        "application": "shop",
        "action_name": "click",
        "query_id": row,
        "client_id": "device",
        "session_id": "s1",
        "timestamp": "2099-11-29T12:00:00Z",
        "message_type": "INFO",
        "message": "clicked",
        "user_query": "tea",
        "event_attributes": {"object": {"object_id": "sku-12", "object_id_field": "sku"}, "position": {"ordinal": 2, "xy": None}},
    }
    answer = send(client, event).json()
    assert (answer["new"], answer["moved"], answer["clocks_off"]) == (1, 0, 1)
    assert answer["notes"] == ["1 of 1 actions have a time that cannot be: the server's time is stored"]
    stored = place.workspace.impressions.actions().row(-1, named=True)
    assert stored["item_id"] == "sku-12"
    assert b"device" not in b"".join(path.read_bytes() for path in place.workspace.service.glob("impressions.sqlite*"))
    assert abs(stored["time"] - time.time()) < 600


@pytest.mark.parametrize("when", ["1999-01-01", "no time", -5, 1e300, "9999999999999"])
def test_a_clock_that_cannot_be_does_not_lose_the_action(client: TestClient, when: str | float) -> None:
    row = shown(client, hash(when) % 10**9)
    answer = send(client, click(impression=row, timestamp=when)).json()
    assert (answer["new"], answer["clocks_off"]) == (1, 1)


@pytest.mark.parametrize(
    "body", [{}, {"actions": []}, {"actions": [{"action_name": "click"}]}, {"actions": [click(odd=1)]}, {"actions": [click(value=1e12)]}]
)
def test_what_is_no_batch_is_refused_in_one_line(client: TestClient, body: dict[str, Any]) -> None:
    problem(client.post("/v1/actions", json=body), 422)


def test_an_erased_user_leaves_no_pages_and_gets_none(spare: Place, serve: Any) -> None:
    client = serve(spare)
    row, visitor = shown(client, 1), shown(client, 3, user_id=None)
    about = {"client_id": "user-03", "session_id": "user-03"}  # an action on a visitor's page that says who it was
    assert send(client, click(impression=row), click(impression=visitor, **about)).json()["new"] == 2
    assert client.delete("/v1/users/user-03").json()["pages"] == 1
    again = shown(client, 2)
    assert send(client, click(impression=row), click(impression=again)).json()["unknown"] == 2
    assert b"user-03" not in b"".join(path.read_bytes() for path in spare.workspace.service.iterdir())


def test_an_erasure_between_looking_and_writing_takes_the_page_along(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    add, service = ImpressionStore.add_served, Service(spare.workspace, spare.settings)

    def slowly(store: ImpressionStore, pages: list[ServedPage]) -> int:
        erase(spare.workspace, "user-03")
        return add(store, pages)

    monkeypatch.setattr(ImpressionStore, "add_served", slowly)
    service.impressions.put(PAGE)
    service.impressions.stop()
    assert spare.workspace.impressions.frame().is_empty()


def test_a_full_disk_loses_pages_and_says_so_once(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "impressions.sqlite").write_bytes(b"no database, but long enough to look like one" * 100)
    writer = ImpressionWriter(ImpressionStore(tmp_path / "impressions.sqlite"), ImpressionsConfig(), lambda _: [])
    for number in range(3):
        writer.put(replace(PAGE, page_id=f"p{number}"))
        writer.flush()
    writer.stop()
    assert [record.message for record in caplog.records if "could not be stored" in record.message] == [
        next(record.message for record in caplog.records if "cannot be read or written" in record.message)
    ]


def test_what_waits_is_stored_at_the_end_and_old_pages_go(tmp_path: Any) -> None:
    store = ImpressionStore(tmp_path / "impressions.sqlite")
    store.add_served([replace(PAGE, page_id="old", time=PAGE.time - 10 * 86_400, rows=())])
    writer = ImpressionWriter(store, ImpressionsConfig(keep_days=7), lambda _: [])
    for number in range(300):
        writer.put(replace(PAGE, page_id=f"p{number}", rows=(replace(PAGE.rows[0], impression_id=f"i{number}"),)))
    writer.stop()
    assert store.frame()["impression_id"].n_unique() == 300
    assert store.unexposed("none", 0, 2**40) == (300, 300)


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[threading.Event]:
    """Hold one kind of writing up until this ends; the event says that it has begun."""
    begun, free, usual = threading.Event(), threading.Event(), getattr(ImpressionStore, name)

    def waits(*given: Any) -> Any:
        begun.set()
        free.wait(60)
        return usual(*given)

    with monkeypatch.context() as patched:
        patched.setattr(ImpressionStore, name, waits)
        yield begun
        free.set()


def test_new_prices_do_not_wait_for_actions(spare: Place, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(spare)
    row = shown(client, 1)
    with held(monkeypatch, "add_actions") as begun:
        thread = threading.Thread(target=send, args=(client, click(impression=row)))
        thread.start()
        assert begun.wait(60)
        assert client.post("/v1/items", json={"items": [{"item": "sku-07", "price": 3.5}]}).status_code == 202
        assert thread.is_alive(), "the action is still being stored"
    thread.join()


def test_an_action_waits_only_a_moment_for_its_page(spare: Place, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client, flush, waits = serve(spare), ImpressionWriter.flush, []

    def noted(writer: ImpressionWriter, seconds: float = impression_writer.FLUSH_SECONDS) -> None:
        waits.append(seconds)
        flush(writer, seconds)

    with held(monkeypatch, "add_served") as begun, monkeypatch.context() as patched:
        patched.setattr(ImpressionWriter, "flush", noted)
        row = shown(client, 1)
        assert begun.wait(60)
        assert send(client, click(impression=row)).json()["unknown"] == 1
        assert waits == [0.2]
    inside(client).impressions.flush()
    assert send(client, click(impression=row)).json()["new"] == 1


def test_a_service_ends_though_its_disk_hangs(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(impression_writer, "STOP_SECONDS", 0.05)
    writer = ImpressionWriter(ImpressionStore(tmp_path / "impressions.sqlite"), ImpressionsConfig(waiting=1), lambda _: [])
    with held(monkeypatch, "add_served") as begun:
        writer.put(PAGE)
        assert begun.wait(60)
        writer.put(replace(PAGE, page_id="p2"))
        stopping = threading.Thread(target=writer.stop, daemon=True)
        stopping.start()
        stopping.join(30)
        assert not stopping.is_alive()
    assert "about 1 pages are not stored: the service ends before the disk has taken them" in caplog.messages


def test_one_page_that_is_wrong_does_not_take_the_others_along(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    store, lost = ImpressionStore(tmp_path / "impressions.sqlite"), LOST_PAGES._value.get()
    writer = ImpressionWriter(store, ImpressionsConfig(), lambda _: [])
    wrong = (Impression("i2", "popular", (ShownItem("sku-07", 0.0),)),)
    writer._write([PAGE, replace(PAGE, page_id="p2", rows=wrong)])
    assert store.frame()["impression_id"].unique().to_list() == ["i1"]
    assert LOST_PAGES._value.get() == lost + 1
    assert "the propensity of 'sku-07' in row 'popular' is 0.0" in caplog.text


def test_pages_are_not_lost_where_old_ones_cannot_be_removed(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> int:
        raise DataError("database is locked")

    monkeypatch.setattr(ImpressionStore, "expire", fails)
    store, lost = ImpressionStore(tmp_path / "impressions.sqlite"), LOST_PAGES._value.get()
    writer = ImpressionWriter(store, ImpressionsConfig(), lambda _: [])
    writer.put(PAGE)
    writer.stop()
    assert len(store.frame()) == 2
    assert LOST_PAGES._value.get() == lost
    assert [message for message in caplog.messages if "could not be stored" in message] == []
    assert "are not removed, and that is tried again: database is locked" in caplog.text
