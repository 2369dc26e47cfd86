"""What the service says of the assistant's settings, files and tools when it starts, and what it tells other servers."""

from __future__ import annotations

import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from recsys.apps.assistant.help import HelpDesk
from recsys.dialogue.knowledge import Guess
from recsys.dialogue.order_tool import OrderTool
from tests.recsys.conftest import Place
from tests.recsys.service.assistant.conftest import Start
from tests.recsys.service.assistant.test_routes import metric, say
from tests.recsys.service.conftest import Serve, inside, problem

pytestmark = pytest.mark.usefixtures("no_flows")


def test_conversations_expire_at_start(
    spare: Place, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    say(start(spare), "hello", "old")
    spare.workspace.__dict__.pop("conversations", None)
    two_days_later = time.time() + 2 * 86400
    monkeypatch.setattr(time, "time", lambda: two_days_later)
    with caplog.at_level(logging.INFO, "recsys"):
        client = start(spare, keep_days=1)
    assert "1 conversation removed" in caplog.text
    assert say(client, "hello", "old")["turn"] == 1


def test_what_is_wrong_is_said_once_and_lists_are_answered(
    spare: Place, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = tmp_path / "templates.toml"
    wrong.write_text("[en]\ngreting = 'hi'\n")
    client = start(spare, templates=str(wrong))
    lines = [record.getMessage() for record in caplog.records if "the assistant does not answer" in record.getMessage()]
    assert len(lines) == 1
    assert "greting" in lines[0]
    assert "\n" not in lines[0]
    assert "does not answer" in problem(client.post("/v1/assistant", json={"text": "hello"}), 503)
    assert client.post("/v1/recommend", json={}).status_code == 200
    assert client.post("/assistant", data={"text": "hello"}).status_code == 503


def test_languages_without_templates_are_named(spare: Place, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    client = start(spare, languages=("en", "fi"))
    assert [record.getMessage().split(" lacks")[0] for record in caplog.records if " lacks " in record.getMessage()] == ["Finnish"]
    assert say(client, "hello")["text"]


def test_a_tool_that_fails_costs_its_answer_alone(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> Any:
        raise RuntimeError("order 12 of user-01")

    monkeypatch.setattr(OrderTool, "call", failing)
    monkeypatch.setattr(HelpDesk, "flow", lambda *_: Guess(OrderTool.name, 1.0))
    client = serve(spare)
    reply = say(client, "what did I order last?", user="user-01")
    assert reply["commands"][0]["command"] == "start_flow"
    assert reply["answered"] is False
    assert "user-01" not in reply["text"]


def test_rewordings_are_counted(spare: Place, start: Start) -> None:
    client = start(spare, llm_url="http://127.0.0.1:9/v1", llm_seconds=0.2, llm_retries=0)
    before = metric(client, 'recsys_wordings_total{outcome="http_error"}')
    assert say(client, "hello")["text"]  # of the template
    assert metric(client, 'recsys_wordings_total{outcome="http_error"}') == before + 1


class Hook(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


def test_a_hand_over_is_posted_once_with_what_was_said(spare: Place, start: Start) -> None:
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.posted = posted = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = start(spare, hand_over_webhook=f"http://127.0.0.1:{server.server_port}/")
    say(client, "herbal infusion, and my mail is anna@example.com", "told", "user-01")
    say(client, "this is urgent, I want a human", "told", "user-01")
    say(client, "hello?", "told", "user-01")
    inside(client).bundles.live.assistant.hand_overs._thread.shutdown()  # waits for what is posted
    server.shutdown()
    server.server_close()
    (message,) = posted
    assert (message["event"], message["conversation"], message["reason"]) == ("hand_over", "told", "human")
    assert len(message["transcript"]) == 2
    assert "herbal infusion" in message["transcript"][0]["customer"]
    assert message["tried"][-1] == "hand_over"
    assert message["state"]["turn"] == 2
    assert "anna@example.com" not in json.dumps(message["transcript"])
    assert "user-01" not in json.dumps(message)


def test_a_webhook_that_fails_is_a_warning_and_the_conversation_waits(spare: Place, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    client = start(spare, hand_over_webhook="http://127.0.0.1:9/secret")
    say(client, "I want a human", "waits")
    inside(client).bundles.live.assistant.hand_overs._thread.shutdown()
    assert "the post to the webhook failed" in caplog.text
    assert "secret" not in caplog.text
    assert [turn.conversation for turn in spare.workspace.conversations.turns("handed_over")] == ["waits"]
