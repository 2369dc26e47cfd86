"""What a key with the scope `storefront` opens: it stands in the shop's pages, so every visitor can read it.

Such a key opens the paths below alone. It gives nobody's list away: a request that names a user must be signed by the shop's server, which
holds a secret key. Pages of other sites may not read the answers: `StorefrontOrigins` allows the shop's origins, and no others.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from starlette.middleware.cors import CORSMiddleware

from recsys.service.metrics import REJECTED
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastapi import Request
    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as Connection

    from recsys.service.access.keys import Key, Keys

STOREFRONT_PATHS = frozenset({"/v1/page", "/v1/page/turn", "/v1/suggest", "/v1/actions"})
SIGNATURE = "x-user-signature"
_HEADERS = ("content-type", "x-api-key", "authorization", SIGNATURE)
_PEOPLE = ("user", "user_id")  # keys of bodies that name somebody
_SECRET = (Scope.READ, Scope.WRITE, Scope.ADMIN)
_PREFLIGHT_SECONDS = 600


def is_public(request: Request, key: Key | None, scope: Scope) -> bool:
    """Return whether a request has only a public key, on a path that such a key opens."""
    return key is not None and not key.may(scope) and Scope.STOREFRONT in key.scopes and request.url.path in STOREFRONT_PATHS


def key_of_beacon(request: Request) -> str | None:
    """Return the key in the address of a request; only for what a browser sends with `navigator.sendBeacon`, which takes no headers."""
    beacon = request.method == "POST" and request.url.path in STOREFRONT_PATHS
    return request.query_params.get("key") if beacon else None


async def check_user(request: Request, keys: Keys) -> None:
    """Refuse a request in the name of a user that the shop's server has not signed.

    Raises
    ------
    HTTPException
        403 for a user without a valid signature.
    """
    try:
        body = json.loads(await request.body())
    except ValueError:
        return  # the route refuses it
    for user in _named(body):
        check_signature(request, str(user), keys)


def check_signature(request: Request, user: str, keys: Keys) -> None:
    """Refuse a request in the name of a user, see `check_user`."""
    given = request.headers.get(SIGNATURE, "")
    if not any(hmac.compare_digest(one.encode(), given.encode()) for one in _signatures(user, keys)):
        REJECTED.labels("403").inc()
        raise HTTPException(
            403,
            f"this key is public, and a user needs a signature of the shop's server in the header {SIGNATURE}: see docs/integration.md",
        )


def signature(user_id: str, key_hash: str) -> str:
    """Return what a server signs a user with: HMAC-SHA256, keyed with the SHA-256 of its key in hexadecimal digits."""
    return hmac.new(key_hash.encode(), user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _signatures(user_id: str, keys: Keys) -> list[str]:
    secret = [key for key in keys.keys if set(_SECRET) & set(key.scopes)]
    return [signature(user_id, key.sha256) for key in secret]


def _named(body: Any) -> Iterator[Any]:
    """Yield whom a body names, in itself or in one of its list of actions."""
    parts = [body, *(body.get("actions") or [])] if isinstance(body, dict) and isinstance(body.get("actions"), list) else [body]
    for part in parts:
        if isinstance(part, dict):
            yield from (part[name] for name in _PEOPLE if part.get(name) is not None)


class StorefrontOrigins:
    """An ASGI application around another: browsers on the shop's pages may read the answers of `STOREFRONT_PATHS`."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        # A beacon comes with credentials whatever its sender wants. No cookie of ours opens these paths, and ours are same-site.
        self._shared = CORSMiddleware(
            app, origins, allow_methods=("GET", "POST"), allow_headers=_HEADERS, allow_credentials=True, max_age=_PREFLIGHT_SECONDS
        )

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI specifies."""
        shared = scope["type"] == "http" and scope["path"] in STOREFRONT_PATHS
        await (self._shared if shared else self._app)(scope, receive, send)
