"""Tools of a shop: deadlines, schemas, hooks that hang, fail and lie."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from features.errors import ConfigError
from recsys.dialogue import tools
from recsys.dialogue.tools import HookTool, Slot, ToolError, Tools, installed_tools
from recsys.settings.apps.assistant import HookConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RESULT = {"type": "object", "properties": {"state": {"type": "string"}}, "required": ["state"], "additionalProperties": False}


class OwnTool:
    """A tool that does what the test says."""

    name, examples, slots, needs_user, result = "parcel", ("where is my parcel",), (Slot("order", "order_number"),), True, RESULT
    texts: Mapping[str, str] = {"en": "It is {state}."}

    def __init__(self, do: Callable[[], Any] = lambda: {"state": "sent"}) -> None:
        self._do = do

    def call(self, slots: Mapping[str, str], user: str | None) -> Mapping[str, Any]:
        return self._do()


def test_a_tool_returns_what_its_schema_allows() -> None:
    assert Tools([OwnTool()], 1.0).call("parcel", {"order": "1"}, "u1") == {"state": "sent"}


@pytest.mark.parametrize("result", [{"state": 3}, {}, {"state": "sent", "discount": "50%"}, [], None])
def test_what_the_schema_does_not_allow_is_an_error(result: Any) -> None:
    with pytest.raises(ToolError, match="schema does not allow"):
        Tools([OwnTool(lambda: result)], 1.0).call("parcel", {}, None)


def test_a_tool_that_hangs_fails_after_its_deadline() -> None:
    ended = threading.Event()
    with pytest.raises(ToolError, match=r"did not answer within 0\.05 seconds"):
        Tools([OwnTool(lambda: ended.wait(30) and {})], 0.05).call("parcel", {}, None)
    ended.set()


def test_the_message_of_a_failure_stays_inside() -> None:
    def fail() -> None:
        raise RuntimeError("password hunter2")

    with pytest.raises(ToolError, match=r"failed \(RuntimeError\)") as failure:
        Tools([OwnTool(fail)], 1.0).call("parcel", {}, None)
    assert "hunter2" not in str(failure.value)


def test_two_tools_of_one_name_and_a_schema_that_is_none_are_errors() -> None:
    with pytest.raises(ConfigError, match="two tools of the assistant are called 'parcel'"):
        Tools([OwnTool(), OwnTool()], 1.0)
    tool = OwnTool()
    tool.result = {"type": "no such type"}  # type: ignore[misc]
    with pytest.raises(ConfigError, match="no JSON schema"):
        Tools([tool], 1.0)


@contextmanager
def hook(reply: bytes, status: int = 200) -> Iterator[tuple[str, list[tuple[dict[str, Any], str | None]]]]:
    seen: list[tuple[dict[str, Any], str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((json.loads(body), self.headers["Authorization"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/parcel", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _config(url: str, **changes: Any) -> HookConfig:
    about = {"name": "parcel", "url": url, "examples": ["where is my parcel"], "result": RESULT, "texts": {"en": "It is {state}."}}
    return HookConfig(**(about | changes))


def test_a_hook_gets_slots_and_the_signed_in_customer() -> None:
    with hook(b'{"state": "sent"}') as (url, seen):
        tool = HookTool(_config(url, secret=SecretStr("s3cret")))
        assert Tools([tool], 5.0).call("parcel", {"order": "1"}, "u1") == {"state": "sent"}
    assert seen == [({"tool": "parcel", "user": "u1", "slots": {"order": "1"}}, "Bearer s3cret")]


@pytest.mark.parametrize(
    ("reply", "status"), [(b"", 200), (b"<html>", 200), (b"[1]", 200), (b'{"state": "sent"}', 500), (b'{"no": 1}', 200)]
)
def test_a_hook_that_fails_or_lies_is_an_error(reply: bytes, status: int) -> None:
    with hook(reply, status) as (url, _), pytest.raises(ToolError):
        Tools([HookTool(_config(url))], 5.0).call("parcel", {}, None)


def test_a_hook_that_nobody_serves_is_an_error() -> None:
    with pytest.raises(ToolError, match="the hook of the tool 'parcel' failed"):
        Tools([HookTool(_config("http://127.0.0.1:9/"))], 5.0).call("parcel", {}, None)


class _Point:
    name, value = "parcel", "shop.tools:Parcel"

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded

    def load(self) -> Any:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def test_installed_tools_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "entry_points", lambda group: [_Point(OwnTool)])
    assert [tool.name for tool in installed_tools()] == ["parcel"]


@pytest.mark.parametrize(("loaded", "said"), [(ImportError("no module"), "cannot be loaded"), (dict, "lacks attributes")])
def test_an_entry_point_that_is_no_tool_is_named(loaded: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "entry_points", lambda group: [_Point(loaded)])
    with pytest.raises(ConfigError, match=f"'parcel'.*{said}"):
        installed_tools()
    lines: list[str] = []
    assert installed_tools(lines.append) == []
    assert len(lines) == 1
    assert said in lines[0]
