"""`recsys assistant`: a conversation from a pipe and on a terminal, and one message."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from features.ingest.erased_users import ErasedUsers
from recsys.apps.assistant.request import MOST_CHARACTERS
from recsys.cli.main import run

Captured = pytest.CaptureFixture[str]


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def test_a_pipe_is_answered_line_by_line(fake_shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    piped(monkeypatch, b"green tea\n\n   \nmilk \xff\nI want a human\nEXIT\nnot read\n")
    assert run(["assistant", "--user", "718"]) == 0
    asked = fake_shop.calls
    assert [(call[1], call[3]) for call in asked] == [("green tea", "718"), ("milk �", "718"), ("I want a human", "718")]
    assert len({call[2] for call in asked}) == 1
    assert re.fullmatch(r"[\w-]{32}", asked[0][2])
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        *("Found for green tea:", "1. [red]a [31m b c d[/red]", "Found for milk �:", "1. [red]a [31m b c d[/red]", "A colleague answers."),
    ]
    assert captured.err.splitlines() == ["note: from catalogue", "note: from catalogue", "note: a person takes over, because: human"]
    assert not set(captured.out + captured.err) & set("\x1b\x00\x07\u202e")


def test_nothing_typed_is_nothing_asked(fake_shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    piped(monkeypatch, b"")
    assert run(["assistant"]) == 0
    assert fake_shop.calls == []
    assert capsys.readouterr().out == ""


def test_a_line_that_is_too_long_is_said_and_the_next_one_answered(
    fake_shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    piped(monkeypatch, b"x" * (MOST_CHARACTERS + 1) + b"\nmilk\n")
    assert run(["assistant"]) == 0
    assert [call[1] for call in fake_shop.calls] == ["milk"]
    assert "note: the message has 2,001 characters, expected at most 2,000: shorten it" in capsys.readouterr().err


def test_on_a_terminal_lines_are_prompted_and_the_end_leaves_nothing(
    fake_shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    lines = iter(["green tea", "", "exit"])

    def typed(prompt: str) -> str:
        assert prompt == "> "
        return next(lines)

    master, slave = pty.openpty()
    with os.fdopen(slave) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr("builtins.input", typed)
        assert run(["assistant"]) == 0
        assert [call[1] for call in fake_shop.calls] == ["green tea"]
        lines = iter(["milk"])

        def ended(prompt: str) -> str:
            try:
                return typed(prompt)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", ended)
        assert run(["assistant"]) == 0
    os.close(master)
    assert capsys.readouterr().out.endswith("1. [red]a [31m b c d[/red]\n\n")  # the shell's prompt stands in a line of its own


def test_one_message(fake_shop: Any, capsys: Captured) -> None:
    assert run(["assistant", "ask", "green tea", "--user", "718"]) == 0
    assert [(call[1], call[3]) for call in fake_shop.calls] == [("green tea", "718")]
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "Found for green tea:"
    assert captured.err == "note: from catalogue\n"


def test_json_is_stable(fake_shop: Any, capsys: Captured) -> None:
    assert run(["assistant", "ask", "green tea", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    reply = json.loads(captured.out)
    assert list(reply) == [
        *("conversation", "turn", "bundle_id", "language", "commands", "text", "answer", "question", "hand_over", "answered", "state"),
    ]
    assert reply["answer"]["items"] == ["sku-7"]
    assert reply["answer"]["statements"][0]["facts"] == [{"name": "name", "value": "x", "source": "catalogue"}]
    assert reply["commands"][0]["command"] == "ask_product"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ask"], "Missing"),
        (["ask", " "], "the message is empty"),
        (["ask", "x" * (MOST_CHARACTERS + 1)], "the message has 2,001 characters"),
        (["--user", "7", "ask", "milk"], "it goes after the command: recsys assistant ask TEXT --user ID"),
        (["say", "milk"], "No such command"),
    ],
)
def test_wrong_usage(fake_shop: Any, capsys: Captured, words: list[str], said: str) -> None:
    assert run(["assistant", *words]) == 2
    assert said.casefold() in capsys.readouterr().err.casefold()
    assert fake_shop.calls == []


def test_an_erased_customer_is_not_stored(fake_shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    ErasedUsers().with_users(["user-07"]).write(Path("workspace") / "erased.json")
    piped(monkeypatch, b"milk\n")
    for words in (["--user", "user-07"], ["ask", "milk", "--user", "user-07"]):
        assert run(["assistant", *words]) == 1
        assert capsys.readouterr().err == "error: the customer 'user-07' has been erased: leave out --user\n"
    assert fake_shop.calls == []
