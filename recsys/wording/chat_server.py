"""Asks an OpenAI-compatible server (/v1/chat/completions), within a time that includes all tries."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPResponse

Failure = Literal["timeout", "http_error", "nonsense"]
_PATH = "/chat/completions"
_LARGEST = 256 * 1024  # bytes of a reply
_PIECE = 16 * 1024
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class ChatError(Exception):
    """The server gave no usable reply, and `outcome` says why."""

    def __init__(self, outcome: Failure) -> None:
        super().__init__(outcome)
        self.outcome: Failure = outcome


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: another host must not get the key."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


@dataclass(frozen=True)
class ChatServer:
    """A server and a model of it.

    Attributes
    ----------
    url : str
        Its address, with or without /v1 and the path below.
    model : str
        The model's name.
    key : str or None
        Sent as a bearer token.
    seconds : float
        How long an answer may take, all tries together.
    retries : int
        Further tries after an error that may pass.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    seconds: float = 2.0
    retries: int = 1

    @property
    def address(self) -> str:
        """The full address."""
        base = self.url.rstrip("/")
        if base.endswith(_PATH):
            return base
        return f"{base}{_PATH}" if urlsplit(base).path.endswith("/v1") else f"{base}/v1{_PATH}"

    def answer(self, messages: list[dict[str, str]], tokens: int) -> str:
        """Return the server's words.

        Raises
        ------
        ChatError
            If there is no usable reply in time.
        """
        body = {"model": self.model, "messages": messages, "max_tokens": tokens, "temperature": 0.3, "stream": False}
        end = time.monotonic() + self.seconds
        for left in range(self.retries, -1, -1):
            try:
                return _words(self._post(json.dumps(body).encode(), end))
            except urllib.error.HTTPError as error:
                error.close()
                if error.code not in _TRY_AGAIN or not left:
                    raise ChatError("http_error") from None
            except TimeoutError:
                raise ChatError("timeout") from None
            except (OSError, HTTPException, ValueError) as error:
                if isinstance(getattr(error, "reason", None), TimeoutError):
                    raise ChatError("timeout") from None
                if not left:
                    raise ChatError("http_error") from None
        raise ChatError("http_error")

    def _post(self, body: bytes, end: float) -> bytes:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(self.address, body, headers)
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=_left(end)) as reply:
            return _read(reply, end)


def _left(end: float) -> float:
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _read(reply: HTTPResponse, end: float) -> bytes:
    """Read a reply piece by piece, since a server that sends a byte a second would pass the timeout of each read."""
    content = b""
    while piece := reply.read1(_PIECE):
        _left(end)
        content += piece
        if len(content) > _LARGEST:
            raise ChatError("nonsense")
    return content


def _words(content: bytes) -> str:
    try:
        words = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise ChatError("nonsense") from None
    if not isinstance(words, str) or not words.strip():
        raise ChatError("nonsense")
    return words
