"""Keys, their scopes and rates; the secret of a key is stored nowhere."""

from __future__ import annotations

import contextlib
import logging
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi import HTTPException

from features.errors import ConfigError
from recsys.cli.main import run
from recsys.service.access.guard import Access
from recsys.service.access.keys import Keys
from recsys.service.app import routed
from recsys.service.container import Service
from recsys.settings.names import Scope
from tests.recsys.conftest import Command, Place
from tests.recsys.service.conftest import Serve, problem


def add(place: Place, name: str, *scopes: Scope) -> str:
    path = place.workspace.service / "keys.json"
    keys, secret = Keys.read(path).added(name, scopes)
    keys.write(path)
    return secret


def test_keys_open_what_their_scopes_say(spare: Place, serve: Serve) -> None:
    secrets = {scope: add(spare, scope.value, scope) for scope in Scope}
    client = serve(spare)
    ways = {
        Scope.READ: lambda head: client.post("/v1/recommend", json={}, headers=head),
        Scope.WRITE: lambda head: client.post("/v1/events", json={"events": [{"user": "u", "item": "sku-01"}]}, headers=head),
        Scope.ADMIN: lambda head: client.delete("/v1/users/nobody", headers=head),
    }
    for mine, secret in secrets.items():
        for needed, ask in ways.items():
            for head in ({"x-api-key": secret}, {"authorization": f"Bearer {secret}"}):
                response = ask(head)
                if mine in (needed, Scope.ADMIN):
                    assert response.status_code in (200, 202), response.text
                else:
                    assert f"has the scopes {mine.value}; this needs {needed.value}" in problem(response, 403)


def test_a_wrong_key_and_none(spare: Place, serve: Serve) -> None:
    secret = add(spare, "shop", Scope.READ)
    client = serve(spare)
    for head, detail in ((b"", "a key is required"), (secret[:-1].encode(), "is unknown"), ("ключ".encode(), "is unknown")):
        response = client.post("/v1/recommend", json={}, headers={b"x-api-key": head} if head else {})
        assert detail in problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
    assert client.get("/metrics").status_code == 401
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_a_key_that_was_taken_back_opens_nothing(spare: Place, serve: Serve) -> None:
    first, second = add(spare, "first", Scope.READ), add(spare, "second", Scope.READ)
    client = serve(spare)
    assert client.post("/v1/recommend", json={}, headers={"x-api-key": first}).status_code == 200
    path = spare.workspace.service / "keys.json"
    Keys.read(path).without("first").write(path)
    assert client.post("/v1/recommend", json={}, headers={"x-api-key": first}).status_code == 401
    assert client.post("/v1/recommend", json={}, headers={"x-api-key": second}).status_code == 200
    path.write_text("{")  # damaged: nobody gets in who did not before, and who did still does
    assert client.post("/v1/recommend", json={}, headers={"x-api-key": first}).status_code == 401
    assert client.post("/v1/recommend", json={}, headers={"x-api-key": second}).status_code == 200
    assert client.post("/v1/recommend", json={}).status_code == 401


def test_a_door_that_once_had_a_key_stays_shut(spare: Place, serve: Serve) -> None:
    client, path = serve(spare), spare.workspace.service / "keys.json"
    assert client.post("/v1/recommend", json={}).status_code == 200
    add(spare, "only", Scope.READ)
    assert client.post("/v1/recommend", json={}).status_code == 401
    Keys.read(path).without("only").write(path)
    assert client.post("/v1/recommend", json={}).status_code == 401
    path.unlink()
    assert client.delete("/v1/users/user-01").status_code == 401


def test_it_stays_shut_for_the_process_that_takes_over(ready: Place) -> None:
    service = Service(ready.workspace, ready.settings)
    assert routed(service).state.access.free
    assert not routed(service, keys_required=True).state.access.free


