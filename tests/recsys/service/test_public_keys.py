"""A public key opens what a browser needs, in nobody's name but one that the shop signed, and from the shop's pages alone."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.testclient import TestClient

from recsys.service.access.guard import needs
from recsys.service.access.keys import Keys
from recsys.service.access.public import signature
from recsys.settings.names import Scope
from recsys.settings.serve import ServeConfig
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, problem
from tests.recsys.service.test_access import add

SHOP = "https://shop.example"


def with_page(client: TestClient) -> TestClient:
    """A service whose pages repeat what they were asked for."""
    router = APIRouter()

    @router.post("/v1/page", dependencies=[Depends(needs(Scope.READ))])
    async def page(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    app: Any = client.app
    app._app.router.routes[:0] = router.routes
    return client


def test_it_opens_pages_and_suggestions_alone(spare: Place, serve: Serve) -> None:
    head = {"x-api-key": add(spare, "public", Scope.STOREFRONT)}
    client = with_page(serve(spare))
    assert client.post("/v1/page", json={}, headers=head).status_code == 200
    assert client.post("/v1/suggest", json={"prefix": "te"}, headers=head).status_code == 200
    closed = {
        "/v1/recommend": {},
        "/v1/similar": {"item": "sku-07"},
        "/v1/search": {"text": "tea"},
        "/v1/items": {"items": []},
        "/v1/events": {},
    }
    for path, body in closed.items():
        assert "'public' has the scopes storefront" in problem(client.post(path, json=body, headers=head), 403)
    assert client.get("/metrics", headers=head).status_code == 403
    assert client.delete("/v1/users/x", headers=head).status_code == 403
    assert client.post("/login", data={"key": head["x-api-key"]}).status_code == 403


def test_a_beacon_has_its_key_in_the_address_and_nothing_else_has(spare: Place, serve: Serve) -> None:
    key, reader = add(spare, "public", Scope.STOREFRONT), add(spare, "server", Scope.READ)
    client = with_page(serve(spare))
    assert client.post(f"/v1/page?key={key}", json={}).status_code == 200
    problem(client.post(f"/v1/recommend?key={reader}", json={}), 401)
    assert client.get(f"/metrics?key={reader}").status_code == 401


@pytest.mark.parametrize("body", [{"user": "user-01"}, {"user_id": "user-01"}, {"actions": [{}, {"user_id": "user-01"}]}], ids=str)
def test_a_user_must_be_signed(spare: Place, serve: Serve, body: dict[str, Any]) -> None:
    head = {"x-api-key": add(spare, "public", Scope.STOREFRONT)}
    server = add(spare, "server", Scope.WRITE)
    hashes = {key.name: key.sha256 for key in Keys.read(spare.workspace.service / "keys.json").keys}
    client = with_page(serve(spare))
    for wrong in ("", "0" * 64, signature("user-02", hashes["server"]), signature("user-01", hashes["public"]), "ж"):
        heads: Any = head | ({"x-user-signature": wrong.encode()} if wrong else {})
        response = client.post("/v1/page", json=body, headers=heads)
        assert "needs a signature of the shop's server" in problem(response, 403)
    right = {"x-user-signature": signature("user-01", hashes["server"])}
    assert client.post("/v1/page", json=body, headers=head | right).json() == body
    assert client.post("/v1/page", json=body, headers={"x-api-key": server}).status_code == 403, "it has neither scope"
    assert client.post("/v1/page", json=body, headers={"x-api-key": add(spare, "reader", Scope.READ)}).status_code == 200


def test_a_row_of_a_customers_page_is_turned_with_the_signature_alone(spare: Place, serve: Serve) -> None:
    public = {"x-api-key": add(spare, "public", Scope.STOREFRONT)}
    server = {"x-api-key": add(spare, "server", Scope.READ)}
    hashes = {key.name: key.sha256 for key in Keys.read(spare.workspace.service / "keys.json").keys}
    client = serve(spare)

    def turn(headers: dict[str, str], **body: Any) -> Any:
        asked = {"page": "home", "rows": [{"name": "popular", "k": 2}]} | body
        page = client.post("/v1/page", json=asked, headers=server).json()
        return client.post("/v1/page/turn", json={"cursor": page["rows"][0]["cursor"], "k": 2}, headers=headers)

    for wrong in ({}, {"x-user-signature": signature("user-02", hashes["server"])}):
        assert "needs a signature of the shop's server" in problem(turn(public | wrong, user="user-01"), 403)
    right = {"x-user-signature": signature("user-01", hashes["server"])}
    for headers, body in ((public | right, {"user": "user-01"}), (public, {}), (server, {"user": "user-01"})):
        assert turn(headers, **body).status_code == 200


def test_only_pages_of_the_shop_may_read_the_answers(spare: Place, serve: Serve) -> None:
    client = with_page(serve(spare, origins=(SHOP,)))
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-api-key,x-user-signature"}
    preflight = client.options("/v1/page", headers=asks | {"origin": SHOP})
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, SHOP)
    assert client.post("/v1/page", json={}, headers={"origin": SHOP}).headers["access-control-allow-origin"] == SHOP
    for origin in ("https://other.example", "http://shop.example", "null"):
        assert "access-control-allow-origin" not in client.options("/v1/page", headers=asks | {"origin": origin}).headers
        assert "access-control-allow-origin" not in client.post("/v1/page", json={}, headers={"origin": origin}).headers
    for path in ("/v1/recommend", "/v1/events"):
        assert "access-control-allow-origin" not in client.post(path, json={}, headers={"origin": SHOP}).headers


def test_by_default_no_page_may(spare: Place, serve: Serve) -> None:
    assert "access-control-allow-origin" not in with_page(serve(spare)).post("/v1/page", json={}, headers={"origin": SHOP}).headers


@pytest.mark.parametrize(
    "origin", ["*", "shop.example", "https://shop.example/", "https://shop.example/path", "file://", "https://Shop.example"]
)
def test_an_origin_is_scheme_host_and_port(origin: str) -> None:
    with pytest.raises(ValidationError, match="expected scheme, host and port alone"):
        ServeConfig(origins=(origin,))


def test_the_script_is_served(spare: Place, serve: Serve) -> None:
    answer = serve(spare).get("/storefront.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
