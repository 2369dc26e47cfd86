"""Who sees the pages, and what is logged of who looked."""

from __future__ import annotations

import logging

import pytest

from recsys.service.access.keys import Keys
from recsys.service.pages.session import COOKIE
from recsys.settings.names import Scope
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve
from tests.recsys.service.pages import PATHS, seen
from tests.recsys.service.test_access import add


def test_a_key_opens_the_pages(spare: Place, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    secret, other = add(spare, "looker", Scope.READ), add(spare, "writer", Scope.WRITE)
    client = serve(spare)
    with caplog.at_level(logging.DEBUG):
        for path in PATHS[:-1]:
            response = client.get(path, follow_redirects=False)
            assert (response.status_code, response.headers["location"]) == (303, "/login")
        assert client.post("/", data={"user": "user-01"}, follow_redirects=False).status_code == 303
        assert "the key is unknown" in seen(client.post("/login", data={"key": secret[:-1]}), 401)
        assert "this needs read" in seen(client.post("/login", data={"key": other}), 403)
        answer = client.post("/login", data={"key": f" {secret} "}, follow_redirects=False)
        assert answer.headers["location"] == "/"
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert secret not in cookie
        assert "For user-01" in seen(client.post("/", data={"user": "user-01"}))
        client.get("/items/sku-07")
    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records if record.name.startswith("recsys"))
    assert "'key': 'looker'" in logged
    for hidden in (secret, other, "user-01", cookie.split(";")[0]):
        assert hidden not in logged
    assert client.post("/logout", follow_redirects=False).headers["set-cookie"].startswith(f'{COOKIE}=""')


def test_sessions_end_with_their_keys_and_cannot_be_made_up(spare: Place, serve: Serve) -> None:
    secret = add(spare, "looker", Scope.READ)
    client = serve(spare)
    client.post("/login", data={"key": secret})
    cookie = client.cookies[COOKIE]
    assert client.get("/refreshes").status_code == 200
    # Not its last character, of which some bits say nothing.
    for forged in (cookie[:-9] + ("A" if cookie[-9] != "A" else "B") + cookie[-8:], "looker", ""):
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