def test_keys_stand_in_no_log_and_no_file(spare: Place, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    secret, wrong = add(spare, "shop", Scope.READ), "rk_somebody-elses"
    with caplog.at_level(logging.DEBUG):
        client = serve(spare)
        for head in (secret, wrong):
            client.post("/v1/recommend", json={}, headers={"x-api-key": head})
            client.post("/v1/recommend", json={"k": 0}, headers={"authorization": f"Bearer {head}"})
            client.delete("/v1/users/user-01", headers={"x-api-key": head})
    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "'key': 'shop'" in logged
    assert secret not in logged
    assert wrong not in logged
    path = spare.workspace.service / "keys.json"
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_too_often(spare: Place, serve: Serve) -> None:
    secret, other = add(spare, "shop", Scope.READ), add(spare, "other", Scope.READ)
    client = serve(spare, rate_per_minute=3)

    def ask(key: str):
        return client.post("/v1/similar", json={"item": "sku-01"}, headers={"x-api-key": key})

    assert [ask(secret).status_code for _ in range(3)] == [200] * 3
    response = ask(secret)
    assert "more than 3 requests a minute" in problem(response, 429)
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert ask(other).status_code == 200


def test_too_much_at_once(ready: Place, serve: Serve) -> None:
    client = serve(ready, max_body_kib=1)
    big = b'{"user": "' + b"x" * 2_000 + b'"}'
    assert "larger than 1 KiB" in problem(client.post("/v1/recommend", content=big), 413)
    pieces = (b"x" * 300 for _ in range(10))  # without content-length
    assert "larger than 1 KiB" in problem(client.post("/v1/recommend", content=pieces), 413)
    assert client.post("/v1/recommend", json={"k": 1}).status_code == 200


def test_the_command_line_makes_lists_and_removes_keys(command: Command) -> None:
    secret = command("keys", "add", "shop", "--scope", "read", "--scope", "write").out.strip()
    assert len(secret) > 40
    assert "already" in command("keys", "add", "shop", "--scope", "read").error
    assert "is not a valid key name" in command("keys", "add", "my shop", "--scope", "read").error
    assert command("keys", "list").out.split("\t")[:2] == ["shop", "read,write"]
    assert "existing keys: shop" in command("keys", "remove", "other").error
    assert command("keys", "remove", "shop").code == 0
    assert command("keys", "list").out == ""


def test_open_to_others_without_keys_is_refused(ready: Place, command: Command) -> None:
    said = command("serve", "--host", "0.0.0.0", "--port", 0, workspace=ready.workspace.root)
    assert "there are no API keys, and 0.0.0.0 is open to others" in said.error


def test_without_a_bundle_and_with_a_port_that_is_taken(ready: Place, command: Command) -> None:
    import socket

    assert "run `recsys build-index`" in command("serve", "--port", 0).error
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in command("serve", "--port", port, workspace=ready.workspace.root).error


def test_a_damaged_file_of_keys_is_not_an_empty_one(ready: Place, tmp_path) -> None:
    (tmp_path / "keys.json").write_text('{"keys": [')
    with pytest.raises(ConfigError, match="damaged"):
        Keys.read(tmp_path / "keys.json")


def test_keys_that_cannot_be_read_open_nothing(spare: Place) -> None:
    path = spare.workspace.service / "keys.json"
    secret = add(spare, "shop", Scope.READ)
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    access = Access(path, 0, open_without_keys=True)
    assert not access.free
    assert access.find(secret) is None
    with pytest.raises(HTTPException) as refused:
        access.check(None, Scope.ADMIN)
    assert refused.value.status_code == 401
    path.write_bytes(whole)
    assert access.check(secret, Scope.READ) == "shop"


def test_concurrent_changes_of_keys_lose_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits between reading and writing, so that the others could read: without a lock the last would win."""
    path = tmp_path / "work" / "service" / "keys.json"
    Keys().added("old", (Scope.READ,))[0].write(path)
    names = [f"shop-{number}" for number in range(4)]
    everybody = threading.Barrier(len(names) + 1)
    write = Keys.write

    def late(keys: Keys, to: Path) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            everybody.wait(timeout=0.2)
        write(keys, to)

    monkeypatch.setattr(Keys, "write", late)
    lines = [*(["keys", "add", name, "--scope", "read"] for name in names), ["keys", "remove", "old"]]
    with ThreadPoolExecutor(len(lines)) as pool:
        assert set(pool.map(lambda line: run(["--workspace", str(tmp_path / "work"), *line]), lines)) == {0}
    assert sorted(key.name for key in Keys.read(path).keys) == names
