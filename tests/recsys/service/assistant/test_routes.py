"""The routes of the assistant: replies, ratings, bad input, whose conversation it is, and what is logged, counted and told elsewhere."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from recsys.apps.assistant.request import MOST_CHARACTERS
from recsys.dialogue.conversations import Conversations
from recsys.dialogue.state import MOST_TURNS, Turn
from recsys.privacy.erasure import erase
from recsys.service.access.keys import Keys
from recsys.service.logs import JsonFormatter
from recsys.settings.names import Scope
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, inside, problem, taken_over
from tests.recsys.service.test_swap import publish

pytestmark = pytest.mark.usefixtures("no_flows")


def say(client: TestClient, text: str, conversation: str | None = None, user: str | None = None) -> Any:
    response = client.post("/v1/assistant", json={"text": text, "conversation": conversation, "user": user})
    assert response.status_code == 200, response.text
    return response.json()


def metric(client: TestClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_a_conversation_is_begun_and_continued(client: TestClient) -> None:
    first = say(client, "hello")
    assert first["turn"] == 1
    assert len(first["conversation"]) >= 22
    assert first.keys() >= {"bundle_id", "degraded", "stages", "commands", "text", "answered", "state", "language"}
    assert {"waiting", "assistant"} <= first["stages"].keys()
    assert say(client, "hello")["conversation"] != first["conversation"]
    second = say(client, "herbal infusion", first["conversation"])
    assert (second["conversation"], second["turn"]) == (first["conversation"], 2)
    assert second["answer"]["items"]
    assert second["state"]["focus"]["words"] == "herbal infusion"
    third = say(client, "let me talk to a human", first["conversation"])
    assert third["hand_over"]["reason"] == "human"
    for reply in (first, second, third):
        assert sum(reply[name] is not None for name in ("answer", "question", "hand_over")) == 1
        assert "transcript" not in reply["state"]


def test_the_documented_keys(client: TestClient) -> None:
    page = (Path(__file__).parents[4] / "docs" / "json.md").read_text(encoding="utf-8")
    documented = json.loads(page.split("```json assistant\n")[1].split("```")[0])
    found = say(client, "herbal infusion")
    assert documented.keys() == found.keys() - {"degraded", "stages"}
    assert documented["answer"].keys() == found["answer"].keys()
    assert documented["answer"]["statements"][0].keys() == found["answer"]["statements"][0].keys()
    assert documented["answer"]["statements"][0]["facts"][0].keys() == found["answer"]["statements"][0]["facts"][0].keys()
    assert documented["state"].keys() <= found["state"].keys()
    assert documented["commands"][0].keys() <= found["commands"][0].keys()


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "text is missing"),
        ({"text": ""}, "text is ''"),
        ({"text": " \n"}, "text is ' \\n', should match pattern"),
        ({"text": "\x1f"}, "the message is empty"),
        ({"text": "x" * (MOST_CHARACTERS + 1)}, "should have at most 2000 characters"),
        ({"text": "x" * 50_000}, "should have at most 2000 characters"),
        ({"text": ["hello"]}, "text is a list of 1"),
        ({"text": "hello", "conversation": "../x"}, "conversation is '../x', should match pattern"),
        ({"text": "hello", "conversation": "x" * 65}, "conversation is 'xxx"),
        ({"text": "hello", "user": ""}, "user is ''"),
        ({"text": "hello", "question": "x"}, "unknown key 'question'"),
    ],
)
def test_bad_messages_are_refused_in_one_line(client: TestClient, body: Any, detail: str) -> None:
    assert detail in problem(client.post("/v1/assistant", json=body), 422)


@pytest.mark.parametrize(
    "text",
    ["?", "🍓🍓", "你好，请问送货要多久？", "\x00\x01\x1b[31m", "\u202e", "{{ 7 * 7 }}", "'; DROP TABLE turns; --", "x" * MOST_CHARACTERS],
)
def test_any_words_are_answered(client: TestClient, text: str) -> None:
    reply = say(client, text)
    assert reply["text"]
    assert "49" not in reply["text"]


def test_a_lone_surrogate_is_refused(client: TestClient) -> None:
    response = client.post("/v1/assistant", content=b'{"text": "a\\ud800"}', headers={"content-type": "application/json"})
    assert "text is" in problem(response, 422)


def test_nobody_continues_the_conversation_of_another_customer(client: TestClient) -> None:
    for name, first in (("of-1", "user-01"), ("of-none", None)):
        say(client, "hello", name, first)
        say(client, "hello", name, "user-01")  # who was a visitor has signed in
        for other in ("user-02", None):
            detail = problem(client.post("/v1/assistant", json={"text": "hello", "conversation": name, "user": other}), 409)
            assert "begin a new one" in detail
            assert "user-01" not in detail
            rating = {"conversation": name, "turn": 1, "thumb": "up", "user": other}
            assert "user-01" not in problem(client.post("/v1/assistant/rating", json=rating), 409)


def test_messages_at_once_are_answered_or_refused(client: TestClient, place: Place) -> None:
    with ThreadPoolExecutor(6) as threads:
        sent = [threads.submit(client.post, "/v1/assistant", json={"text": "hello", "conversation": "at-once"}) for _ in range(6)]
    answered = [one.result() for one in sent]
    assert {one.status_code for one in answered} <= {200, 409}
    turns = sorted(one.json()["turn"] for one in answered if one.status_code == 200)
    assert turns == list(range(1, len(turns) + 1))
    assert turns
    assert place.workspace.conversations.state("at-once", None).turn == len(turns)


def test_who_is_always_overtaken_is_told_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conversations, "save", lambda *_: False)
    detail = problem(client.post("/v1/assistant", json={"text": "hello", "conversation": "overtaken"}), 409)
    assert "send one after the other" in detail


def test_a_store_that_cannot_be_written_is_said(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    say(client, "hello")
    for suffix in ("", "-wal", "-shm"):
        (spare.workspace.service / f"conversations.sqlite{suffix}").unlink(missing_ok=True)
    spare.workspace.__dict__.pop("conversations", None)
    other = Conversations(spare.workspace.service)  # a folder in the place of the file
    monkey = inside(client).bundles.live.assistant
    object.__setattr__(monkey, "conversations", other)
    response = client.post("/v1/assistant", json={"text": "hello"})
    assert "cannot be read or written" in problem(response, 503)
    assert response.headers["retry-after"]


def test_ratings(client: TestClient, place: Place) -> None:
    reply = say(client, "hello", "rated", "user-03")
    before = metric(client, 'recsys_assistant_thumbs_total{thumb="down"}')
    for thumb in ("up", "down"):
        body = {"conversation": "rated", "turn": reply["turn"], "thumb": thumb, "user": "user-03"}
        answer = client.post("/v1/assistant/rating", json=body).json()
        assert (answer["conversation"], answer["turn"], answer["thumb"]) == ("rated", 1, thumb)
    assert metric(client, 'recsys_assistant_thumbs_total{thumb="down"}') == before + 1
    assert place.workspace.conversations.counts()["thumbs_down"] == 1
    for name, turn in (("rated", 2), ("unheard-of", 1)):
        body = {"conversation": name, "turn": turn, "thumb": "up", "user": "user-03"}
        assert f"has no turn {turn}" in problem(client.post("/v1/assistant/rating", json=body), 404)
    for wrong in ({"thumb": "sideways"}, {"turn": 0}, {"turn": 2**70}, {"conversation": "a b"}):
        problem(client.post("/v1/assistant/rating", json={"conversation": "rated", "turn": 1, "thumb": "up", **wrong}), 422)


@pytest.mark.parametrize(
    ("text", "back"), [("I want a human", "My colleague has given"), ("ich möchte einen Menschen sprechen", "Ich habe dieses")]
)
def test_a_conversation_is_given_back_to_the_assistant(client: TestClient, place: Place, text: str, back: str) -> None:
    conversation = say(client, "herbal infusion", None, "user-04")["conversation"]
    assert say(client, text, conversation, "user-04")["hand_over"]
    silent = say(client, "herbal infusion", conversation, "user-04")
    assert silent["hand_over"]["text"] == silent["text"]
    answer = client.post("/v1/assistant/hand-back", json={"conversation": conversation}).json()
    assert (answer["conversation"], answer["turn"]) == (conversation, 4)
    assert answer["text"].startswith(back)
    assert conversation not in {turn.conversation for turn in place.workspace.conversations.turns("handed_over")}
    reply = say(client, "herbal infusion", conversation, "user-04")
    assert (reply["turn"], reply["hand_over"], reply["state"]["handed_over"]) == (5, None, None)
    assert reply["answer"]["items"]
    assert say(client, text, conversation, "user-04")["hand_over"]["text"] != silent["text"]  # it may be handed over again


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"conversation": "unheard-of"}, 404, "there is no conversation 'unheard-of'"),
        ({"conversation": "answered"}, 409, "'answered' is not handed over: the assistant answers in it already"),
        ({"conversation": "a b"}, 422, "conversation is 'a b'"),
        ({}, 422, "conversation is missing"),
        ({"conversation": "answered", "user": "user-01"}, 422, "unknown key 'user'"),
    ],
)
def test_what_cannot_be_given_back_is_said_in_one_line(client: TestClient, body: Any, status: int, detail: str) -> None:
    say(client, "hello", "answered")
    assert detail in problem(client.post("/v1/assistant/hand-back", json=body), status)


def test_only_a_key_that_may_write_gives_a_conversation_back(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    say(client, "I want a human", "waits")
    path = spare.workspace.service / "keys.json"
    with Keys.changing(path):
        known, reads = Keys.read(path).added("reads", (Scope.READ,))
        known, writes = known.added("writes", (Scope.WRITE,))
        known.write(path)
    body = {"conversation": "waits"}
    problem(client.post("/v1/assistant/hand-back", json=body), 401)
    assert "write" in problem(client.post("/v1/assistant/hand-back", json=body, headers={"authorization": f"Bearer {reads}"}), 403)
    assert client.post("/v1/assistant/hand-back", json=body, headers={"authorization": f"Bearer {writes}"}).status_code == 200


def test_metrics_tell_how_turns_ended(client: TestClient) -> None:
    names = [f'recsys_assistant_turns_total{{outcome="{outcome}"}}' for outcome in ("answered", "unanswered", "handed_over")]
    names.append('recsys_assistant_hand_overs_total{reason="human"}')
    before = [metric(client, name) for name in names]
    say(client, "hello")
    say(client, "qwrt zxcv")
    say(client, "I want a human", "counted")
    say(client, "hello?", "counted")
    assert [metric(client, name) - was for name, was in zip(names, before, strict=True)] == [1, 1, 2, 1]


@pytest.mark.parametrize("logged", [False, True])
def test_words_are_logged_only_where_it_is_configured(spare: Place, serve: Serve, caplog: pytest.LogCaptureFixture, logged: bool) -> None:
    with caplog.at_level(logging.DEBUG, "recsys"):
        client = serve(spare, log_queries=logged)
        caplog.clear()
        say(client, "gift for Anna", user="user-01")
        client.post("/assistant", data={"text": "gift for Anna", "user": "user-01", "asked_for": "user-01"})
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert [line["query"] for line in lines if "query" in line] == (["gift for Anna"] * 2 if logged else [])
    assert ("Anna" in json.dumps(lines)) is logged
    assert "user-01" not in json.dumps(lines)
    assert all(line["outcome"] for line in lines if line.get("route") == "/v1/assistant")


def test_an_erased_customer_is_not_stored(spare: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(spare)
    say(client, "hello", "mine", "user-07")
    erase(spare.workspace, "user-07")
    body = {"text": "hello", "conversation": "mine", "user": "user-07"}
    assert "has been erased" in problem(client.post("/v1/assistant", json=body), 409)
    assert spare.workspace.conversations.kept("mine") is None
    right = Conversations.save

    def erased_meanwhile(store: Conversations, *turn: Any) -> bool:
        erase(spare.workspace, "user-08")
        return right(store, *turn)

    monkeypatch.setattr(Conversations, "save", erased_meanwhile)
    problem(client.post("/v1/assistant", json=body | {"user": "user-08", "conversation": "race"}), 409)
    assert spare.workspace.conversations.kept("race") is None


def test_a_conversation_survives_a_new_bundle(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    first = say(client, "herbal infusion", "long")
    publish(spare, 7.5)
    second = say(taken_over(serve, spare), "the first one", "long")
    assert second["bundle_id"] != first["bundle_id"]
    assert (second["turn"], second["answer"]["items"]) == (2, first["answer"]["items"][:1])


def test_the_thousandth_turn_is_answered_like_the_first(client: TestClient, place: Place) -> None:
    first = say(client, "herbal infusion", "for-hours")
    kept = place.workspace.conversations
    state = kept.state("for-hours", None)
    told = Turn(customer="herbal infusion", assistant=first["text"])
    late = state.model_copy(update={"turn": 999, "transcript": (told,) * MOST_TURNS})
    with kept._file.writing() as connection:
        connection.execute("UPDATE conversations SET state = ?, turn = 999 WHERE id = 'for-hours'", (late.model_dump_json(),))
    reply = say(client, "herbal infusion", "for-hours")
    assert (reply["turn"], reply["text"], reply["answer"]["items"]) == (1000, first["text"], first["answer"]["items"])
    assert len(kept.state("for-hours", None).transcript) == MOST_TURNS


def test_a_state_of_another_version_begins_anew(client: TestClient, place: Place, caplog: pytest.LogCaptureFixture) -> None:
    say(client, "herbal infusion", "older")
    with place.workspace.conversations._file.writing() as connection:
        connection.execute("""UPDATE conversations SET state = '{"mood": "fine"}' WHERE id = 'older'""")
    reply = say(client, "hello", "older")
    assert (reply["turn"], reply["state"]["focus"]) == (2, None)
    assert "of another version" in caplog.text
