"""Who may ask what, and how often."""

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
from recsys.service.keys import Keys
from recsys.service.logs import LOGGER
from recsys.service.metrics import REJECTED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recsys.service.keys import Key
    from recsys.settings.scopes import Scope

_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="made by `recsys keys add`")
_bearer = HTTPBearer(auto_error=False, description="the same key")


class Access:
    """The workspace's keys, read again when their file changes, and a count of each one's requests.

    open: whether anybody may ask as long as there have been no keys, which is for loopback alone: who has made one wants the door shut.
    """

    def __init__(self, path: Path, rate_per_minute: int, *, open_without_keys: bool) -> None:
        self._path, self._open = path, open_without_keys
        self._rate = RateLimitItemPerMinute(rate_per_minute) if rate_per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._seen: tuple[int, int] | None = None
        self._keys: Keys | None = None

    @property
    def keys(self) -> Keys | None:
        """Those of now; the last ones that could be read, while the file is damaged, and None where none ever could."""
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
        """The key that has this secret."""
        return self.keys.find(secret) if self.keys is not None else None

    @property
    def free(self) -> bool:
        """Whether anybody may ask."""
        keys = self.keys
        if keys is not None and keys.keys:
            self._open = False
        return self._open and keys is not None

    def check(self, secret: str | None, scope: Scope) -> str:
        """The name of whoever asks with a key.

        Raises
        ------
        HTTPException: see `let_in`.
        """
        said = "the key is not known" if secret else "a key is needed: send it in the header X-API-Key"
        return self.let_in(self.find(secret) if secret else None, scope, said)

    def let_in(self, key: Key | None, scope: Scope, said: str) -> str:
        """The name of whoever asks. said: what is told who has no key that is known.

        Raises
        ------
        HTTPException: 401 without a key that is known, 403 without the scope, 429 too often.
        """
        if self.free:
            name = "loopback"
        elif key is None:
            REJECTED.labels("401").inc()
            raise HTTPException(401, said, {"WWW-Authenticate": "Bearer"})
        else:
            name = self._named(key, scope)
        if self._rate is not None and not self._limiter.hit(self._rate, name):
            REJECTED.labels("rate").inc()
            seconds = max(1, math.ceil(self._limiter.get_window_stats(self._rate, name).reset_time - time.time()))
            raise HTTPException(
                429, f"more than {self._rate.amount:,} requests a minute: try again in {seconds} s", {"Retry-After": str(seconds)}
            )
        return name

    def _named(self, key: Key, scope: Scope) -> str:
        if not key.may(scope):
            REJECTED.labels("403").inc()
            raise HTTPException(403, f"key {key.name!r} may {', '.join(key.scopes)}, and this needs {scope}")
        return key.name


def needs(scope: Scope) -> Callable[..., None]:
    """A dependency that lets nobody by without the scope."""

    def check(
        request: Request,
        header: Annotated[str | None, Security(_header)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> None:
        access: Access = request.app.state.access
        name = access.check(header or (bearer.credentials if bearer else None), scope)
        request.scope["noted"]["key"] = name

    return check
