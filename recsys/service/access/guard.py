"""Checks API keys, their scopes and their request rate."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated

from fastapi import HTTPException, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from features.errors import ConfigError
from recsys.service.access.keys import Keys
from recsys.service.access.public import check_signature, check_user, is_public, key_of_beacon
from recsys.service.logs import LOGGER
from recsys.service.metrics import REJECTED
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from recsys.service.access.keys import Key
    from recsys.service.access.oidc import Provider

_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="created by `recsys keys add`")
_bearer = HTTPBearer(auto_error=False, description="the same key")


class Access:
    """Reads the workspace's keys again when their file changes, and counts each key's requests.

    Parameters
    ----------
    rate_per_minute
        Requests a key; 0 sets no limit.
    open_without_keys
        Whether requests need no key as long as none exists; for loopback only. Once a key exists, every request
        needs one.
    provider
        Who signs people in to the pages, beside keys.
    """

    def __init__(self, path: Path, rate_per_minute: int, *, open_without_keys: bool, provider: Provider | None = None) -> None:
        self.provider = provider
        self._path, self._open = path, open_without_keys
        self._rate = RateLimitItemPerMinute(rate_per_minute) if rate_per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._seen: tuple[int, int] | None = None
        self._keys: Keys | None = None

    @property
    def keys(self) -> Keys | None:
        """The current keys. While the file is damaged, the last ones that were read; None where none ever were."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino)
        except OSError:
            seen = (0, 0)
        if seen != self._seen:
            try:
                self._keys, self._seen = Keys.read(self._path), seen
            except ConfigError as error:
                LOGGER.error("%s", error)
        return self._keys

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret, or None."""
        return self.keys.find(secret) if self.keys is not None else None

    @property
    def free(self) -> bool:
        """Whether requests need no key."""
        keys = self.keys
        if keys is not None and keys.keys:
            self._open = False
        return self._open and keys is not None

    def check(self, secret: str | None, scope: Scope) -> str:
        """Return the name of the key with this secret; "loopback" where no key is needed.

        Raises
        ------
        HTTPException
            See `admit`.
        """
        detail = "the key is unknown" if secret else "a key is required: send it in the header X-API-Key"
        return self.admit(self.find(secret) if secret else None, scope, detail)

    def admit(self, key: Key | None, scope: Scope, detail: str) -> str:
        """Return the name of the key; "loopback" where no key is needed.

        Parameters
        ----------
        detail
            The error's text where there is no key.

        Raises
        ------
        HTTPException
            401 without a key, 403 without the scope, 429 above the rate.
        """
        if self.free:
            name = "loopback"
        elif key is None:
            REJECTED.labels("401").inc()
            raise HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
        else:
            name = self._checked_name(key, scope)
        if self._rate is not None and not self._limiter.hit(self._rate, name):
            REJECTED.labels("rate").inc()
            seconds = max(1, math.ceil(self._limiter.get_window_stats(self._rate, name).reset_time - time.time()))
            raise HTTPException(
                429, f"more than {self._rate.amount:,} requests a minute: try again in {seconds} s", {"Retry-After": str(seconds)}
            )
        return name

    def _checked_name(self, key: Key, scope: Scope) -> str:
        if not key.may(scope):
            REJECTED.labels("403").inc()
            raise HTTPException(403, f"key {key.name!r} has the scopes {', '.join(key.scopes)}; this needs {scope}")
        return key.name


def needs(scope: Scope) -> Callable[..., Awaitable[None]]:
    """Return a FastAPI dependency that refuses requests without the scope; `recsys.service.access.public` says what a public key opens."""

    async def check(
        request: Request,
        header: Annotated[str | None, Security(_header)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> None:
        access: Access = request.app.state.access
        secret = header or (bearer.credentials if bearer else None) or key_of_beacon(request)
        public = is_public(request, access.find(secret) if secret else None, scope)
        request.scope["noted"]["key"] = access.check(secret, Scope.STOREFRONT if public else scope)
        request.state.keys = access.keys if public else None
        if public and access.keys is not None:
            await check_user(request, access.keys)

    return check


def check_named(request: Request, user: str | None) -> None:
    """Refuse a public key for a user whom the request names elsewhere than in the open, as a cursor does, without their signature.

    Raises
    ------
    HTTPException
        See `recsys.service.access.public.check_user`.
    """
    keys: Keys | None = request.state.keys
    if keys is not None and user is not None:
        check_signature(request, user, keys)
