"""The outermost layer: reads no more of a request than is allowed, turns away what is too much, and writes the log's line."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from recsys.service.logs import LOGGER
from recsys.service.metrics import REJECTED, REQUESTS
from recsys.service.problems import UNEXPECTED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from recsys.settings.serve import ServeConfig

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

BODY_SECONDS = 10.0  # in which a body has to come
RETRY_SECONDS = 1
REST_SECONDS = 0.005
OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/page.css")  # answered however much there is to do
TITLES = {408: "Request Timeout", 413: "Content Too Large", 429: "Too Many Requests", 500: "Internal Server Error"}


class TurnedAwayError(Exception):
    """A request that is answered here: status, and one line."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Admission:
    """An ASGI application around another. What the inner one writes into scope["noted"] stands in the log's line."""

    def __init__(self, app: App, config: ServeConfig) -> None:
        self._app, self._config = app, config
        self._inside = 0
        self._rested = 0.0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # as GET (RFC 9110, section 9.3.2); the server sends no content to who asked for the head
            scope = {**scope, "method": "GET"}
        begun, status, noted = time.perf_counter(), 0, scope.setdefault("noted", {})
        noted["arrived"] = begun

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._let_in(scope, receive, watched)
        except TurnedAwayError as turned_away:
            REJECTED.labels(str(turned_away.status)).inc()
            self._rest()
            await _refuse(watched, turned_away.status, turned_away.detail)
        except Exception:
            LOGGER.exception("unexpected error")
            if not status:
                await _refuse(watched, 500, UNEXPECTED)
        _tell(scope, status, time.perf_counter() - begun)

    async def _let_in(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        self._turn_away()  # at once, and at the least cost: there may be many
        body = await self._body(scope, receive)
        self._turn_away()
        delivered = False

        async def replayed() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        self._inside += 1
        try:
            await self._app(scope, replayed, send)
        finally:
            self._inside -= 1

    def _turn_away(self) -> None:
        if self._inside >= self._config.queue:
            raise TurnedAwayError(429, f"{self._inside} requests are being answered, which is all that this service bears: try again")

    def _rest(self) -> None:
        """Hold the whole loop still, half of the time at most: a flood is then turned away by the handful.

        One by one, each request would take the interpreter from the threads that answer; with tens of times as many as answers that shows.
        """
        if time.perf_counter() - self._rested > 2 * REST_SECONDS:
            time.sleep(REST_SECONDS)
            self._rested = time.perf_counter()

    async def _body(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        """All of it, before it takes a place: who sends slowly keeps nobody else out."""
        most = self._config.max_body_kib * 1024
        length = dict(scope["headers"]).get(b"content-length", b"0")
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    if max(size, int(length) if length.isdigit() else 0) > most:
                        raise TurnedAwayError(413, f"the body is larger than {self._config.max_body_kib} KiB: send less at once")
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise TurnedAwayError(408, "the body ended before its length")
                    parts.append(message.get("body", b""))
                    size, more = size + len(parts[-1]), message.get("more_body", False)
        except TimeoutError:
            raise TurnedAwayError(408, f"the body did not come within {BODY_SECONDS:.0f} seconds") from None
        if size > most:
            raise TurnedAwayError(413, f"the body is larger than {self._config.max_body_kib} KiB: send less at once")
        return b"".join(parts)


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"type": "about:blank", "title": TITLES[status], "status": status, "detail": detail}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if status == 429:
        headers.append((b"retry-after", str(RETRY_SECONDS).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _tell(scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
    """Of the path only its pattern: a path may hold the id of a user."""
    route = getattr(scope.get("route"), "path", "none")
    REQUESTS.labels(route, str(status)).observe(seconds)
    level = logging.DEBUG if status == HTTPStatus.TOO_MANY_REQUESTS else logging.INFO  # a flood must fill no disk; it is counted
    if not LOGGER.isEnabledFor(level):
        return
    fields = {name: value for name, value in scope["noted"].items() if name != "arrived"}
    about = {"method": scope["method"], "route": route, "status": status, "ms": round(1000 * seconds, 2)}
    LOGGER.log(level, "request", extra={"fields": about | fields})
