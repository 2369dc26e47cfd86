"""The outermost layer: limits the size of bodies and the number of requests, and logs each request."""

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

    from recsys.service.traces.spans import Traces
    from recsys.settings.serve import ServeConfig

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

BODY_SECONDS = 10.0  # in which a body must arrive
RETRY_SECONDS = 1
REST_SECONDS = 0.005
OPEN = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/page.css",
    "/suggest.js",
    "/chat.js",
    "/storefront.js",
)  # answered even when the queue is full
TITLES = {408: "Request Timeout", 413: "Content Too Large", 429: "Too Many Requests", 500: "Internal Server Error"}


class RejectedError(Exception):
    """The request is refused here, with a status and one line."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Admission:
    """An ASGI application around another; it logs what the inner one writes into `scope["noted"]`."""

    def __init__(self, app: App, config: ServeConfig, traces: Traces | None = None) -> None:
        self._app, self._config, self._traces = app, config, traces
        self._running = 0
        self._last_rest = 0.0
        self._full = f"the queue is full with {config.queue} requests: try again later"
        # Built once, as are the counters: in a flood, most requests get nothing else.
        self._turned_away = _problem(429, self._full)
        self._counters = REJECTED.labels("429"), REQUESTS.labels("none", "429")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI specifies."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._is_full and scope["path"] not in OPEN:
            await self._turn_away(send)
            return
        if scope["method"] == "HEAD":  # answered as GET (RFC 9110, section 9.3.2); the server drops the content
            scope = {**scope, "method": "GET"}
        start, status, noted = time.perf_counter(), 0, scope.setdefault("noted", {})
        noted["arrived"] = start
        if self._traces is not None and scope["path"] not in OPEN:
            noted["span"] = self._traces.begin(scope["headers"])

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._admit(scope, receive, watched)
        except RejectedError as error:
            REJECTED.labels(str(error.status)).inc()
            self._rest()
            await _send(watched, _problem(error.status, error.detail))
        except Exception:
            LOGGER.exception("unexpected error")
            if not status:
                await _send(watched, _problem(500, UNEXPECTED))
        _log_request(scope, status, time.perf_counter() - start)

    async def _admit(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        body = await self._body(scope, receive)
        if self._is_full:  # by now
            raise RejectedError(429, self._full)
        delivered = False

        async def replayed() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        self._running += 1
        try:
            await self._app(scope, replayed, send)
        finally:
            self._running -= 1

    @property
    def _is_full(self) -> bool:
        return self._running >= self._config.queue

    async def _turn_away(self, send: Send) -> None:
        """Refuse a request before its body is read, for as little as possible: it is counted, and in no log and no trace."""
        rejected, seconds = self._counters
        rejected.inc()
        seconds.observe(0.0)
        self._rest()
        await _send(send, self._turned_away)

    def _rest(self) -> None:
        """Block the event loop for a moment, half of the time at most, so that a flood is refused in batches.

        Refused one by one, each request would take the interpreter lock from the threads that answer.
        """
        if time.perf_counter() - self._last_rest > 2 * REST_SECONDS:
            time.sleep(REST_SECONDS)
            self._last_rest = time.perf_counter()

    async def _body(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        """Read the whole body before the request takes a place in the queue: a slow sender blocks nobody."""
        largest = self._config.max_body_kib * 1024
        length = dict(scope["headers"]).get(b"content-length", b"0")
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    if max(size, int(length) if length.isdigit() else 0) > largest:
                        raise RejectedError(413, f"the body is larger than {self._config.max_body_kib} KiB: send less in one request")
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RejectedError(408, "the body ended before its content-length")
                    parts.append(message.get("body", b""))
                    size, more = size + len(parts[-1]), message.get("more_body", False)
        except TimeoutError:
            raise RejectedError(408, f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None
        if size > largest:
            raise RejectedError(413, f"the body is larger than {self._config.max_body_kib} KiB: send less in one request")
        return b"".join(parts)


def _problem(status: int, detail: str) -> tuple[Message, Message]:
    """Return the messages of a problem: head and body."""
    body = json.dumps({"type": "about:blank", "title": TITLES[status], "status": status, "detail": detail}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if status == 429:
        headers.append((b"retry-after", str(RETRY_SECONDS).encode()))
    return {"type": "http.response.start", "status": status, "headers": headers}, {"type": "http.response.body", "body": body}


async def _send(send: Send, messages: tuple[Message, Message]) -> None:
    for message in messages:
        await send(message)


def _log_request(scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
    """Count and log a request by its route's pattern: the path itself may hold a user id."""
    route = getattr(scope.get("route"), "path", "none")
    REQUESTS.labels(route, str(status)).observe(seconds)
    if "span" in scope["noted"]:
        scope["noted"]["span"].end(scope["method"], route, status, scope["noted"])
    # A flood must not fill the disk; it is counted.
    level = logging.DEBUG if status == HTTPStatus.TOO_MANY_REQUESTS else logging.INFO
    if not LOGGER.isEnabledFor(level):
        return
    fields = {name: value for name, value in scope["noted"].items() if name not in ("arrived", "span")}
    request = {"method": scope["method"], "route": route, "status": status, "ms": round(1000 * seconds, 2)}
    LOGGER.log(level, "request", extra={"fields": request | fields})
