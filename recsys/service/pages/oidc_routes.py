"""Defines the routes by which people sign in with the shop's OpenID provider."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from recsys.service.access.oidc import Begun, Provider, SignInError
from recsys.service.logs import LOGGER, salt_of
from recsys.service.pages.html import HEADERS, PageRoute, page
from recsys.service.pages.session import signed_in_by_provider

if TYPE_CHECKING:
    from recsys.service.container import Service

COOKIE, PATH, SECONDS = "recsys_sign_in", "/login/oidc", 600
# The session's cookie is same-site: sent with no request of a navigation that began on the provider's page, a redirect included.
_ARRIVED = '<!doctype html><html lang="en"><title>Signed in</title><meta http-equiv="refresh" content="0;url=/"><a href="/">Continue</a>'

oidc_pages = APIRouter(route_class=PageRoute, include_in_schema=False)


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.access.provider
    if provider is None:
        raise HTTPException(404, "no OpenID provider is set: see serve.oidc_issuer")
    return provider


def _signer(request: Request) -> URLSafeTimedSerializer:
    service: Service = request.app.state.service
    return URLSafeTimedSerializer(salt_of(service.workspace.service / "salt"), salt="recsys sign-in")


@oidc_pages.get(PATH)
async def begin(request: Request) -> Response:
    """Send the browser to the provider."""
    provider, begun = _provider(request), Begun()
    try:
        address = await asyncio.to_thread(provider.address, begun, _back(request))
    except SignInError as error:
        return _refused(request, error)
    answer = RedirectResponse(address, 303)
    cookie = str(_signer(request).dumps(asdict(begun)))
    # Lax: the browser comes back from another site. It holds nothing that signs anybody in.
    answer.set_cookie(COOKIE, cookie, SECONDS, path=PATH, httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return answer


@oidc_pages.get(f"{PATH}/back")
async def back(request: Request, code: str = "", state: str = "", error: str = "") -> Response:
    """Take the browser back from the provider, and start a session."""
    provider = _provider(request)
    try:
        begun = Begun(**_signer(request).loads(request.cookies.get(COOKIE, ""), max_age=SECONDS))
        if not secrets.compare_digest(begun.state.encode(), state.encode()):
            raise SignInError("this sign-in was not begun here: sign in again")
        if error or not code:
            raise SignInError("the provider did not let you in: ask whoever looks after it")
        person = await asyncio.to_thread(provider.person, begun, code, _back(request))
    except BadSignature:
        return _refused(request, SignInError("the sign-in took longer than ten minutes, or was not begun here: sign in again"))
    except SignInError as refused:
        return _refused(request, refused)
    answer = HTMLResponse(_ARRIVED, headers=HEADERS)
    signed_in_by_provider(request, answer, person)
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="lax")
    return answer


def _back(request: Request) -> str:
    return str(request.url_for("back"))


def _refused(request: Request, error: SignInError) -> Response:
    LOGGER.warning("a sign-in failed: %s", error)
    return page(request, "login", 401, detail=str(error))
