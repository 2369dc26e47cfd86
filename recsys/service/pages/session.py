"""Signs visitors of the pages in and out.

The cookie names a key and is signed with the key's hash and the workspace's salt: it is worthless once the key is
removed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002  FastAPI reads the annotations of a dependency
from fastapi.responses import RedirectResponse
from itsdangerous import BadSignature, URLSafeTimedSerializer

from recsys.service.logs import salt_of
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from recsys.service.access.guard import Access
    from recsys.service.access.keys import Key
    from recsys.service.container import Service

COOKIE = "recsys_session"
SECONDS = 12 * 3_600


def _signer(request: Request, key: Key) -> URLSafeTimedSerializer:
    service: Service = request.app.state.service
    secret = salt_of(service.workspace.service / "salt")
    return URLSafeTimedSerializer([secret + key.sha256.encode()], salt="recsys page", signer_kwargs={"digest_method": hashlib.sha256})


def _key(request: Request) -> Key | None:
    """Return the key of the session, or None."""
    access: Access = request.app.state.access
    cookie = request.cookies.get(COOKIE, "")
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
