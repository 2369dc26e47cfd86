"""Who is at the page.

The cookie names a key, and is signed with the key's hash and the workspace's salt: it opens nothing once the key is taken back.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002  FastAPI reads the annotations of a dependency
from fastapi.responses import RedirectResponse
from itsdangerous import BadSignature, URLSafeTimedSerializer

from recsys.service.logs import salt_of
from recsys.settings.scopes import Scope

if TYPE_CHECKING:
    from recsys.service.access import Access
    from recsys.service.container import Service
    from recsys.service.keys import Key

COOKIE = "recsys_session"
SECONDS = 12 * 3_600


def _signer(request: Request, key: Key) -> URLSafeTimedSerializer:
    service: Service = request.app.state.service
    secret = salt_of(service.workspace.service / "salt")
    return URLSafeTimedSerializer([secret + key.sha256.encode()], salt="recsys page", signer_kwargs={"digest_method": hashlib.sha256})


def _key(request: Request) -> Key | None:
    """Of the session, if it is one."""
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
    """A dependency that lets nobody by who has not given a key that may read.

    Raises
    ------
    HTTPException: 401 without a session, 403 without the scope, 429 too often.
    """
    access: Access = request.app.state.access
    request.scope["noted"]["key"] = access.let_in(_key(request), Scope.READ, "the session has ended: sign in again")


def signed_in(request: Request, secret: str) -> RedirectResponse:
    """A session for who has the key.

    Raises
    ------
    HTTPException: see `visitor`.
    """
    access: Access = request.app.state.access
    request.scope["noted"]["key"] = access.check(secret, Scope.READ)
    answer = RedirectResponse("/", 303)
    key = access.find(secret)
    if key is not None:  # None: everybody may ask
        cookie = _signer(request, key).dumps(key.name)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, str(cookie), max_age=SECONDS, httponly=True, samesite="strict", secure=secure)
    return answer


def signed_out() -> RedirectResponse:
    """The end of a session."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
