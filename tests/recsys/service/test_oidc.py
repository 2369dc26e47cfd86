"""People sign in with a provider of their own: a small one on this machine, which can misbehave in each way that matters."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import ValidationError
from starlette.testclient import TestClient

from recsys.service.app import application
from recsys.settings.names import Scope
from recsys.settings.serve import ServeConfig
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import HERE
from tests.recsys.service.test_access import add

CLIENT, SECRET = "recsys", "a secret of the provider"


class Issuer:
    """A provider: its description, its keys and its tokens. `claims` and `key` of a token can be wrong."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "1"})
        self.signs_with = self.key
        self.changed: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.asked: dict[str, str] = {}
        self.codes: dict[str, dict[str, str]] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(issuer.about if "openid-configuration" in self.path else {"keys": [issuer.key.as_dict(private=False)]})

            def do_POST(self) -> None:
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                self._send(issuer.token({name: values[0] for name, values in form.items()}))

            def _send(self, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(200 if "error" not in body else 400)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def about(self) -> dict[str, str]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/in",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }

    def let_in(self, address: str) -> str:
        """What the provider's page does: the address with which the browser comes back."""
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        assert address.startswith(f"{self.url}/in?")
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (CLIENT, "code", "S256")
        self.codes["the-code"] = asked
        return f"{asked['redirect_uri']}?{urllib.parse.urlencode({'code': 'the-code', 'state': asked['state']})}"

    def token(self, form: dict[str, str]) -> dict[str, str]:
        asked = self.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        known = asked and challenge == asked["code_challenge"] and form["redirect_uri"] == asked["redirect_uri"]
        if not known or asked is None or form.get("client_secret") != SECRET:
            return {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "sub": "person-1", "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= {"email": "Ann@shop.example", "email_verified": True} | self.changed
        claims = {name: value for name, value in claims.items() if value is not None}
        return {
            "id_token": jwt.encode({"alg": self.algorithm, "kid": "1"}, claims, self.signs_with),
            "access_token": "x",
            "token_type": "Bearer",
        }

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.stop()


@pytest.fixture
def client(spare: Place, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("OIDC_CLIENT_SECRET", SECRET)
    config = ServeConfig(oidc_issuer=issuer.url, oidc_client_id=CLIENT, oidc_editors=("ann@shop.example",), budget_ms=10_000)
    app = application(spare.workspace, spare.settings.model_copy(update={"serve": config}))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


def begun(client: TestClient) -> str:
    answer = client.get("/login/oidc")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_somebody_signs_in_and_out(client: TestClient, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    assert client.get("/").headers["location"] == "/login"
    assert "/login/oidc" in client.get("/login").text
    answer = client.get(issuer.let_in(begun(client)))
    assert answer.status_code == 200
    assert 'content="0;url=/"' in answer.text, "a redirect would lose the cookie, which is same-site"
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert client.get("/").status_code == 200
    assert "person-1" not in caplog.text
    assert "ann@" not in caplog.text.lower()
    client.post("/logout")
    assert client.get("/").headers["location"] == "/login"


def test_it_opens_the_pages_and_not_the_routes_of_programs(client: TestClient, issuer: Issuer, spare: Place) -> None:
    client.get(issuer.let_in(begun(client)))
    assert client.post("/v1/recommend", json={}).status_code == 401
    secret = add(spare, "server", Scope.READ)
    assert client.post("/v1/recommend", json={}, headers={"x-api-key": secret}).status_code == 200
    assert client.get("/").status_code == 200, "the session stays once there is a key"


@pytest.mark.parametrize(
    ("changed", "status"),
    [({}, 200), ({"email": "bob@shop.example"}, 403), ({"email_verified": False}, 403), ({"email": None}, 403)],
    ids=str,
)
def test_editors_are_named(client: TestClient, issuer: Issuer, changed: dict[str, Any], status: int) -> None:
    issuer.changed = changed
    client.get(issuer.let_in(begun(client)))
    assert client.get("/").status_code == 200
    answer = client.post("/assistant/questions", data={})
    assert (answer.status_code == 403) == (status == 403), answer.text


WRONG = {
    "another audience": {"aud": "another"},
    "another issuer": {"iss": "https://other.example"},
    "another sign-in": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "too old": {"exp": int(time.time()) - 3_600},
    "no end": {"exp": None},
    "nobody": {"sub": None},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_token_signs_nobody_in(client: TestClient, issuer: Issuer, wrong: str) -> None:
    issuer.changed = WRONG[wrong]
    refused(client, issuer.let_in(begun(client)), "is refused")


def refused(client: TestClient, back: str, said: str) -> None:
    answer = client.get(back)
    assert answer.status_code == 401
    assert said in answer.text
    assert client.get("/").headers["location"] == "/login"


def test_a_token_of_another_key_signs_nobody_in(client: TestClient, issuer: Issuer) -> None:
    issuer.signs_with = RSAKey.generate_key(2048, {"kid": "1"})
    refused(client, issuer.let_in(begun(client)), "is refused")


def test_a_sign_in_of_somebody_else_is_not_ended_here(client: TestClient, issuer: Issuer) -> None:
    other = issuer.let_in(begun(client))
    begun(client)  # the browser's own
    refused(client, other, "was not begun here")
    client.cookies.clear()
    refused(client, other, "was not begun here")
    refused(client, f"{other.partition('?')[0]}?error=access_denied", "was not begun here")


def test_a_refusal_of_the_provider_is_told(client: TestClient, issuer: Issuer) -> None:
    back = issuer.let_in(begun(client))
    state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))["state"]
    refused(client, f"{back.partition('?')[0]}?error=access_denied&state={state}", "did not let you in")


def test_a_code_counts_once(client: TestClient, issuer: Issuer) -> None:
    back = issuer.let_in(begun(client))
    issuer.codes.clear()
    refused(client, back, "does not answer as an OpenID provider must (status 400)")


def test_a_provider_that_is_away_is_told_and_keys_stay(client: TestClient, issuer: Issuer, spare: Place) -> None:
    issuer.stop()
    answer = client.get("/login/oidc")
    assert (answer.status_code, "does not answer as an OpenID provider must" in answer.text) == (401, True)
    key = add(spare, "page", Scope.READ)
    assert client.post("/login", data={"key": key}).status_code == 303
    assert client.get("/").status_code == 200


def test_without_a_provider_there_is_no_such_page(shared: TestClient) -> None:
    assert shared.get("/login/oidc").status_code == 404
    assert "/login/oidc" not in shared.get("/login").text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"oidc_issuer": "http://accounts.example", "oidc_client_id": "x"}, "begins with https"),
        ({"oidc_issuer": "accounts.example", "oidc_client_id": "x"}, "begins with https"),
        ({"oidc_issuer": "https://accounts.example"}, "needs oidc_client_id"),
    ],
)
def test_a_provider_is_named_whole(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ServeConfig(**given)
