"""Signs visitors of the pages in and out.

The cookie names a key and is signed with the key's hash and the workspace's salt: it is worthless once the key is
removed.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002  FastAPI reads the annotations of a dependency
from fastapi.responses import RedirectResponse
from itsdangerous import BadSignature, URLSafeTimedSerializer

from recsys.service.access.keys import Key
from recsys.service.access.oidc import Person
from recsys.service.logs import salt_of
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from fastapi import Response

    from recsys.service.access.guard import Access
    from recsys.service.access.oidc import Provider
    from recsys.service.container import Service

COOKIE = "recsys_session"
SECONDS = 12 * 3_600


def _signer(request: Request, key: Key) -> URLSafeTimedSerializer:
    service: Service = request.app.state.service
    secret = salt_of(service.workspace.service / "salt")
    return URLSafeTimedSerializer([secret + key.sha256.encode()], salt="recsys page", signer_kwargs={"digest_method": hashlib.sha256})


def _provider_signer(request: Request, provider: Provider) -> URLSafeTimedSerializer:
    service: Service = request.app.state.service
    secret = salt_of(service.workspace.service / "salt")
    about = f"{provider.issuer} {provider.client_id} {provider.editors}".encode()  # another provider ends all sessions
    return URLSafeTimedSerializer([secret + about], salt="recsys person", signer_kwargs={"digest_method": hashlib.sha256})


def signed_in_by_provider(request: Request, answer: Response, person: Person) -> None:
    """Start a session of somebody whom the OpenID provider has signed in."""
    access: Access = request.app.state.access
    assert access.provider is not None
    request.scope["noted"]["key"] = person.name
    cookie = str(_provider_signer(request, access.provider).dumps(asdict(person)))
    answer.set_cookie(COOKIE, cookie, SECONDS, httponly=True, samesite="strict", secure=request.url.scheme == "https")


def _person(request: Request, access: Access, cookie: str) -> Key | None:
    """Return what somebody whom the provider has signed in may do, as a key; None without such a session."""
    if access.provider is None:
        return None
    try:
        person = Person(**_provider_signer(request, access.provider).loads(cookie, max_age=SECONDS))
    except BadSignature:
        return None
    scopes = (Scope.READ, Scope.WRITE) if person.edits else (Scope.READ,)
    return Key(name=person.name, sha256="0" * 64, scopes=scopes, created=datetime.now(UTC))


def _key(request: Request) -> Key | None:
    """Return the key of the session, or None."""
    access: Access = request.app.state.access
    cookie = request.cookies.get(COOKIE, "")
    if cookie and (person := _person(request, access, cookie)):
        return person
    for key in access.keys.keys if cookie and access.keys else ():
        try:
            if _signer(request, key).loads(cookie, max_age=SECONDS) == key.name:
                return key
        except BadSignature:
            continue
    return None


def visitor(request: Request) -> None:
    """A FastAPI dependency that refuses requests without a session.

    Raises
    ------
    HTTPException
        401 without a session, 403 without the scope `read`, 429 above the rate.
    """
    access: Access = request.app.state.access
    request.scope["noted"]["key"] = access.admit(_key(request), Scope.READ, "the session has ended: sign in again")


def editor(request: Request) -> None:
    """A FastAPI dependency that refuses requests without a session whose key may change what customers are told.

    Raises
    ------
    HTTPException
        See `visitor`; the scope is `write`.
    """
    access: Access = request.app.state.access
    request.scope["noted"]["key"] = access.admit(_key(request), Scope.WRITE, "the session has ended: sign in again")


def signed_in(request: Request, secret: str) -> RedirectResponse:
    """Start a session.

    Raises
    ------
    HTTPException
        See `visitor`.
    """
    access: Access = request.app.state.access
    request.scope["noted"]["key"] = access.check(secret, Scope.READ)
    answer = RedirectResponse("/", 303)
    key = access.find(secret)
    if key is not None:  # None: no key is needed
        cookie = _signer(request, key).dumps(key.name)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, str(cookie), max_age=SECONDS, httponly=True, samesite="strict", secure=secure)
    return answer


def signed_out() -> RedirectResponse:
    """End the session."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
